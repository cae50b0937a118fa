"""What users write as text: durations, amounts of memory, and points as JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ..errors import PointError, StudyError
from ..trial import Point

__all__ = ["bytes_of", "read_points", "seconds_of", "shortened", "strict_json"]

LARGEST_FILE = 10_000_000  # bytes of points to enqueue
LONGEST_TIME = 1e9  # seconds: thirty years
MOST_MEMORY = 1e15  # bytes
MEMORY_UNITS = {"M": 1e6, "G": 1e9, "T": 1e12, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """Read a duration: ``90``, ``90s``, ``30m``, ``2h`` or ``1d`` in seconds.

    Raises:
        StudyError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    seconds = float(found[1]) * UNITS[found[2]] if found is not None else 0.0
    if not 0 < seconds <= LONGEST_TIME:
        raise StudyError(f"A duration is seconds or 90s, 30m, 2h, 1d, got {shortened(text)}.")
    return seconds


def bytes_of(text: str) -> int:
    """Read an amount of memory in bytes: ``500MB``, ``2GB`` or ``1.5G``; ``2GiB`` is 2 · 1024³.

    Raises:
        StudyError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT]i?)B?\s*", text, re.IGNORECASE)
    unit = "" if found is None else found[2].capitalize()
    amount = float(found[1]) * MEMORY_UNITS[unit] if found is not None else math.inf
    if not amount <= MOST_MEMORY:
        raise StudyError(f"An amount of memory is 500MB, 2GB or 2GiB, got {shortened(text)}.")
    return int(amount)


def read_points(text: str) -> list[Point]:
    """Read points to enqueue: a JSON object, a JSON list of objects, or the path of such a file.

    Raises:
        PointError: if it is neither.
    """
    source = text if text.lstrip().startswith(("{", "[")) else _text_of_points(text)
    try:
        found = strict_json(source)
    except ValueError as whole:
        try:  # one object per line
            found = [strict_json(line) for line in source.splitlines() if line.strip()]
        except ValueError as error:
            reason = whole if source.count("\n") == 0 else error
            raise PointError(f"{shortened(text)} is not JSON: {reason}.") from None
    points = found if isinstance(found, list) else [found]
    wrong = [point for point in points if not isinstance(point, dict)]
    if wrong or not points:
        came = shortened(wrong[0]) if wrong else f"none in {shortened(text)}"
        raise PointError(f'A point is an object like {{"model.dense.units": 64}}, got {came}.')
    return points


def _text_of_points(name: str) -> str:
    """What the file of points has in it."""
    try:
        path = Path(name)
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PointError(
            f"--enqueue needs a JSON object or a file of them, got {shortened(name)}: {reason}."
        ) from None


def strict_json(text: str) -> Any:
    """Read JSON as its standard has it: no NaN, no infinity, no key twice in an object.

    Raises:
        ValueError: if it is not JSON.
    """

    def refuse(name: str) -> Any:
        raise ValueError(f"{shortened(name)} is no number of JSON, which has finite ones only")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} stands twice in an object")
        return found

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shortened(item: Any) -> str:
    """What came, for a message."""
    try:
        text = repr(item)
    except (ValueError, RecursionError):  # a whole number of more than 4,300 digits, deep lists
        text = f"a {type(item).__name__} too large to show"
    return text if len(text) <= 80 else f"{text[:80]}…"
