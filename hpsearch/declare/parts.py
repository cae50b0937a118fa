"""What switches, repeats and adapts the parts of a model: when, match, repeat, adapted."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast, final

from ..errors import SpaceError
from .call import Applicable, Call, Recorder
from .expression import Condition, Derived, Expression, Given, same
from .live import refuse_live
from .names import function_name, part_name
from .options import Choice, Maybe
from .words import Integer, Word

__all__ = ["Adapted", "Match", "Repeat", "When", "adapted", "match", "repeat", "when"]

T = TypeVar("T")
MOST_BLOCKS = 1000


@final
class When(Applicable):
    """A part that is there if a condition on words holds."""

    def __init__(self, condition: Any, part: Any) -> None:
        if not isinstance(condition, Expression) or isinstance(condition, Call | Recorder):
            raise SpaceError(
                f"when needs a condition on a word, got {condition!r}. "
                "Write for example when(depth == 'four', layers.Dense(100))."
            )
        if isinstance(condition, Choice) and not all(isinstance(p, bool) for p in condition.points):
            raise SpaceError(
                f"when needs a condition, got {condition!r}. Compare it: "
                f"when(word == {condition.points[0]!r}, part)."
            )
        refuse_live(part)
        self.condition, self.part = condition, part

    def part_name(self) -> str:
        return part_name(self.part)

    def __repr__(self) -> str:
        return f"when({self.condition!r}, {self.part!r})"


@final
class Match(Applicable):
    """The part that belongs to the value of a word elsewhere. Adds no parameter."""

    def __init__(self, word: Any, cases: Any, otherwise: tuple[Any, ...]) -> None:
        if not isinstance(word, Word | Derived | Condition | Given):
            raise SpaceError(
                f"match needs a word to look at, got {word!r}. Name a choice and give it here: "
                "match(backbone, {'a': …, 'b': …})."
            )
        if not isinstance(cases, Mapping) or not cases:
            raise SpaceError(f"match needs {{value: part}}, got {cases!r}.")
        refuse_live(list(cases.values()))
        if isinstance(word, Word):
            cases = {_hashable(word.compared(value)): part for value, part in cases.items()}
        self.word, self.cases, self.otherwise = word, dict(cases), otherwise
        missing = [] if otherwise else [v for v in _all_values(word) if not _among(v, self.cases)]
        if missing or (not otherwise and not isinstance(word, Choice | Maybe | Integer)):
            lacks = ", ".join(repr(v) for v in missing[:6]) or "any other value"
            raise SpaceError(
                f"match has no part for {lacks} of {word!r}. "
                "Add it, or give otherwise=… (None for nothing)."
            )

    def conditions(self) -> list[tuple[Any, Any]]:
        """(condition, part) for each case in order, the last for `otherwise`."""
        tests = [Condition("==", self.word, _listed(value)) for value in self.cases]
        rows = list(zip(tests, self.cases.values(), strict=True))
        if self.otherwise:
            rest = Condition("~", functools.reduce(lambda a, b: Condition("|", a, b), tests))
            rows.append((rest, self.otherwise[0]))
        return rows

    def __repr__(self) -> str:
        return f"match({self.word!r}, {{{', '.join(repr(value) for value in self.cases)}}})"


@final
class Repeat(Applicable):
    """A block of layers, so many times. Block 0 is the same block whatever the number.

    Attributes:
        blocks: the blocks, declared once each, as many as there may be.
        times: how many of them are built: an int, an integer or a choice of whole numbers.
    """

    def __init__(self, block: Any, times: Any) -> None:
        most = _most_blocks(times)
        self.times = times
        self.block_name = part_name(block)
        self.blocks = tuple(_make_block(block, i) for i in range(most))

    def part_name(self) -> str:
        return self.block_name

    def __repr__(self) -> str:
        return f"repeat({self.block_name}, times={self.times!r})"


@final
class Adapted(Applicable):
    """A layer that learns from data before training, such as `Normalization`."""

    def __init__(self, layer: Any, on: Any) -> None:
        if not isinstance(layer, Call):
            raise SpaceError(
                f"adapted needs a recorded layer, got {layer!r}. "
                "Write adapted(layers.Normalization(), on=given.train)."
            )
        self.layer, self.on = layer, on

    def part_name(self) -> str:
        return part_name(self.layer)

    def __repr__(self) -> str:
        return f"adapted({self.layer!r}, on={self.on!r})"


def when(condition: Any, part: T) -> T:
    """The part if the condition holds; else nothing: it vanishes from a list, is None as an argument.

    Raises:
        SpaceError: if the condition is not made from a word.
    """
    return cast(T, When(condition, part))


def match(word: Any, cases: Mapping[Any, T], *, otherwise: Any = ...) -> T:
    """The part that belongs to the value of `word`, a choice or integer that stands elsewhere.

    Raises:
        SpaceError: if a case can never happen, or a value has no case and `otherwise` is not given.
    """
    return cast(T, Match(word, cases, () if otherwise is ... else (otherwise,)))


def repeat(block: Callable[..., Any] | Any, times: int) -> Any:
    """Blocks of layers in a list: ``block(i)`` is called once for each block that there may be.

    `block` takes the block's number from 0 (or nothing) and returns a layer or a list of layers;
    `times` is a whole number, an `integer` or a `choice` of whole numbers, 0 included.

    Raises:
        SpaceError: if `times` is none of these, or the block returns nothing.
    """
    return Repeat(block, times)


def adapted(layer: T, on: Any) -> T:
    """The layer after ``layer.adapt(on)``, which runs in the trial: `on` is mostly `given.train`.

    Raises:
        SpaceError: if `layer` is not a recorded layer.
    """
    return cast(T, Adapted(layer, on))


def _most_blocks(times: Any) -> int:
    counts: Sequence[Any]
    if isinstance(times, Integer):
        counts = [times.low, times.high]
    elif isinstance(times, Choice):
        counts = times.options
    else:
        counts = [times]
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in counts):
        raise SpaceError(
            "repeat needs times to be a whole number from 0, an integer or a choice of whole "
            f"numbers, got {times!r}."
        )
    if max(counts) > MOST_BLOCKS:
        raise SpaceError(f"repeat makes at most {MOST_BLOCKS} blocks, got times={times!r}.")
    return int(max(counts))


def _make_block(block: Any, i: int) -> Any:
    if isinstance(block, Expression | list | tuple) and not isinstance(block, Recorder):
        return block
    if not callable(block):
        raise SpaceError(
            f"repeat needs a function that returns layers, got {block!r}. "
            "Write repeat(lambda i: [layers.Dense(64)], times=integer(1, 3))."
        )
    takes = isinstance(block, Recorder) or _takes_number(block)
    made = block(i) if takes else block()
    refuse_live(made)
    if made is None:
        raise SpaceError(
            f"repeat needs a block that returns a layer or a list, got None from "
            f"{function_name(block)}({i}). Add the `return`."
        )
    return made


def _takes_number(function: Callable[..., Any]) -> bool:
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    try:
        return any(p.kind in kinds for p in inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True


def _all_values(word: Any) -> list[Any]:
    if isinstance(word, Choice | Maybe):
        return list(word.points)
    if isinstance(word, Integer):
        return list(word.values(0))
    return []


def _among(value: Any, cases: Mapping[Any, Any]) -> bool:
    return any(same(_listed(case), value) for case in cases)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
