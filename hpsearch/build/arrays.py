"""The arrays of one part of the data: nested in dicts and lists, told apart, checked against each other.

Nothing here reads values, but for what a list is made into: each check costs the same for any
number of rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import DataError

__all__ = [
    "array_of",
    "is_dataset",
    "leaves",
    "mapped",
    "named_leaves",
    "refuse_part",
    "rows_of",
    "same_rows",
    "share_of_classes",
]

MOST_SHAPES = 6  # named in one message
PARTS_IN_A_ROW = {
    4: "Data((x_train, y_train), test=(x_test, y_test), validation=0.1)",
    6: "Data((x_train, y_train), validation=(x_val, y_val), test=(x_test, y_test))",
}
"""What to write for a bare tuple of so many arrays."""


def is_dataset(value: Any) -> bool:
    """Whether this is an iterable of batches rather than arrays."""
    if isinstance(value, np.ndarray | tuple | list | Mapping) or value is None:
        return False
    if hasattr(value, "shape") or hasattr(value, "iloc"):
        return False
    return hasattr(value, "__iter__") or (
        hasattr(value, "__getitem__") and hasattr(value, "__len__")
    )


def array_of(value: Any) -> Any:
    """As an array, where it is none.

    Raises:
        DataError: for lists that are not all of one length.
    """
    if hasattr(value, "iloc"):  # pandas: positions, not labels, as everywhere else
        return value.to_numpy()
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        lengths = sorted({len(row) for row in value if hasattr(row, "__len__")})
        raise DataError(
            f"The rows of an array are all of one length, got lists of {_some(lengths)} items. "
            "Pad them: keras.utils.pad_sequences(x), or make a tf.data.Dataset with padded_batch."
        ) from error


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Apply to each array of a structure; a list of plain numbers is one array."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    if _several(value):
        return [mapped(item, function) for item in value]
    return function(value)


def _several(value: Any) -> bool:
    """Whether this is a list of arrays, rather than an array written as a list."""
    plain = (int, float, str, list)
    return isinstance(value, list | tuple) and bool(value) and not isinstance(value[0], plain)


def named_leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a structure with how they are written: ``x``, ``x['a']``, ``x[0]``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from named_leaves(item, f"{name}[{number}]")
    elif value is not None:
        yield name, value if hasattr(value, "shape") else np.asarray(value)


def leaves(value: Any) -> list[Any]:
    """The arrays of a structure as NumPy's."""
    return [np.asarray(array) for _, array in named_leaves(value, "")]


def rows_of(value: Any, name: str = "x") -> int:
    """How many rows the arrays of a structure have; 0 without arrays, or for single numbers.

    Raises:
        DataError: if they differ.
    """
    counts = {key: int(a.shape[0]) if len(a.shape) else 0 for key, a in named_leaves(value, name)}
    if len(set(counts.values())) > 1:
        each = [f"{key} has {rows}" for key, rows in counts.items()]
        raise DataError(
            f"The arrays of one part have different lengths: {sorted(set(counts.values()))}. "
            f"{_some(each)} rows. They must be as many. A list of arrays is several inputs; for "
            "one input of rows of different lengths write keras.utils.pad_sequences(x)."
        )
    return next(iter(counts.values()), 0)


def same_rows(part: str, x: Any, y: Any, weight: Any) -> int:
    """The rows that the arrays of a part have in common.

    Raises:
        DataError: if they differ, or there are none.
    """
    _refuse_two_pairs(part, x, y)
    rows = rows_of(x)
    for what, item in (("y", y), ("sample_weight", weight)):
        other = None if item is None else rows_of(item, what)
        if other is not None and other != rows:
            raise DataError(
                f"The {part} part of the data has {rows} rows of x but {other} of {what}. "
                f"They must be as many.{_stacked(x, other)}"
            )
    if not rows:
        raise DataError(
            f"The {part} part of the data has no rows. Look at what selects them: the condition, "
            "the slice or the file; or leave the part out."
        )
    return rows


