"""The fork server of this process, of which workers are forks: started, watched, and replaced.

It is the standard library's, one to a process, and so is what is known of it here. It is the parent
of the workers and tells the driver how they end, so that its own end looks like the end of all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any, final

import psutil

from ..errors import StudyError
from ..train.startup import standard_error_in

__all__ = [
    "abandon_server",
    "ensure_server",
    "lives",
    "present_server",
    "server_folder",
    "sigint_blocked",
    "start_server",
    "unmentioned_main",
]

PRELOAD = "hpsearch.execute.preload"
LONGEST_FOLDER = 70  # bytes; the library appends some 35
SHORT_FOLDER = "/tmp"


@final
@dataclass(slots=True)
class _Asked:
    """What was last asked of the server, for the one that takes its place.

    Attributes:
        log: the file for what it prints, None for the caller's standard error.
        keras: whether it imports Keras.
        with_keras: the number of the process that has it.
        left: servers that were abandoned and may not have ended.
    """

    log: Path | None = None
    keras: bool = False
    with_keras: int | None = None
    left: list[int] = field(default_factory=list)


_asked = _Asked()


def start_server(log: Path, *, keras: bool) -> None:
    """Start the fork server of this process, unless there is one that serves.

    One without Keras is replaced when Keras is asked for; its workers keep it until they end. One
    with Keras serves workers that need none as well.

    Args:
        log: the file for what the imports and the server itself print.
        keras: whether Keras is imported there, once for all workers; see `preload`.
    """
    _asked.log, _asked.keras = log, _asked.keras or keras
    if _asked.keras and _pid() != _asked.with_keras:
        abandon_server()
    ensure_server()


def ensure_server() -> None:
    """Start the server again, as it was asked for, if it is gone."""
    _reap()
    _restore(Path(server_folder()))
    if lives(present_server()):
        return
    # It undoes the blocking of SIGINT if it has to start something itself, so it goes first.
    resource_tracker.ensure_running()
    forkserver.set_forkserver_preload([PRELOAD] if _asked.keras else [])
    log = contextlib.nullcontext() if _asked.log is None else standard_error_in(_asked.log)
    with unmentioned_main(), sigint_blocked(), log:
        try:
            forkserver.ensure_running()
        except ChildProcessError:  # somebody else has waited for the server that is gone
            abandon_server()
            forkserver.ensure_running()
    _asked.with_keras = _pid() if _asked.keras else None


def server_folder() -> str:
    """The folder of the server's socket, which is removed when this process ends of itself."""
    _make_room_for_socket()
    return str(util.get_temp_dir())


def _restore(folder: Path) -> None:
    """Make the socket's folder again if a cleaner of /tmp took it, and leave a server without one."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        abandon_server()


def _make_room_for_socket() -> None:
    """Have the server's socket in a folder of a short name: its path has at most 107 bytes.

    Raises:
        StudyError: if there is none.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    before, tempfile.tempdir = tempfile.tempdir, SHORT_FOLDER
    try:
        found = util.get_temp_dir()  # made once, where it is asked for first
    except OSError:
        found = tempfile.gettempdir()
    finally:
        tempfile.tempdir = before
    if len(os.fsencode(found)) > LONGEST_FOLDER + len("/pymp-xxxxxxxx"):
        raise StudyError(
            "Workers are made through a socket, whose path has at most 107 bytes, and the folder "
            f"for temporary files is {found}. Set TMPDIR to a shorter one, or --start-method spawn."
        )


def abandon_server() -> None:
    """Leave the server to its workers, with whom it ends; the next worker is another server's."""
    server = _library()
    with server._lock:
        if server._forkserver_pid is None:
            return
        _asked.left.append(server._forkserver_pid)
        os.close(server._forkserver_alive_fd)
        server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None


def present_server() -> psutil.Process | None:
    """The process of the server, None if it is gone or was never started."""
    pid = _pid()
    with contextlib.suppress(psutil.Error):
        return None if pid is None else psutil.Process(pid)
    return None


def lives(process: psutil.Process | None) -> bool:
    """Whether a process is there and is more than a number that nobody has waited for."""
    with contextlib.suppress(psutil.Error):
        return process is not None and bool(
            process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        )
    return False


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Block SIGINT for processes that are started meanwhile: Ctrl-C is the driver's to decide on.

    A terminal sends it to all; a process that is still importing would be ended by it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def unmentioned_main() -> Iterator[None]:
    """Hide the caller's script, which multiprocessing would run again in every new process."""
    caller = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = caller


def _library() -> Any:
    # Not public: the library has no words for "which process is it" and "start another".
    return forkserver._forkserver


def _pid() -> int | None:
    pid: int | None = _library()._forkserver_pid
    return pid


def _reap() -> None:
    """Wait for abandoned servers that have ended, so that they are no zombies."""
    for pid in list(_asked.left):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _asked.left.remove(pid)
