"""A table of parameters compiled into hyperopt's search expression, and points read back from it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, final

from hyperopt.base import Domain
from hyperopt.pyll import scope

from ..errors import PointError
from ..space import Parameter, Parameters
from ..trial import Point, Value
from .raw import from_raw, prior, to_raw
from .tree import Branch, Test, grow

__all__ = ["Compiled"]


@final
class Compiled:
    """One hyperopt parameter for each free label, inside the switches that decide about it.

    Attributes:
        parameters: the table it was made from.
        expression: nested dicts of nodes, as `hyperopt.fmin` takes them. Labels are keys; the
            other keys hold branches and have a space in them, which no label has.
        labels: the labels in the expression. Fixed and unreachable ones are not.
    """

    def __init__(self, parameters: Parameters) -> None:
        _register()
        self.parameters = parameters
        self._nodes: dict[str, Any] = {}
        self._readings: dict[str, Any] = {}
        self._free = {parameter.label: parameter for parameter in parameters.free}
        self.expression: dict[str, Any] = self._branch(grow(parameters))
        self.labels = tuple(label for label in self._free if label in self._nodes)

    @functools.cached_property
    def domain(self) -> Any:
        """The expression as hyperopt's algorithms take it."""
        return Domain(_never_called, self.expression)

    def encode(self, label: str, value: Value) -> int | float:
        """Return hyperopt's raw value; raise PointError for a value that is not legal."""
        return to_raw(self.parameters[label].word, value)

    def decode(self, label: str, raw: Any) -> Value:
        """Return the value for a raw value; raise PointError for what is none."""
        try:
            return from_raw(self.parameters[label].word, raw)
        except PointError as error:
            raise PointError(f"{label}: {error}") from None

    def encode_point(self, point: Mapping[str, Value]) -> dict[str, int | float]:
        """Return the raw values of what can be encoded: other labels and values are left out."""
        raws = {}
        for label in self.labels:
            if label in point:
                try:
                    raws[label] = self.encode(label, point[label])
                except PointError:
                    continue  # a point of an older space, say
        return raws

    def decode_point(self, raws: Mapping[str, Any]) -> Point:
        """Return the complete point for the raw values of its active labels.

        Raises:
            PointError: if an active label is missing, or a raw value cannot be read.
        """

        def choose(parameter: Parameter) -> Value:
            if parameter.label not in raws:
                raise PointError(
                    f"Every active label needs a raw value, but {parameter.label!r} has none among "
                    f"{', '.join(raws) or 'nothing'}. Pass on what hyperopt gave, unchanged."
                )
            return self.decode(parameter.label, raws[parameter.label])

        return self.parameters.complete(choose)

    def _branch(self, branch: Branch) -> dict[str, Any]:
        """Return a branch as nodes; labels first, so that they are made in their order."""
        inside = {label: self._node(label) for label in branch.labels}
        for label, options in branch.turns.items():
            parts = [None if option.empty else self._branch(option) for option in options]
            inside[f"under {label}"] = scope.switch(self._node(label), *parts)
        for number, (test, below) in enumerate(branch.tests.values()):
            inside[f"if {number}"] = scope.switch(self._test(test), None, self._branch(below))
        return inside

    def _node(self, label: str) -> Any:
        if label not in self._nodes:
            word = self._free[label].word
            self._nodes[label] = scope.hyperopt_param(label, prior(word))
        return self._nodes[label]

    def _test(self, test: Test) -> Any:
        read = self._reading if test.rooted else self._node
        return scope.hpsearch_index(_Reader(self, test), *(read(label) for label in test.labels))

    def _reading(self, label: str) -> Any:
        """The label's raw value at the root, None where it is inactive."""
        parameter = self._free[label]
        if parameter.always:
            return self._node(label)
        if label not in self._readings:
            reads = dict.fromkeys(n for place in parameter.places for g in place for n in g.labels)
            test = Test(
                parameter.places,
                tuple(name for name in reads if name in self._free),
                self.parameters.fixed,
                rooted=True,
                label_of=self.parameters.label,
            )
            self._readings[label] = scope.switch(self._test(test), None, self._node(label))
        return self._readings[label]


@final
class _Reader:
    """A test as hyperopt calls it: with raw values, None for inactive labels."""

    def __init__(self, compiled: Compiled, test: Test) -> None:
        self._compiled = compiled
        self._test = test

    def index(self, raws: Iterable[Any]) -> int:
        """1 where the test holds, else 0."""
        pairs = list(zip(self._test.labels, raws, strict=True))
        active = [raw is not None for _, raw in pairs]
        values = [None if raw is None else self._compiled.decode(name, raw) for name, raw in pairs]
        return int(self._test(values, active))


def hpsearch_index(reader: _Reader, *raws: Any) -> int:
    """The number of the branch to take: hyperopt calls this by its name."""
    return reader.index(raws)


def _register() -> None:
    """Make `hpsearch_index` known to hyperopt's expressions, once per process."""
    if not hasattr(scope, "hpsearch_index"):
        scope.define_pure(hpsearch_index)


def _never_called(*anything: Any) -> NoReturn:
    raise AssertionError("suggestions never evaluate the objective")
