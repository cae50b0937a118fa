"""What a trial is trained on: resolving `Data`, splitting it, and the facts that `given` tells.

A part is arrays (``x``, ``y``, ``sample_weight``, each an array of n rows or a dict or list of
such) or anything Keras iterates over: a ``tf.data.Dataset``, a ``PyDataset``, a generator's
dataset. Arrays are sliced, never copied.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..errors import DataError
from ..space import Data, Holdout
from .arrays import (
    array_of,
    is_dataset,
    leaves,
    mapped,
    refuse_part,
    rows_of,
    same_rows,
    share_of_classes,
)

__all__ = [
    "Part",
    "Parts",
    "batches_of",
    "digest",
    "facts_of",
    "holds_dataset",
    "resolve_parts",
    "stratified",
    "unsplit",
]

LONGEST_LIST = 100  # of datasets; a longer list is values
NAMES = ("train", "validation", "test")
SAMPLE = 1000  # rows that a digest reads, about


@final
@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One part of the data.

    Attributes:
        x, y, weight: arrays of `rows` rows; for a dataset `x` is the dataset and the rest None.
        rows: the number of rows, None where a dataset does not know.
    """

    x: Any
    y: Any = None
    weight: Any = None
    rows: int | None = None

    @property
    def dataset(self) -> bool:
        """Whether this is an iterable of batches rather than arrays."""
        return is_dataset(self.x)

    @property
    def shuffled(self) -> bool:
        """Whether Keras can draw the order in which it trains on this: arrays and PyDatasets."""
        return not self.dataset or hasattr(self.x, "num_batches")

    def as_tuple(self) -> Any:
        """As Keras's ``validation_data`` takes it."""
        if self.dataset:
            return self.x
        return (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)

    def take(self, rows: Any) -> Part:
        """The same part with only some of its rows (a slice or an array of indices)."""
        x, y, weight = (mapped(item, lambda a: a[rows]) for item in (self.x, self.y, self.weight))
        return Part(x, y, weight, rows_of(x))


@final
@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """Training, validation and test part; the latter two may be missing."""

    train: Part
    validation: Part | None = None
    test: Part | None = None


def resolve_parts(data: Any, seed: int) -> Parts:
    """Return the parts of a resolved `Data`, with the validation rows taken from the training rows.

    Raises:
        DataError: for parts that do not fit together: unequal lengths, an empty split, a fraction
            of a dataset.
    """
    if isinstance(data, tuple):
        data = Data(data)
    if not isinstance(data, Data):
        raise DataError(
            f"The data provider must return Data(...), got {type(data).__name__}. "
            "Write `return Data((x, y), validation=0.1, test=(x_test, y_test))`."
        )
    train = _part(data.train, "train")
    test = None if data.test is None else _part(data.test, "test")
    if isinstance(data.validation, float):
        rest, validation = _split(train, Holdout(data.validation, shuffle=False), seed)
        return Parts(rest, validation, test)
    if isinstance(data.validation, Holdout):
        rest, validation = _split(train, data.validation, seed)
        return Parts(rest, validation, test)
    given = None if data.validation is None else _part(data.validation, "validation")
    return Parts(train, given, test)


def facts_of(parts: Parts) -> dict[str, Callable[[], Any]]:
    """The facts of `given` that the data supplies, computed when asked for.

    Each raises DataError, saying why, where the data does not know.
    """
    return {
        "shape": lambda: _shape(parts.train),
        "classes": lambda: _classes(parts.train),
        "rows": lambda: _known_rows(parts.train),
        "train": lambda: _inputs(parts.train),
    }


