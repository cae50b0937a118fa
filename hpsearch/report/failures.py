"""The failed trials of a study by cause, each cause with the part of the space that explains it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, final

from ..trial import Point, Status, Trial
from .regions import Region, region_of

__all__ = ["Failures", "Group", "failures_of", "kind_of", "normalised"]

KINDS = {
    Status.FAILED: "exception",
    Status.DIED: "died",
    Status.TIMEOUT: "timeout",
    Status.LOST: "lost",
}
MEMORY = re.compile(r"^out of memory|\bMemoryError\b|RESOURCE_EXHAUSTED")
NAN = re.compile(r"(?:became|is|returned) (?:nan|-?inf)\b")  # as engines and objectives say it
PLACE = re.compile(r"(?:^|: )([^\s/:]+\.\w+:\d+): ")  # the user's own line in an error
FRAME = re.compile(r'File "([^"\n]+)", line (\d+)(?:[^\n]*\n[ ]{4,}([^\n]+))?')
NORMAL = [  # in this order
    (re.compile(r"(?<![\w.])(?:/private)?/(?:tmp|var/tmp|var/folders)/[^\s:;,'\"()]*"), "…"),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "…"),  # as `tempfile` names them, wherever they are
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "#"),
    (re.compile(r"(?<!\w)-?(?:nan|inf)\b"), "nan"),  # a loss that grows becomes one or the other
    (
        re.compile(r"(?<!exit code )(?<![A-Za-z0-9])-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?"),
        "#",
    ),
    (re.compile(r"#(?:,? ?#)+"), "#, …"),  # shapes and lists of any length
]
"""What differs between errors of one cause, and what is put in its place."""


@final
@dataclass(frozen=True, slots=True)
class Group:
    """The failed trials of one cause.

    Attributes:
        kind: ``"exception"``, ``"not a number"``, ``"out of memory"``, ``"died"``, ``"timeout"``
            or ``"lost"``.
        text: what their errors have in common, numbers as ``#``.
        numbers: of the trials, in order.
        error: that of the first of them, as it is.
        line: the user's own line that failed, ``"space.py:12"``; None where it is not known.
        code: what stands there.
        region: where in the space they are; None where no region says it.
        others: trials that failed of another cause, which the region leaves out.
    """

    kind: str
    text: str
    numbers: tuple[int, ...]
    error: str
    line: str | None
    code: str | None
    region: Region | None
    others: int


@final
@dataclass(frozen=True, slots=True)
class Failures:
    """What failed in a study.

    Attributes:
        groups: the most frequent cause first.
        succeeded: trials that ended well or were pruned, which regions are compared with.
        rejected: trials whose model was larger than ``max_params``.
        cancelled: trials that were stopped from outside; they run again on resume.
    """

    groups: tuple[Group, ...]
    succeeded: int
    rejected: int
    cancelled: int

    @property
    def failed(self) -> int:
        return sum(len(group.numbers) for group in self.groups)


def failures_of(
    trials: Iterable[Trial], labels: Sequence[Mapping[str, Any]], *, source: str | None = None
) -> Failures:
    """Group the failed trials of a study by cause.

    Args:
        trials: the latest attempt of each.
        labels: ``{"label", "number", "log"}`` of each, as the settings of a study have them.
        source: the path of the space's file; helps to name the user's line of a process that died.
    """
    ended = sorted((t for t in trials if t.outcome is not None), key=lambda trial: trial.number)
    succeeded = [t.point for t in ended if t.status.counted and not t.status.failed]
    causes: dict[tuple[str, str], list[Trial]] = {}
    for trial in ended:
        if trial.status.failed:
            cause = kind_of(trial), normalised(trial.error or "no message")
            causes.setdefault(cause, []).append(trial)
    failed = sum(map(len, causes.values()))
    groups = [
        _group(*cause, found, succeeded, labels, source, failed - len(found))
        for cause, found in causes.items()
    ]
    return Failures(
        tuple(sorted(groups, key=lambda group: (-len(group.numbers), group.numbers))),
        succeeded=len(succeeded),
        rejected=sum(trial.status is Status.REJECTED for trial in ended),
        cancelled=sum(trial.status is Status.CANCELLED for trial in ended),
    )


def kind_of(trial: Trial) -> str:
    """The kind of a failed trial; see `Group`."""
    error = trial.error or ""
    if MEMORY.search(error):
        return "out of memory"
    if trial.status is Status.FAILED and NAN.search(error) and not PLACE.search(error):
        return "not a number"
    return KINDS[trial.status]


def normalised(error: str) -> str:
    """An error without what differs from trial to trial: numbers, addresses, temporary files.

    The number of the user's own line stays: the same words raised in two places are two causes.
    """
    place = PLACE.search(error)
    if place is None:
        return _without_numbers(error)
    before, after = error[: place.start(1)], error[place.end(1) :]
    return _without_numbers(before) + place[1] + _without_numbers(after)


def _without_numbers(text: str) -> str:
    for pattern, instead in NORMAL:
        text = pattern.sub(instead, text)
    return text


def _group(
    kind: str,
    text: str,
    trials: Sequence[Trial],
    succeeded: Sequence[Point],
    labels: Sequence[Mapping[str, Any]],
    source: str | None,
    others: int,
) -> Group:
    line, code = _line_of(trials[0], source)
    return Group(
        kind=kind,
        text=text,
        numbers=tuple(trial.number for trial in trials),
        error=trials[0].error or "no message",
        line=line,
        code=code,
        region=region_of([trial.point for trial in trials], succeeded, labels),
        others=others,
    )


def _line_of(trial: Trial, source: str | None) -> tuple[str | None, str | None]:
    """The user's own line and what stands there, from the error and the traceback."""
    place = PLACE.search(trial.error or "")
    text = "" if trial.outcome is None else trial.outcome.traceback or ""
    for path, number, code in FRAME.findall(text):
        line = f"{PurePath(path).name}:{number}"
        if line == (place[1] if place else None) or (place is None and path == source):
            return line, code.strip() or None
    return (place[1] if place else None), None
