"""The words with a table of options: choice and maybe. hyperopt sees only the options' numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast, final

from ..errors import PointError, SpaceError, nearest
from .call import Applicable
from .elsewhere import checked
from .expression import Expression, identical, plain_value, same
from .live import refuse_live
from .names import check_name, part_name
from .words import Word, finite_number

__all__ = ["Choice", "Maybe", "choice", "maybe"]

T = TypeVar("T")


class _Options(Word):
    """A word with a table of options held by us; hyperopt sees only their numbers."""

    points: tuple[Any, ...]  # what each option is in a point
    weights: tuple[float, ...]

    def index(self, value: Any) -> int | None:
        """The number of the option that a point's value names, None if there is none."""
        for alike in (identical, same):  # 1 before 1.0, but 1.0 names the option 1
            for i, point in enumerate(self.points):
                if alike(point, value):
                    return i
        return None

    def check(self, value: Any) -> Any:
        found = self.index(value)
        if found is None:
            text = f"{value!r} is no option of {self!r}. {_options(value, self.points)}"
            if isinstance(value, Mapping):  # what an objective was given is no point
                text += " A point names options, as `.point` does; `.values` is what an objective is given."
            raise PointError(text)
        return self.points[found]

    def quantile(self, share: float) -> Any:
        total = 0.0
        for point, weight in zip(self.points, self.weights, strict=True):
            total += weight
            if share < total:
                return point
        return self.points[-1]

    def size(self) -> int:
        return len(self.points)

    def values(self, steps: int) -> Iterator[Any]:
        return iter(self.points)

    def ends(self) -> tuple[Any, ...]:
        return self.points


@final
class Choice(_Options, Applicable):
    """One of several options.

    Attributes:
        options: the options themselves, in order.
        keys: the name of each option in labels below it.
        points: what each option is in a point: itself if it is plain, else its key.
    """

    def __init__(
        self,
        options: Sequence[Any] | Mapping[str, Any],
        weights: Sequence[float] | Mapping[str, float] | None,
        name: str | None,
    ) -> None:
        names, self.options = _split_options(options)
        refuse_live(self.options)
        self.name = check_name(name)
        self.keys = _option_keys(names, self.options)
        self.points = tuple(
            _point_value(option, key) for option, key in zip(self.options, self.keys, strict=True)
        )
        written = [json.dumps(point) for point in self.points]
        twice = sorted({item for item in written if written.count(item) > 1})
        if twice:
            raise SpaceError(
                f"choice needs options that differ, got {', '.join(twice)} twice. Leave one out; "
                "to make an option more likely give `weights`."
            )
        self.weights = _check_weights(weights, self.keys)
        self.weighted = weights is not None

    def index(self, value: Any) -> int | None:
        found = super().index(value)
        if found is None and isinstance(value, str) and value in self.keys:
            return self.keys.index(value)
        return found

    def option(self, value: Any) -> Any:
        """The option that a point's value names."""
        found = self.index(value)
        if found is None:
            self.check(value)
            raise AssertionError("check raises for what is no option")
        return self.options[found]

    def describe(self) -> dict[str, Any]:
        about: dict[str, Any] = {"word": "choice", "options": list(self.points)}
        if self.weighted:
            about["weights"] = list(self.weights)
        return about

    def __repr__(self) -> str:
        shown = ", ".join(repr(point) for point in self.points[:6])
        return f"choice([{shown}{', …' if len(self.points) > 6 else ''}])"


@final
class Maybe(_Options, Applicable):
    """A part that is there or not. In a point it is true or false at its own label."""

    def __init__(self, part: Any, p: float, name: str | None) -> None:
        number = finite_number(p)
        if number is None or not 0 < number < 1:
            raise SpaceError(
                f"maybe needs 0 < p < 1, got p={p!r}. p is how often the part is there."
            )
        refuse_live(part)
        if part is None:
            raise SpaceError(
                "maybe needs a part, got None. Off already means None (or nothing, in a list)."
            )
        self.part, self.p, self.name = part, number, check_name(name)
        self.points = (False, True)
        self.weights = (1 - number, number)

    def part_name(self) -> str:
        return part_name(self.part)

    def describe(self) -> dict[str, Any]:
        return {"word": "maybe", "p": self.p}

    def __repr__(self) -> str:
        return f"maybe({self.part!r})"


