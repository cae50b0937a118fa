"""A process of its own that ends the workers when the driver is gone, however it went.

A worker ends itself when its pipe to the driver closes, but not while C code holds its
interpreter, and what it has started lives on if it was killed too. The guardian holds nothing but
the list of their process groups. Run as a script it imports nothing of hpsearch.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import Any, final

__all__ = ["Guardian", "end_group"]

ORDERLY = "end\n"  # the driver lives on, and so does its folder


@final
class Guardian:
    """The driver's end: is told of each worker that starts and each that is gone.

    Args:
        folder: what to remove where the driver was killed and cannot.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._groups: set[int] = set()
        self._process = self._started()

    def watch(self, group: int) -> None:
        """End this process group when the driver ends."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """This process group is gone: its number may become another's."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let the guardian end what is left, and itself."""
        with contextlib.suppress(OSError, ValueError):
            self._pipe.write(ORDERLY.encode())
        self._pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        try:
            self._pipe.write(line.encode())
        except (OSError, ValueError):  # it was ended, or closed: another takes its place
            self.close()
            self._process = self._started()
            self._pipe.write("".join(f"+{group}\n" for group in self._groups).encode())

    @property
    def _pipe(self) -> Any:
        return self._process.stdin

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *([self._folder] if self._folder else [])],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def end_group(group: int) -> None:
    """Kill a worker and all that it has started, also before it leads a group of its own."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, signal.SIGKILL)
    except PermissionError:  # what macOS says of a group that has only zombies left
        pass


def _guard(folder: str | None) -> None:
    groups: set[int] = set()
    orderly = False
    for line in sys.stdin:
        orderly = line == ORDERLY
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    for group in groups:
        end_group(group)
    if folder is not None and not orderly:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    _guard(sys.argv[1] if len(sys.argv) > 1 else None)
