"""When parameters are active, as routes through switches that hyperopt understands itself.

A route leads from the root to a parameter. A `Turn` takes one option of a choice: hyperopt's own
`switch` on the choice's node. A `Test` asks any other condition. hyperopt cannot compile a switch
that reads a label inside a branch which the same label decides (its graph becomes a circle), so a
place that would need one is tested as a whole at the root instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from ..declare import Choice, Maybe
from ..space import Guard, Parameter, Parameters
from ..trial import Value

__all__ = ["Branch", "Route", "Test", "Turn", "grow"]

GuardKey: TypeAlias = tuple[int, str]


@final
@dataclass(frozen=True, slots=True)
class Turn:
    """Option number `index` of the choice `label`, out of `count`."""

    label: str
    index: int
    count: int

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label,)


@final
@dataclass(frozen=True, eq=False)
class Test:
    """Whether all guards of any place hold, computed from the values of labels.

    Attributes:
        labels: the labels whose values it is called with, in order; None for an inactive one.
        constants: labels whose values are known where the test stands.
        rooted: whether it stands at the root, where the labels it reads may be inactive.
        label_of: the label of a word.
    """

    places: tuple[tuple[Guard, ...], ...]
    labels: tuple[str, ...]
    constants: Mapping[str, Value]
    rooted: bool
    label_of: Callable[[Any], str]

    def __call__(self, values: Iterable[Value | None], active: Iterable[bool]) -> bool:
        known = dict(self.constants)
        for label, value, there in zip(self.labels, values, active, strict=True):
            if there:
                known[label] = value
        return any(all(self._holds(guard, known) for guard in place) for place in self.places)

    def _holds(self, guard: Guard, known: Mapping[str, Value]) -> bool:
        if not all(label in known for label in guard.labels):
            return False
        return guard.holds(lambda word: known[self.label_of(word)])

    @property
    def key(self) -> tuple[tuple[GuardKey, ...], ...]:
        """Equal for tests of the same guards."""
        return tuple(tuple(_key(guard) for guard in place) for place in self.places)


Route: TypeAlias = tuple[Turn | Test, ...]


@final
@dataclass(eq=False, slots=True)
class Branch:
    """What is active together: labels, and the branches below."""

    labels: dict[str, None] = field(default_factory=dict)
    turns: dict[str, list[Branch]] = field(default_factory=dict)
    tests: dict[Any, tuple[Test, Branch]] = field(default_factory=dict)

    def follow(self, step: Turn | Test) -> Branch:
        """Return the branch that one step leads to, made if it is new."""
        if isinstance(step, Turn):
            options = self.turns.setdefault(step.label, [Branch() for _ in range(step.count)])
            return options[step.index]
        return self.tests.setdefault(step.key, (step, Branch()))[1]

    @property
    def empty(self) -> bool:
        return not (self.labels or self.turns or self.tests)


class _Entangled(Exception):
    """A place reads a label that may be inactive, or twice: it has no route of its own."""


@final
@dataclass(frozen=True, slots=True)
class _Here:
    """What is known on the way: values of labels, labels read by tests, guards that hold."""

    values: dict[str, Value]
    tested: frozenset[str] = frozenset()
    held: frozenset[GuardKey] = frozenset()


def grow(parameters: Parameters) -> Branch:
    """Return the tree of the free parameters."""
    table = {parameter.label: parameter for parameter in parameters.free}
    planner = _Planner(parameters, table)
    routes = {label: list(planner.routes(item)) for label, item in table.items()}
    if _circular(routes, table):
        routes = {label: [planner.rooted(item.places)] for label, item in table.items()}
    root = Branch()
    for label, ways in routes.items():
        for route in ways:
            branch = root
            for step in route:
                branch = branch.follow(step)
            branch.labels[label] = None
    return root


@final
class _Planner:
    """Finds the routes to each parameter."""

    def __init__(self, parameters: Parameters, table: Mapping[str, Parameter]) -> None:
        self._parameters = parameters
        self._table = table

    def routes(self, parameter: Parameter) -> Iterator[Route]:
        """One route or more for each place; one alone if the parameter is always active."""
        places = ((),) if parameter.always else parameter.places
        for place in places:
            try:
                yield from list(self._onward(place, _Here(dict(self._parameters.fixed))))
            except _Entangled:
                yield self.rooted((place,))

    def rooted(self, places: tuple[tuple[Guard, ...], ...]) -> Route:
        """The route that tests the places as a whole at the root."""
        if any(not place for place in places):
            return ()
        reads = dict.fromkeys(label for place in places for g in place for label in g.labels)
        labels = tuple(label for label in reads if label in self._table)
        fixed = self._parameters.fixed
        return (Test(places, labels, fixed, rooted=True, label_of=self._parameters.label),)

    def _onward(self, place: tuple[Guard, ...], here: _Here) -> Iterator[Route]:
        if not place:
            yield ()
            return
        guard, rest = place[0], place[1:]
        unknown = tuple(label for label in guard.labels if label not in here.values)
        if any(label in here.tested or not self._active(label, here) for label in unknown):
            raise _Entangled
        held = here.held | {_key(guard)}
        if not unknown:
            if self._holds(guard, here.values):
                yield from self._onward(rest, _Here(here.values, here.tested, held))
        elif len(unknown) == 1 and isinstance(self._table[unknown[0]].word, Choice | Maybe):
            yield from self._turns(guard, unknown[0], rest, _Here(here.values, here.tested, held))
        else:
            test = Test(
                ((guard,),), unknown, here.values, rooted=False, label_of=self._parameters.label
            )
            beyond = _Here(here.values, here.tested | set(unknown), held)
            for route in self._onward(rest, beyond):
                yield (test, *route)

    def _turns(
        self, guard: Guard, label: str, rest: tuple[Guard, ...], here: _Here
    ) -> Iterator[Route]:
        """Every option of the choice with which the guard holds."""
        points = self._table[label].word.points
        for index, point in enumerate(points):
            values = {**here.values, label: point}
            if self._holds(guard, values):
                for route in self._onward(rest, _Here(values, here.tested, here.held)):
                    yield (Turn(label, index, len(points)), *route)

    def _active(self, label: str, here: _Here) -> bool:
        """Whether the label is certainly active where we are."""
        parameter = self._table.get(label)
        return parameter is not None and any(
            all(_key(guard) in here.held for guard in place) for place in parameter.places
        )

    def _holds(self, guard: Guard, values: Mapping[str, Value]) -> bool:
        return guard.holds(lambda word: values[self._parameters.label(word)])


def _key(guard: Guard) -> GuardKey:
    """Conditions compare by identity (`==` makes a condition), what is expected by value."""
    return (id(guard.condition), json.dumps(guard.expected))


def _circular(routes: Mapping[str, list[Route]], table: Mapping[str, Parameter]) -> bool:
    """Whether some label's being asked for would depend on its own value."""
    needs: dict[str, set[str]] = {label: set() for label in table}
    for label, ways in routes.items():
        for route in ways:
            before: set[str] = set()
            for step in route:
                for read in step.labels:
                    needs[read] |= before
                before |= set(step.labels)
            needs[label] |= before
    for route in (route for ways in routes.values() for route in ways):
        for step in route:
            if isinstance(step, Test) and step.rooted:
                _add_readings(step.labels, table, needs)
    return any(_reaches(label, label, needs) for label in needs)


def _add_readings(
    labels: Iterable[str], table: Mapping[str, Parameter], needs: dict[str, set[str]]
) -> None:
    """A label read at the root is read under the condition that it is active."""
    todo, done = list(labels), set[str]()
    while todo:
        label = todo.pop()
        if label in done or table[label].always:
            continue
        done.add(label)
        reads = {name for place in table[label].places for g in place for name in g.labels}
        needs[label] |= reads & needs.keys()
        todo += reads & needs.keys()


def _reaches(start: str, goal: str, needs: Mapping[str, set[str]]) -> bool:
    todo, done = list(needs[start]), set[str]()
    while todo:
        label = todo.pop()
        if label == goal:
            return True
        if label not in done:
            done.add(label)
            todo += needs[label]
    return False
