"""What a group of processes holds in memory: looked at cheaply, and weighed where it matters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

__all__ = ["held_memory", "resident_memory"]


def resident_memory(pid: int) -> int:
    """The resident bytes of a process and all that it started; 0 if it is gone.

    Never less than `held_memory`, as what several share is counted for each; the kernel has it at
    hand.
    """
    held = 0
    for process in _group(pid):
        with contextlib.suppress(psutil.Error):
            held += process.memory_info().rss
    return held


def held_memory(pid: int) -> int:
    """The bytes that a process and all that it started hold for themselves; 0 if it is gone.

    What a worker shares with the fork server is not its own. Where a group has several processes,
    what is shared counts in parts, so that what they share with each other is counted once. The
    kernel reads every page for that, 18 ms for 1.7 GB: too much for each of four looks a second.
    """
    group = list(_group(pid))
    held = 0
    for process in group:
        with contextlib.suppress(psutil.Error):
            held += _own(process, alone=len(group) == 1)
    return held


def _own(process: psutil.Process, *, alone: bool) -> int:
    try:
        found = process.memory_full_info()
    except psutil.AccessDenied:  # macOS, of some processes
        return int(process.memory_info().rss)
    return int(found.uss if alone or not hasattr(found, "pss") else found.pss)


def _group(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
