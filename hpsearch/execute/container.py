"""What the container of this process allows: cores and memory, by the limits of its control groups.

Both versions of Linux's control groups are read, from the group of this process up to the
outermost. Inside a container the files at the top are those of the container itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["allowed_cores", "free_memory"]

TREE = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # the groups of this process, a line for each hierarchy
MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and the files' cache in ``memory.stat``, in version 2 and in version 1."""


def allowed_cores() -> float | None:
    """The processor time that may be used, in cores; None without a limit."""
    found = [quota for folder in _groups("cpu") if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def free_memory() -> int | None:
    """The bytes that may still be taken; None where nothing limits them.

    What the kernel keeps of files that nobody uses is not counted as taken: it gives that up first.
    """
    found = [room for folder in _groups("memory") if (room := _room(folder)) is not None]
    return min(found, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in, the innermost first."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, names, place = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        top = TREE / names if names else TREE
        inner = Path(place.lstrip("/"))
        if ".." not in inner.parts:  # else the group lies outside of what is seen here
            yield from (top / group for group in (inner, *inner.parents) if group != Path())
        yield top


def _quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # "max" is no limit
        pass
    try:
        quota = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None


def _room(folder: Path) -> int | None:
    for limit, used, cache in MEMORY:
        try:
            most = int((folder / limit).read_text())
            held = int((folder / used).read_text()) - _stat(folder, cache)
        except (OSError, ValueError):  # "max" is no limit
            continue
        return max(0, most - max(0, held))
    return None


def _stat(folder: Path, name: str) -> int:
    """A line of ``memory.stat``, 0 without it."""
    for line in (folder / "memory.stat").read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