def digest(data: Any, parts: Parts) -> dict[str, Any]:
    """What to note of the data in a record: rows and shapes of its parts, and a digest.

    The digest is over a sample of the values before the split, and over how they are split but
    not the seed of that: studies under two seeds have the same. It is "" where a part is a
    dataset, whose values are not known without reading all of it.

    Args:
        data: the resolved `Data`.
        parts: what `resolve_parts` made of it.
    """
    present = {name: getattr(parts, name) for name in NAMES if getattr(parts, name) is not None}
    notes = {name: _noted(part) for name, part in present.items()}
    if any(part.dataset for part in present.values()):
        return {"digest": "", "parts": notes}
    sums = hashlib.sha256()
    for name, value in unsplit(data).items():
        if isinstance(value, Holdout):
            how = (name, float(value.fraction), bool(value.shuffle), bool(value.stratify))
            sums.update(repr(how).encode())
        else:
            _add(sums, name, value)
    return {"digest": sums.hexdigest()[:16], "parts": notes}


def unsplit(data: Any) -> dict[str, Part | Holdout]:
    """The parts as they were given, by name, before rows for validation are taken from training."""
    whole = Data(data) if isinstance(data, tuple) else data
    found: dict[str, Part | Holdout] = {}
    for name in NAMES:
        value = getattr(whole, name)
        if isinstance(value, float):
            value = Holdout(value, shuffle=False)  # which is the same split
        if value is not None:
            found[name] = value if isinstance(value, Holdout) else _part(value, name)
    return found


def _noted(part: Part) -> dict[str, Any]:
    note: dict[str, Any] = {"rows": part.rows}
    if not part.dataset:
        for key in ("x", "y"):
            arrays = leaves(getattr(part, key))
            note[key] = [{"shape": list(a.shape), "dtype": str(a.dtype)} for a in arrays]
    return note


