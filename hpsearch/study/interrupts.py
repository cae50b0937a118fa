"""Ctrl-C, SIGTERM and SIGHUP while a search runs: asked for by a signal, done where it is safe."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, final

__all__ = ["Interrupts", "held_back"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@final
class Interrupts:
    """What signals have asked of a search.

    The first Ctrl-C asks for an end after the running epochs; the second, SIGTERM and SIGHUP for
    an end at once, which is a KeyboardInterrupt: where the search waits or trains, never within
    `whole`, so that what a trial's start or end consists of is done, or not, as one.

    Args:
        tell: called once, from the handler, when the first Ctrl-C comes.

    Attributes:
        asked: whether the search is to end.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._depth, self._due = 0, False
        self.asked = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals within the block; in another thread than the main one there are none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with _handled(self._on_signal):
            yield

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """A block that no signal cuts in two: an end at once comes after it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._due and self._depth == 0:
            self._due = False
            raise KeyboardInterrupt

    def _on_signal(self, signum: int, frame: Any) -> None:
        first, self.asked = not self.asked, True
        if signum == signal.SIGINT and first:
            # This may have come in the middle of a print to the same stream, which refuses another.
            with contextlib.suppress(RuntimeError):
                self._tell()
            return
        if self._depth:
            self._due = True
            return
        raise KeyboardInterrupt


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back until the block is done: TensorFlow turns Ctrl-C into errors of its own.

    A second one is a KeyboardInterrupt at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold(signum: int, frame: Any) -> None:
        came.append(signum)
        if len(came) > 1:
            raise KeyboardInterrupt

    with _handled(hold):
        yield
    if came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle signals within the block, but one that is ignored, which `nohup` asks for."""
    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
