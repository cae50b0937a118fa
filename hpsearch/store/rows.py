"""A trial as a row of the table, with a checksum: SQLite does not notice a changed byte in a value."""

from __future__ import annotations

import zlib
from typing import Any

from ..trial import Status, Trial, finite
from ..wire import from_json, outcome_of, to_json, why_of

__all__ = ["COLUMNS", "MARKS", "checksum", "row_of", "trial_of"]

COLUMNS = (
    "number, attempt, status, value, started, ended, source, name, seed, point, outcome, "
    "checksum, why"
)
"""As they are written. All there are is read, as a file of format 2 has no `why`."""

MARKS = ", ".join("?" * (COLUMNS.count(",") + 1))


def checksum(*values: Any) -> int:
    """A number that differs if any of the values does: CRC-32 of them as JSON."""
    return zlib.crc32(to_json(values).encode())


def row_of(trial: Trial) -> tuple[Any, ...]:
    """The values of `COLUMNS`, to be written."""
    value = float(trial.value) if trial.value is not None and finite(trial.value) else None
    ended = None if trial.ended is None else float(trial.ended)
    row: tuple[Any, ...] = (trial.number, trial.attempt, trial.status.value, value)
    row += (float(trial.started), ended, trial.source, trial.name, trial.seed)
    row += (to_json(trial.point), None if trial.outcome is None else to_json(trial.outcome))
    why = None if trial.why is None else to_json(trial.why)
    return (*row, _checksum(row, why), why)


def trial_of(row: tuple[Any, ...]) -> Trial:
    """Read a row of the table: the values of `COLUMNS`, without `why` where the format has none.

    Raises:
        ValueError: if they are not what was written.
    """
    values, written, why = row[:11], row[11], row[12] if len(row) > 12 else None
    number, attempt, status, _, started, ended, source, name, seed, point, outcome = values
    if _checksum(values, why) != written:
        raise ValueError(f"trial {number} is not what was written")
    runs = status == Status.RUNNING
    return Trial(
        *(number, from_json(point), seed, started, attempt, source, name, ended),
        outcome=None if runs else outcome_of(from_json(outcome)),
        why=None if why is None else why_of(from_json(why)),
    )


def _checksum(values: tuple[Any, ...], why: str | None) -> int:
    """That of a row. Without a reason it is that of format 2, which had none."""
    return checksum(*values) if why is None else checksum(*values, why)