def _add(sums: Any, name: str, part: Part) -> None:
    """Add a sample of the values of a part to a digest."""
    for key in ("x", "y", "weight"):
        for array in leaves(getattr(part, key)):
            sums.update(repr((name, key, array.shape, str(array.dtype))).encode())
            rows = array[:: max(1, len(array) // SAMPLE)]
            if rows.dtype.hasobject:  # whose bytes are addresses
                sums.update(repr(rows.tolist()).encode())
            else:
                sums.update(np.ascontiguousarray(rows).tobytes())


def holds_dataset(value: Any) -> bool:
    """Whether this is, or has in its lists and dicts, something that is read anew each time."""
    if isinstance(value, Part):
        return value.dataset
    if isinstance(value, Data | Parts):
        return any(holds_dataset(getattr(value, name)) for name in NAMES)
    if isinstance(value, Mapping):
        return any(holds_dataset(item) for item in value.values())
    if isinstance(value, list | tuple):
        return len(value) <= LONGEST_LIST and any(holds_dataset(item) for item in value)
    if isinstance(value, Iterator):
        return True
    plain = isinstance(value, type) or type(value).__module__ == "builtins"  # text, range, set
    return not plain and is_dataset(value)


def _part(value: Any, name: str) -> Part:
    if isinstance(value, Part):
        return value
    if is_dataset(value):
        if _batches(value) == 0:
            raise DataError(
                f"The {name} part of the data is a dataset without batches. Look at what selects "
                "its elements (filter, skip, take), or leave the part out."
            )
        return Part(value, rows=None)
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        raise refuse_part(value, name)
    x, y, weight = [*(mapped(item, array_of) for item in value), None, None][:3]
    return Part(x, y, weight, same_rows(name, x, y, weight))


def _split(train: Part, holdout: Holdout, seed: int) -> tuple[Part, Part]:
    """Split as Keras does without shuffling: the last rows, ``floor(n * (1 - fraction))`` on."""
    if train.dataset or train.rows is None:
        raise DataError(
            "A fraction for validation needs arrays, got a dataset. "
            "Give the validation part itself: Data(train, validation=dataset)."
        )
    rows = train.rows
    at = math.floor(rows * (1 - holdout.fraction))
    if not 0 < at < rows:
        raise DataError(
            f"validation={holdout.fraction} of {rows} rows leaves {at} for training and "
            f"{rows - at} for validation. Give another fraction."
        )
    if not holdout.shuffle:
        return train.take(slice(None, at)), train.take(slice(at, None))
    order = np.random.default_rng(seed).permutation(rows)
    if holdout.stratify:
        labels = _labels(train)
        share_of_classes(labels, rows - at)
        order = stratified(order, labels, rows - at)
    return train.take(np.sort(order[:at])), train.take(np.sort(order[at:]))


def stratified(order: Any, labels: Any, held: int) -> Any:
    """Reorder shuffled rows so that the last `held` have each class's share (largest remainders)."""
    found, counts = np.unique(labels, return_counts=True)
    exact = counts * held / counts.sum()
    take = np.floor(exact).astype(int)
    for i in np.argsort(exact - take)[::-1][: held - int(take.sum())]:
        take[i] += 1
    kept, out = [], []
    for value, count in zip(found, take, strict=True):
        rows = order[labels[order] == value]
        out.append(rows[:count])
        kept.append(rows[count:])
    return np.concatenate([*kept, *out])


def _labels(part: Part) -> Any:
    y = part.y
    if not isinstance(y, np.ndarray):
        raise DataError("Holdout(stratify=True) needs one array of targets.")
    return y.argmax(axis=-1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y))


def _shape(part: Part) -> Any:
    """The shape of one input without the batch; a dict or list of shapes for several inputs."""
    if not part.dataset:
        return mapped(part.x, lambda array: tuple(int(n) for n in array.shape[1:]))
    spec = getattr(part.x, "element_spec", None)
    if spec is None:
        raise DataError("given.shape: this dataset does not tell the shape of its elements.")
    inputs = spec[0] if isinstance(spec, tuple) else spec
    return mapped(inputs, lambda one: tuple(one.shape[1:]))


def _classes(part: Part) -> int:
    y = part.y
    if part.dataset or not isinstance(y, np.ndarray):
        raise DataError(
            "given.classes needs one array of targets. Write the number of classes in its place."
        )
    if y.ndim == 2 and y.shape[1] > 1:
        return int(y.shape[1])
    if y.dtype.kind == "f" and not np.all(y == np.floor(y)):
        raise DataError(
            "given.classes needs class numbers or one-hot rows as targets, got real numbers. "
            "For regression write the number of outputs."
        )
    numbers = y.dtype.kind in "iubf"
    if not numbers or y.min() < 0:
        got = f"numbers from {int(y.min())}" if numbers else str(y.dtype)
        raise DataError(
            f"given.classes needs classes counted from 0, got {got}. Number the classes, or write "
            "how many there are in its place."
        )
    return int(y.max()) + 1


def _known_rows(part: Part) -> int:
    if part.rows is None:
        raise DataError(
            "given.rows: a dataset does not tell its rows. Write the number in its place."
        )
    return part.rows


def _inputs(part: Part) -> Any:
    """The inputs alone, as `adapt` takes them."""
    if not part.dataset:
        return part.x
    if hasattr(part.x, "map"):
        return part.x.map(lambda *element: element[0])
    raise DataError("given.train needs arrays or a tf.data.Dataset.")


def batches_of(part: Part, batch_size: int | None) -> int:
    """How many batches one pass over the part has.

    Raises:
        DataError: where a dataset does not know.
    """
    if not part.dataset:
        return math.ceil(_known_rows(part) / (batch_size or 32))
    count = _batches(part.x)
    if count is not None and count > 0:
        return count
    raise DataError(
        "given.steps: the dataset does not know how many batches it has. "
        "Give Fit(steps_per_epoch=…), or dataset.apply(tf.data.experimental.assert_cardinality(n))."
    )


def _batches(dataset: Any) -> int | None:
    """How many batches a dataset says it has; None or negative where it does not know."""
    if hasattr(dataset, "cardinality"):  # tf.data: negative if infinite or not known
        return int(dataset.cardinality())
    if hasattr(dataset, "num_batches"):  # PyDataset
        return None if dataset.num_batches is None else int(dataset.num_batches)
    return len(dataset) if hasattr(dataset, "__len__") else None