@checked()
def choice(
    options: Sequence[T] | Mapping[str, T],
    weights: Sequence[float] | Mapping[str, float] | None = None,
    *,
    name: str | None = None,
) -> T:
    """One of the options, a list or ``{name: option}``; `weights` are their probabilities.

    An option may be anything: numbers, strings, layers, lists of layers, whole models.

    Raises:
        SpaceError: if options are missing or the same twice, or weights do not sum to 1.
    """
    return cast(T, Choice(options, weights, name))


@checked(text=True)
def maybe(part: T, p: float = 0.5, *, name: str | None = None) -> T:
    """The part, or nothing: off it vanishes from a list of layers and is None as an argument.

    Raises:
        SpaceError: unless 0 < p < 1.
    """
    return cast(T, Maybe(part, p, name))


def _split_options(options: Any) -> tuple[list[str | None], tuple[Any, ...]]:
    if isinstance(options, Mapping):
        names = list(options)
        wrong = [key for key in names if not isinstance(key, str) or not key]
        if wrong:
            raise SpaceError(
                f"choice needs names that are strings, got {wrong[0]!r}. "
                "Write {'name': option}, or a list if the options speak for themselves."
            )
        found: tuple[Any, ...] = tuple(options.values())
    elif isinstance(options, str | bytes | Expression) or not _listable(options):
        raise SpaceError(
            f"choice needs a list of options or {{name: option}}, got {options!r}. "
            "Write choice([a, b])."
        )
    else:
        found = tuple(options)
        names = [None] * len(found)
    if not found:
        raise SpaceError("choice needs at least one option, got none.")
    return names, found


def _listable(options: Any) -> bool:
    return isinstance(options, list | tuple | range) or (
        hasattr(options, "tolist") and getattr(options, "ndim", 0) == 1
    )


def _option_keys(names: Sequence[str | None], options: Sequence[Any]) -> tuple[str, ...]:
    taken: dict[str, int] = {}
    keys = []
    for name, option in zip(names, options, strict=True):
        key = _option_name(option) if name is None else name
        again = taken.get(key, 0)
        taken[key] = again + 1
        keys.append(f"{key}_{again}" if again else key)
    return tuple(keys)


def _option_name(option: Any) -> str:
    try:
        value = plain_value(option)
    except TypeError:
        return part_name(option)
    return value if isinstance(value, str) else json.dumps(value)


def _point_value(option: Any, key: str) -> Any:
    if isinstance(option, float) and not math.isfinite(option):
        raise SpaceError(f"choice cannot offer {option!r}: give a finite number.")
    try:
        return plain_value(option)
    except TypeError:
        return key


def _check_weights(weights: Any, keys: tuple[str, ...]) -> tuple[float, ...]:
    if weights is None:
        return tuple(1 / len(keys) for _ in keys)
    if isinstance(weights, Mapping):
        unknown = [key for key in weights if key not in keys]
        if unknown or len(weights) != len(keys):
            raise SpaceError(
                f"choice needs a weight for each of {', '.join(keys)}, got {dict(weights)!r}."
            )
        weights = [weights[key] for key in keys]
    if isinstance(weights, str | bytes | Expression) or not _listable(weights):
        raise SpaceError(
            f"choice needs one weight for each option, got weights={weights!r}. "
            "Write weights=[0.7, 0.3]."
        )
    numbers = [finite_number(weight) for weight in weights]
    if len(numbers) != len(keys):
        raise SpaceError(
            f"choice has {len(keys)} options but {len(numbers)} weights. Give one each."
        )
    if any(number is None or number <= 0 for number in numbers):
        raise SpaceError(
            f"choice needs weights above 0, got {list(weights)!r}. Leave an unwanted option out."
        )
    shares = [cast(float, number) for number in numbers]
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        fair = [round(share / sum(shares), 4) for share in shares]
        raise SpaceError(
            f"choice needs weights that sum to 1, got {list(weights)!r} (sum {sum(shares):g}). "
            f"Did you mean {fair}?"
        )
    return tuple(shares)


def _options(value: Any, points: Sequence[Any]) -> str:
    return nearest(str(value), [str(point) for point in points])
