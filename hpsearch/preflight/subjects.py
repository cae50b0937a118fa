"""Each output of a model with its loss and its targets, however the three are nested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..build import Part
from .known import Head, KnownLoss, heads_of, known_loss
from .values import Offence, Scans

__all__ = ["Finding", "Subject", "nested", "offending", "subjects", "where"]


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree; `sure` where it cannot be meant."""

    text: str
    sure: bool


@final
@dataclass(frozen=True, slots=True)
class Subject:
    """One output of a model with its loss and its targets.

    Attributes:
        loss: the loss, and how it is written: ``loss['b']='mse'``.
        output: what the untrained model gives, of shape (rows, ..., outputs).
        key: how the targets are written: ``y``, ``y['b']``.
        targets: the targets of each part, by its name.
        weighted: the names of parts in which some rows count nothing.
        trained: the targets that are trained with, after the split; None where not known.
    """

    loss: KnownLoss
    written: str
    output: Any
    head: Head | None
    key: str
    targets: dict[str, Any]
    weighted: set[str]
    trained: Any = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of a row of the targets and of the output."""
        target = next(iter(self.targets.values()))
        return tuple(target.shape[1:]), tuple(self.output.shape[1:])


def subjects(
    model: Any,
    loss: Any,
    place: str,
    outputs: Any,
    parts: Mapping[str, Part],
    trained: Part | None = None,
) -> Iterator[Subject]:
    """Each output with its loss and targets; none where the three are not structured alike.

    Args:
        trained: the rows that are trained with, where `parts` are those before the split.
    """
    heads = heads_of(model, outputs)
    weighted = {name for name, part in parts.items() if _some_count_nothing(part.weight)}
    for place_of_loss, one, key, pick in _paired(loss, place, outputs, model):
        known = None if one is None else known_loss(one)
        targets = {name: pick(part.y) for name, part in parts.items()}
        numbers = {name: y for name, y in targets.items() if _is_numbers(y)}
        if known is not None and "train" in numbers and len(numbers) == len(targets):
            written = f"{place_of_loss}={known.text}"
            kept = None if trained is None else pick(trained.y)
            yield Subject(known, written, pick(outputs), pick(heads), key, numbers, weighted, kept)


def _paired(
    loss: Any, place: str, outputs: Any, model: Any
) -> Iterator[tuple[str, Any, str, Callable[[Any], Any]]]:
    """(where the loss stands, the loss, how the targets are written, what picks them) of each output."""
    if not isinstance(outputs, list | tuple | Mapping):
        if not isinstance(loss, list | tuple | Mapping):
            yield place, loss, "y", lambda value: None if nested(value) else value
        return
    names = getattr(model, "output_names", None)
    for key in outputs if isinstance(outputs, Mapping) else range(len(outputs)):
        name = names[key] if names and isinstance(key, int) and key < len(names) else key
        if isinstance(loss, Mapping):
            yield f"{place}[{name!r}]", loss.get(name), f"y[{name!r}]", _picking(key, name)
        elif isinstance(loss, list | tuple):
            one = loss[key] if isinstance(key, int) and len(loss) == len(outputs) else None
            yield f"{place}[{key}]", one, f"y[{key!r}]", _picking(key, name)
        else:
            yield place, loss, f"y[{key!r}]", _picking(key, name)


def _picking(key: Any, name: Any) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        if isinstance(value, Mapping):
            return value.get(key, value.get(name))
        whole = isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
        return value[key] if whole else None

    return pick


def nested(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _is_numbers(value: Any) -> bool:
    return hasattr(value, "shape") and np.asarray(value[:1]).dtype.kind in "biuf"


def _some_count_nothing(weight: Any) -> bool:
    if weight is None:
        return False
    return nested(weight) or not bool(np.all(np.asarray(weight)))


def offending(
    subject: Subject,
    digest: str,
    scans: Scans,
    rule: tuple[Any, ...],
    find: Callable[[Any], Offence | None],
    left_out: set[str] | frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Any, Offence]]:
    """(part, targets, offence) for each part whose targets break the rule."""
    for part, y in subject.targets.items():
        if part in left_out:
            continue
        found = scans.once((digest, part, subject.key, *rule), lambda a=y: find(a))  # type: ignore[misc]
        if found is not None:
            yield part, y, found


def where(subject: Subject, part: str, found: Offence) -> str:
    several = found.count > 1
    return (
        f"{f'{found.count} rows' if several else 'one row'} of {subject.key} of the {part} part "
        f"{'are' if several else 'is'} outside, "
        f"the first is {subject.key}{found.place} = {found.value:.6g}"
    )
