"""Every error that hpsearch raises on purpose.

    HpsearchError
    ├── SpaceError            a search space is written wrongly (also a ValueError)
    │   └── BuildError        a point could not be built into a model; says where
    ├── PointError            a point names unknown labels or illegal values (also a ValueError)
    │   └── IllegalPoint      a point violates a constraint given in ``require``
    ├── DataError             the data does not fit what the space asks of it
    ├── StudyError            a study cannot be created, opened, resumed or read
    │   └── StudyBusy         another process runs it
    ├── SearchStopped         a search cannot go on; what is recorded stays
    └── TrackingError         MLflow cannot be reached or refuses

A message has three parts: the rule, what came, what to write instead; at most six lines.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

__all__ = [
    "BuildError",
    "DataError",
    "HpsearchError",
    "IllegalPoint",
    "PointError",
    "SearchStopped",
    "SpaceError",
    "StudyBusy",
    "StudyError",
    "TrackingError",
    "counted",
    "nearest",
]


class HpsearchError(Exception):
    """The base of all errors of this package: bad input or a search that cannot go on."""


class SpaceError(HpsearchError, ValueError):
    """A search space is written wrongly; raised on the line that is wrong where that is known."""


class BuildError(SpaceError):
    """A point could not be built; keeps the original exception as ``__cause__``."""


class PointError(HpsearchError, ValueError):
    """A point has unknown or missing labels, or values that its words do not allow."""


class IllegalPoint(PointError):
    """A point that violates a constraint of the space's ``require``."""


class DataError(HpsearchError, ValueError):
    """The data does not have what the space asks of it."""


class StudyError(HpsearchError):
    """A study cannot be created, opened, resumed or read."""


class StudyBusy(StudyError):
    """A study that another process runs: one at a time writes to it."""


class SearchStopped(HpsearchError):
    """A search cannot go on: too many failures in a row, or no legal point to be found."""


class TrackingError(HpsearchError):
    """The MLflow tracking store cannot be reached, or refuses what it is given."""


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rank(name: str) -> tuple[float, str]:
    """Numbers by size, before names."""
    try:
        number = float(name)
    except ValueError:
        number = math.inf
    return number if math.isfinite(number) else math.inf, name


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """Return ``Did you mean 'a' or 'b'?`` for the closest known names, or their list if few."""
    names = sorted({str(item) for item in known}, key=_rank)
    folded = [item.casefold() for item in names]
    near = difflib.get_close_matches(str(name).casefold(), folded, n=count, cutoff=0.6)
    close = [item for each in dict.fromkeys(near) for item in names if item.casefold() == each]
    tail = [item for item in names if item.endswith("." + str(name))]
    found = list(dict.fromkeys([*tail[:count], *close]))[:count]
    if found:
        return "Did you mean " + " or ".join(repr(item) for item in found) + "?"
    if len(names) > 12:
        return "Known: " + ", ".join(names[:12]) + f" and {len(names) - 12} more."
    return "Known: " + (", ".join(names) or "none") + "."
