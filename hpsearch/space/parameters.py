"""The search parameters of a space as a flat table: label, word, and when it is active.

This is all that an algorithm sees. Whether a parameter is active follows from the values of
others, through guards; a point holds the values of the active ones only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from ..declare import Choice, Expression, Maybe, Word, identical
from ..errors import IllegalPoint, PointError, SpaceError, nearest
from ..trial import Point, Value

__all__ = ["Guard", "Parameter", "Parameters"]


@final
@dataclass(frozen=True, eq=False, slots=True)
class Guard:
    """Holds when `condition` has the value `expected`.

    Attributes:
        condition: a choice or maybe itself, or any condition on words.
        expected: the option's value in a point; True for conditions.
        labels: the labels that the condition reads.
    """

    condition: Expression
    expected: Value
    labels: tuple[str, ...]

    def holds(self, lookup: Callable[[Any], Any]) -> bool:
        return identical(self.condition.value(lookup), self.expected)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Parameter:
    """One search parameter.

    Attributes:
        places: where it is used; active if all guards of any place hold. A place without guards
            means always.
    """

    label: str
    word: Word
    places: tuple[tuple[Guard, ...], ...]

    @property
    def always(self) -> bool:
        """Whether the parameter is active at every point."""
        return any(not place for place in self.places)


class _Inactive(Exception):
    """A constraint reads a label that is not active: it does not apply."""


@final
class Parameters(Mapping[str, Parameter]):
    """The table, ordered so that what decides about a parameter stands before it.

    Args:
        items: the parameters, labels unique.
        require: conditions on words, or predicates over a point; see `violated`.
        fixed: values that labels have wherever they are active.
    """

    def __init__(
        self,
        items: Sequence[Parameter],
        require: Sequence[Any] = (),
        fixed: Mapping[str, Value] | None = None,
    ) -> None:
        table = {item.label: _essential(item) for item in items}
        self._table = {label: table[label] for label in _ordered(table)}
        self._labels = {id(item.word): item.label for item in items}
        self.require = tuple(require)
        self.fixed: dict[str, Value] = {}
        for label, value in (fixed or {}).items():
            self.fixed[self.known(label)] = self._checked(self.known(label), value)
        self.free = tuple(self._free())

    def __getitem__(self, label: str) -> Parameter:
        return self._table[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def label(self, word: Any) -> str:
        """The label of a word of this space."""
        return self._labels[id(word)]

    def known(self, name: str) -> str:
        """Return the label that `name` is, or is the unambiguous tail of.

        Raises:
            PointError: if there is none, or more than one.
        """
        if name in self._table:
            return name
        tails = [label for label in self._table if label.endswith(f".{name}")]
        if len(tails) == 1:
            return tails[0]
        if tails:
            raise PointError(f"{name!r} could be any of {', '.join(tails)}. Write one of them.")
        near = [*self._table, *(label.rpartition(".")[2] for label in self._table)]
        raise PointError(f"The space has no label {name!r}. {nearest(name, near)}")

    def agrees(self, point: Mapping[str, Value]) -> bool:
        """Whether a point has the fixed values, of the labels that it has."""
        return not self.differing(point)

    def differing(self, point: Mapping[str, Value]) -> list[str]:
        """The fixed labels of which a point has another value."""
        return [
            label
            for label, value in self.fixed.items()
            if label in point and not identical(point[label], value)
        ]

    def idle(self) -> list[str]:
        """The fixed labels that other fixed ones switch off.

        Of a condition on several labels that is known where all of them are fixed.
        """
        return [
            label
            for label in self.fixed
            if all(self._undecided(place) is None for place in self._table[label].places)
        ]

    def with_fixed(self, values: Mapping[str, Value]) -> Parameters:
        """The same table with more labels fixed."""
        return Parameters(list(self._table.values()), self.require, {**self.fixed, **values})

    def complete(self, choose: Callable[[Parameter], Value]) -> Point:
        """Make a point: ask `choose` for the value of each active parameter that is not fixed."""
        point: Point = {}
        for parameter in self._table.values():
            if self._active(parameter, point):
                label = parameter.label
                point[label] = self.fixed[label] if label in self.fixed else choose(parameter)
        return point

    def check(self, values: Mapping[str, Value]) -> Point:
        """Return a full point with every value as its word writes it.

        Raises:
            PointError: for an unknown, inactive or missing label, or an illegal value.
        """
        given = self.check_partial(values)
        missing: list[str] = []

        def take(parameter: Parameter) -> Value:
            if parameter.label not in given:
                missing.append(parameter.label)
                return parameter.word.quantile(0.5)
            return given[parameter.label]

        point = self.complete(take)
        if missing:
            raise PointError(
                f"The point lacks {', '.join(missing)}. Every active label needs a value."
            )
        idle = [label for label in given if label not in point]
        if idle:
            raise PointError(
                f"{idle[0]!r} is not active in this point: {self.why_inactive(idle[0], point)}."
            )
        return point

    def check_partial(self, values: Mapping[str, Value]) -> Point:
        """Return the given labels in full and their values as their words write them."""
        if not isinstance(values, Mapping):
            raise PointError(f"A point is {{label: value}}, got {values!r}.")
        found: Point = {}
        for name, value in values.items():
            label = self.known(str(name))
            if label in found:
                raise PointError(f"The point gives {label!r} twice. Write it once.")
            found[label] = self._checked(label, value)
        return found

    def check_reachable(self, values: Mapping[str, Value]) -> Point:
        """`check_partial`, and no given label is switched off by another given one.

        Raises:
            PointError: also if they are not allowed by `require`, as far as they say.
        """
        given = self.check_partial(values)
        asked = self.with_fixed(given)
        for label in asked.idle():
            if label in given:
                why = self.why_inactive(label, asked.fixed)
                raise PointError(f"{label!r} is not active in this point: {why}.")
        self._check_required(given)
        return given

    def implied(self, given: Point) -> Point:
        """The options without which a given label would not be active: units of an mlp need the mlp."""
        needed: Point = {}
        for label in given:
            places = self._table[label].places
            for guard in places[0] if len(places) == 1 else ():
                if isinstance(guard.condition, Choice | Maybe):
                    needed[guard.labels[0]] = guard.expected
        return needed

    def _check_required(self, given: Point) -> None:
        """Raise IllegalPoint if all points that have the given values, or this one, violate `require`."""
        implied = self.implied(given)
        wanted = implied | self.fixed | given
        known = self.with_fixed(wanted)
        point = known.complete(lambda p: p.word.quantile(0.5))
        partly = not point.keys() <= wanted.keys()
        if partly:  # of what is fixed only what is active for certain
            sure = {
                label
                for label in wanted
                if any(known._undecided(place) == () for place in self._table[label].places)
            }
            sure |= given.keys() | implied.keys()
            point = {label: value for label, value in wanted.items() if label in sure}
        self.legal(point, partly=partly)

    def try_constraints(self) -> None:
        """Compute every constraint on a few points, so that one that cannot be is found now.

        Raises:
            SpaceError: if one reads an unknown label, or raises.
        """
        if self.require:
            most = max(len(p.word.ends()) for p in self._table.values()) if self._table else 0
            for turn in range(-1, most):
                self.violated(self.complete(lambda p: _turned(p.word, turn)))  # noqa: B023

    def why_inactive(self, label: str, point: Point, of: str = "the point") -> str:
        """Say which values the label would need, and which the point has, or what it is `of`."""
        needs = [
            " and ".join(f"{self._told(guard.condition)} is {guard.expected!r}" for guard in place)
            for place in self._table[label].places
        ]
        reads = {name for place in self._table[label].places for g in place for name in g.labels}
        has = ", ".join(f"{name}={point[name]!r}" for name in sorted(reads) if name in point)
        return f"it needs {' or '.join(needs)}; {of} has {has or 'none of these'}"

    def _told(self, condition: Expression) -> str:
        """A word of this space by its label, any other condition as it is written."""
        return self._labels.get(id(condition)) or repr(condition)

    @property
    def constraints(self) -> list[str]:
        """What is required, as messages name it: a condition as it is written, a function by its place."""
        return [_constraint_name(number, item) for number, item in enumerate(self.require)]

    def violated(self, point: Point, *, partly: bool = False) -> str | None:
        """Return the first constraint that the point violates, None if it is legal.

        A constraint that reads an inactive label does not apply.

        Args:
            partly: whether the point may lack labels, so that only conditions on words that it has
                are known to be violated.

        Raises:
            SpaceError: if a constraint cannot be computed.
        """
        for number, constraint in enumerate(self.require):
            name = _constraint_name(number, constraint)
            try:
                if isinstance(constraint, Expression):
                    holds = constraint.value(lambda word: self._required(word, point))
                elif partly:
                    continue
                else:
                    holds = constraint(_Reading(point, self._table))
            except _Inactive:
                continue
            except Exception as error:
                raise SpaceError(
                    f"The constraint {name} cannot be computed: {type(error).__name__}: {error}"
                ) from error
            if not holds:
                return name
        return None

    def legal(self, point: Point, *, partly: bool = False) -> Point:
        """Return the point, or raise IllegalPoint naming the constraint that it violates."""
        name = self.violated(point, partly=partly)
        if name is not None:
            raise IllegalPoint(f"The point violates the constraint {name}: {point!r}.")
        return point

    def _required(self, word: Any, point: Point) -> Value:
        label = self._labels.get(id(word))
        if label is None:
            raise SpaceError(f"{word!r} stands nowhere in the space. Use the same word there.")
        if label not in point:
            raise _Inactive
        return point[label]

    def _checked(self, label: str, value: Value) -> Value:
        try:
            return self._table[label].word.check(value)
        except PointError as error:
            raise PointError(f"{label}: {error}") from None
        except RecursionError:
            raise PointError(
                f"{label}: the value is nested more deeply than any option. Write an option itself."
            ) from None

    def _active(self, parameter: Parameter, point: Mapping[str, Value]) -> bool:
        def lookup(word: Any) -> Value:
            return point[self._labels[id(word)]]

        return any(
            all(self._readable(guard, point) and guard.holds(lookup) for guard in place)
            for place in parameter.places
        )

    @staticmethod
    def _readable(guard: Guard, point: Mapping[str, Value]) -> bool:
        return all(label in point for label in guard.labels)

    def _free(self) -> Iterator[Parameter]:
        """The parameters left to choose, without the guards that the fixed labels decide."""
        for parameter in self._table.values():
            if parameter.label in self.fixed:
                continue
            places = [self._undecided(place) for place in parameter.places]
            reachable = tuple(place for place in places if place is not None)
            if reachable:
                yield Parameter(parameter.label, parameter.word, reachable)

    def _undecided(self, place: tuple[Guard, ...]) -> tuple[Guard, ...] | None:
        left = []
        for guard in place:
            if not all(label in self.fixed for label in guard.labels):
                left.append(guard)
            elif not guard.holds(lambda word: self.fixed[self._labels[id(word)]]):
                return None
        return tuple(left)


class _Reading(dict[str, Any]):
    """A point as a predicate reads it: an inactive label ends the constraint, an unknown one fails."""

    def __init__(self, point: Point, table: Mapping[str, Parameter]) -> None:
        super().__init__(point)
        self._table = table

    def __missing__(self, label: str) -> Any:
        if label in self._table:
            raise _Inactive
        raise PointError(f"the space has no label {label!r}. {nearest(label, self._table)}")

    def get(self, label: str, default: Any = None) -> Any:
        if label not in self._table:
            self.__missing__(label)
        return super().get(label, default)


def _turned(word: Word, turn: int) -> Value:
    """The middle for -1, else end or option number `turn`, over and over."""
    ends = word.ends()
    return word.quantile(0.5) if turn < 0 else ends[turn % len(ends)]


def _constraint_name(number: int, constraint: Any) -> str:
    if isinstance(constraint, Expression):
        return repr(constraint)
    name = getattr(constraint, "__name__", "<lambda>")
    return f"require[{number}]" if name == "<lambda>" else f"{name} (require[{number}])"


def _essential(parameter: Parameter) -> Parameter:
    """Without the places that ask for more than another does: they add nothing but circles.

    A condition on a repeat's own `times` inside its block is such a place of `times`.
    """
    places = parameter.places
    keys = [
        frozenset((id(guard.condition), json.dumps(guard.expected)) for guard in place)
        for place in places
    ]
    needed = [
        place
        for i, place in enumerate(places)
        if not any(other < keys[i] or (other == keys[i] and j < i) for j, other in enumerate(keys))
    ]
    return Parameter(parameter.label, parameter.word, tuple(needed))


def _ordered(table: Mapping[str, Parameter]) -> list[str]:
    """Labels with those that guards read before those they decide about, else as declared."""
    done: dict[str, None] = {}
    under_way: set[str] = set()

    def visit(label: str) -> None:
        if label in done:
            return
        if label in under_way:
            raise SpaceError(f"The condition on {label!r} depends on itself. Remove the circle.")
        under_way.add(label)
        for place in table[label].places:
            for guard in place:
                for read in guard.labels:
                    visit(read)
        done[label] = None

    for label in table:
        visit(label)
    return list(done)
