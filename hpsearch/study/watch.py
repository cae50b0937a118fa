"""Who looks on while a search runs: the protocol, and plain lines for scripts and logs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO, final

from ..trial import Report, Status, Trial

__all__ = ["Lines", "Silent", "Standing", "Steady", "Watcher", "folder_option", "value_text"]


class Standing(Protocol):
    """What a watcher may ask a running study."""

    @property
    def best(self) -> Trial | None: ...

    @property
    def total(self) -> int | None: ...

    @property
    def metric(self) -> str: ...

    def counts(self) -> dict[str, int]: ...


class Watcher(Protocol):
    """Told of everything that happens, in the driver's thread."""

    def begun(self, study: Any) -> None: ...

    def started(self, trial: Trial) -> None: ...

    def reported(self, trial: Trial, report: Report) -> None: ...

    def ended(self, trial: Trial) -> None: ...

    def note(self, text: str) -> None: ...

    def finished(self) -> None: ...


@final
class Steady:
    """Passes everything on to a watcher while it can be told.

    Its terminal may be closed, its pipe may lead nowhere: that ends no search.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._gone = False

    def begun(self, study: Any) -> None:
        self._tell(lambda: self._watcher.begun(study))

    def started(self, trial: Trial) -> None:
        self._tell(lambda: self._watcher.started(trial))

    def reported(self, trial: Trial, report: Report) -> None:
        self._tell(lambda: self._watcher.reported(trial, report))

    def ended(self, trial: Trial) -> None:
        self._tell(lambda: self._watcher.ended(trial))

    def note(self, text: str) -> None:
        self._tell(lambda: self._watcher.note(text))

    def finished(self) -> None:
        self._tell(self._watcher.finished)

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._gone:
            return
        try:
            tell()
        except OSError:
            self._gone = True


@final
class Silent:
    """Says nothing."""

    def begun(self, study: Any) -> None:
        """Nothing."""

    def started(self, trial: Trial) -> None:
        """Nothing."""

    def reported(self, trial: Trial, report: Report) -> None:
        """Nothing."""

    def ended(self, trial: Trial) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""


@final
class Lines:
    """One line per ended trial, on standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._study: Any = None

    def _say(self, text: str) -> None:
        print(text, file=self._stream or sys.stderr, flush=True)

    def begun(self, study: Any) -> None:
        self._study = study

    def started(self, trial: Trial) -> None:
        """Nothing: the end tells it all."""

    def reported(self, trial: Trial, report: Report) -> None:
        """Nothing: a log is read later."""

    def ended(self, trial: Trial) -> None:
        total = self._study.total
        of = f"/{total}" if total else ""
        name = f" ({trial.name})" if trial.name else ""
        best = self._study.best
        standing = f"   best {value_text(best.value)} in trial {best.number}" if best else ""
        result = (
            f"{self._study.metric} {value_text(trial.value)}"
            if trial.status is Status.OK
            else f"{trial.status.value}: {trial.error}"
        )
        done = self._study.counts()["total"]
        self._say(
            f"[{done}{of}] trial {trial.number}{name}: {result}   "
            f"{trial.seconds or 0:.1f} s{standing}"
        )

    def note(self, text: str) -> None:
        self._say(text)

    def finished(self) -> None:
        """Nothing."""


def folder_option(folder: Path | str) -> str:
    """What a command that is printed needs to find the studies of `folder`; "" for the default."""
    given, here = Path(folder).absolute(), Path.cwd()
    if given == here / "mlruns":
        return ""
    shown = os.path.relpath(given, here) if given.is_relative_to(here) else str(given)
    return f" --folder {shlex.quote(shown)}"


def value_text(value: float | None) -> str:
    """A value as people read it: four or five digits that count."""
    return "none" if value is None else f"{value:.5g}"