def _stacked(x: Any, rows: int) -> str:
    """The hint for a list of as many arrays as there should be rows."""
    if isinstance(x, list) and len(x) == rows:
        return f" x is a list of {rows} arrays, which is {rows} inputs: write np.stack(x)."
    return ""


def _refuse_two_pairs(part: str, x: Any, y: Any) -> None:
    """``(x, y), (x_test, y_test)``, as Keras's own loaders return it, is no part."""
    pairs = [item for item in (x, y) if isinstance(item, list) and len(item) == 2]
    if len(pairs) != 2:
        return
    counts = [{len(array) for array in leaves(pair) if array.ndim} for pair in pairs]
    if all(len(rows) == 1 for rows in counts) and counts[0] != counts[1]:
        first, second = (_shapes(pair) for pair in pairs)
        raise DataError(
            f"The {part} part of the data must be (x, y), got two pairs, of shapes {first} and "
            f"{second}. Write `(x, y), (x_test, y_test) = …` and "
            "`Data((x, y), test=(x_test, y_test), validation=0.1)`."
        )


def refuse_part(value: Any, part: str) -> DataError:
    """The error for something that is no part of the data at all."""
    hint = "Write Data((x, y), validation=0.2)."
    if isinstance(value, tuple) and len(value) in PARTS_IN_A_ROW:
        hint = f"Write `return {PARTS_IN_A_ROW[len(value)]}`."
    elif isinstance(value, list) and len(value) in (2, 3):
        hint = "Write it as a tuple: Data((x, y), validation=0.2)."
    return DataError(
        f"The {part} part of the data must be (x, y), (x, y, sample_weight) or a dataset, "
        f"got {_kind(value)}. {hint}"
    )


def share_of_classes(labels: Any, held: int) -> None:
    """Refuse to draw `held` of the rows from each class where a class would be missing in a part.

    Raises:
        DataError: for a class with one row, fewer rows in a part than classes, or real numbers.
    """
    found, counts = np.unique(labels, return_counts=True)
    if labels.dtype.kind == "f" and not np.all(found == np.floor(found)):
        raise DataError(
            "Holdout(stratify=True) draws from each class, got real numbers from "
            f"{found.min():.6g} to {found.max():.6g} as targets. For regression write Holdout(0.2)."
        )
    if counts.min() < 2:
        raise DataError(
            "Holdout(stratify=True) needs two rows of each class, one for each part, got one row "
            f"of class {found[counts.argmin()]}. Leave such rows out, or write stratify=False."
        )
    kept = len(labels) - held
    if min(held, kept) < len(found):
        fractions = _fractions(len(labels), len(found))
        short = held < kept
        raise DataError(
            f"Holdout(stratify=True) needs a row of each of the {len(found)} classes in both "
            f"parts, got {kept} rows for training and {held} for validation. Give a fraction of at "
            f"{f'least {fractions[0]}' if short else f'most {fractions[-1]}'}, or write "
            "stratify=False."
        )


def _fractions(rows: int, least: int) -> list[float]:
    """The hundredths that leave so many rows in both parts; a half does wherever there are twice as many."""
    kept = {number / 100: math.floor(rows * (1 - number / 100)) for number in range(1, 100)}
    return [fraction for fraction, at in kept.items() if least <= at <= rows - least]


def _shapes(value: Any) -> str:
    return _some([str(tuple(array.shape)) for array in leaves(value)])


def _some(items: list[Any]) -> str:
    named = ", ".join(str(item) for item in items[:MOST_SHAPES])
    return named if len(items) <= MOST_SHAPES else f"{named} and {len(items) - MOST_SHAPES} more"


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        name = "a tuple of" if isinstance(value, tuple) else "list of"
        kinds = Counter("arrays" if hasattr(item, "shape") else "" for item in value)
        shapes = f", of shapes {_shapes(value)}" if value and kinds["arrays"] == len(value) else ""
        return f"{name} {len(value)}{shapes}"
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return type(value).__name__
