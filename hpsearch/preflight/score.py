"""`evaluate` tried on a few rows: what it is called with, what it reports, and why it fails if it does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..build import Construction, Part, Parts
from .explain import said
from .judge import first_rows

__all__ = ["scores_of"]

SMALL = 5000  # rows of all parts, which take no longer than a batch does


def scores_of(model: Any, made: Construction) -> tuple[tuple[str, ...], str | None]:
    """The names of the scores that `evaluate` gives of the untrained model, or why it gives none.

    It is called with the first rows of each part of arrays and a batch of each dataset, then, if
    it raises, with all rows where they are few: a score may need more than one batch has.

    Returns:
        (names, None), or ((), a warning).
    """
    tries: list[tuple[str, Callable[[], Parts]]] = [
        ("on the first batch of each part", lambda: _each(made.parts, _batch))
    ]
    if sum(part.rows or SMALL + 1 for part in _present(made.parts)) <= SMALL:
        tries.append(("on an untrained model", lambda: made.parts))
    for place, parts in tries:
        try:
            with warnings.catch_warnings():  # a batch may lack what a score is over, a class say
                warnings.simplefilter("ignore")
                scores = made.function("evaluate")(model, parts())
                names = _names(scores)
        except Exception as error:
            failed = f"{place}, this one raises: {said(error)}"
        else:
            return names, None
    few = "" if len(tries) > 1 else "; if it only needs more rows, leave it"
    return (), f"A trial whose evaluate raises has failed; {failed}. Look at this line{few}."


def _names(scores: Any) -> tuple[str, ...]:
    """The names of scores, each of which is a number."""
    if not isinstance(scores, Mapping):
        raise TypeError(f"evaluate must return {{name: number}}, got {type(scores).__name__}")
    for value in scores.values():
        float(value)
    return tuple(str(name) for name in scores)


def _each(parts: Parts, function: Callable[[Part], Part]) -> Parts:
    names = ("train", "validation", "test")
    some = {name: getattr(parts, name) for name in names if getattr(parts, name) is not None}
    return Parts(**{name: function(part) for name, part in some.items()})


def _present(parts: Parts) -> list[Part]:
    every = (parts.train, parts.validation, parts.test)
    return [part for part in every if part is not None]


def _batch(part: Part) -> Part:
    """The first rows of a part; of a dataset one of its first batch."""
    if not part.dataset:
        return first_rows(part)
    if hasattr(part.x, "take"):
        return Part(part.x.take(1))
    return Part(_first_of(part.x)) if hasattr(part.x, "__getitem__") else part


def _first_of(dataset: Any) -> Any:
    """A PyDataset of the first batch of another."""
    import keras

    class First(keras.utils.PyDataset):  # type: ignore[misc]
        @property
        def num_batches(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return dataset[index]

    return First()
