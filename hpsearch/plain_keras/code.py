"""What the parts of a trial become in a script: calls, values with the label they came from, names.

`Code` is a `Maker`, so the builder that makes Keras objects also makes these, in the same order.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from ..declare import Adapted, Choice, Condition, Derived, Given, Recorder, Word, snake

__all__ = ["Code", "Labelled", "Made", "Noun", "Text", "inside", "plain"]


@final
@dataclass(frozen=True, eq=False, slots=True)
class Text:
    """An expression as it is written: a name, or a dotted path to a function."""

    text: str


@final
@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """A known value, and where it came from: a label, a fact, or a formula of those."""

    value: Any
    note: str

    @property
    def name(self) -> str | None:
        """The name of a metric that was chosen by name."""
        return self.value if isinstance(self.value, str) else None


@final
@dataclass(eq=False, slots=True)
class Made:
    """Something that the script makes.

    Attributes:
        kind: ``call``, ``adapt`` (a statement) or the sign of an operator.
        function: what is called: a `Text`, or the layer made before.
        variable: the name it is assigned to, None where it is written in place.
    """

    function: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "call"
    variable: str | None = None

    @property
    def applied(self) -> bool:
        """Whether this is a step of the functional API, so a tensor."""
        return self.kind != "adapt" and (isinstance(self.function, Made) or self.kind != "call")

    @property
    def is_input(self) -> bool:
        return isinstance(self.function, Text) and self.function.text in INPUT

    @property
    def name(self) -> str:
        """What Keras would call it: its own ``name=``, else its class in snake case."""
        own = plain(self.kwargs.get("name"))
        if isinstance(own, str) and own.isidentifier():
            return own
        if isinstance(self.function, Made):
            return self.function.name
        if isinstance(self.function, Text):
            return snake(self.function.text.rpartition(".")[2])
        return OPERATOR_NAMES.get(self.kind, "value")

    def __repr__(self) -> str:
        return self.name


@final
@dataclass(frozen=True, eq=False, slots=True)
class Noun:
    """A `Data`, `Fit` or `Holdout` with its fields as code."""

    kind: type
    fields: Mapping[str, Any]


INPUT = ("keras.Input", "keras.layers.Input")
OPERATOR_NAMES = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "[]": "part"}


@final
class Code:
    """Makes code of each part.

    Args:
        label: the label of a word.
        reference: how a function is written, having arranged for its import or its source.
        facts: the facts of `given` that are names in the script.
    """

    def __init__(
        self,
        label: Callable[[Any], str],
        reference: Callable[[Any], str],
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._label, self._reference = label, reference
        self._facts = dict(facts or {})
        self.made: list[Made] = []

    def word(self, word: Word | Given, value: Any) -> Any:
        if isinstance(word, Given):
            return self._facts.get(word.fact, Labelled(value, f"given.{word.fact}"))
        if isinstance(value, Labelled | Made | Text) or any(inside(value)):
            return value
        if isinstance(word, Choice) and isinstance(value, list | tuple) and not value:
            return value
        return Labelled(value, self._label(word))

    def function(self, recorder: Recorder) -> Any:
        return Text(self._reference(recorder.target))

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        written = {
            key: value
            for key, value in kwargs.items()
            if plain(value) is not None or not _none_by_default(function, key)
        }
        return self._remember(Made(function, list(args), written))

    def adapted(self, node: Adapted, layer: Any, on: Any) -> Any:
        self._remember(Made(layer, [on], kind="adapt"))
        return layer

    def derived(self, node: Derived | Condition, values: list[Any]) -> Any:
        if any(isinstance(value, Made | Text) for value in values):
            return self._remember(Made(None, values, kind=node.sign))
        return Labelled(node.apply([plain(value) for value in values]), _formula(node.sign, values))

    def partial(self, node: functools.partial[Any], args: list[Any], kwargs: Any) -> Any:
        function = Text(self._reference(functools.partial))
        return self._remember(Made(function, [node.func, *args], kwargs))

    def noun(self, node: Any, fields: Mapping[str, Any]) -> Any:
        return Noun(type(node), fields)

    def constant(self, node: Any) -> Any:
        return node

    def _remember(self, made: Made) -> Made:
        self.made.append(made)
        return made


def plain(value: Any) -> Any:
    """The value itself, without the note on where it came from."""
    if isinstance(value, Labelled):
        return value.value
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _none_by_default(function: Any, argument: str) -> bool:
    """Whether leaving an argument of Keras's out is the same as None: a `maybe` that is off."""
    if not isinstance(function, Text) or not function.text.startswith("keras."):
        return False
    import keras

    try:
        target = functools.reduce(getattr, function.text.split(".")[1:], keras)
        parameter = inspect.signature(target).parameters.get(argument)
    except (AttributeError, TypeError, ValueError):
        return False
    return parameter is not None and parameter.default is None


def inside(value: Any) -> Iterator[Made]:
    """Everything made that stands directly in a value: itself, or in its lists and dicts."""
    if isinstance(value, Made):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from inside(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from inside(item)


def _formula(sign: str, values: list[Any]) -> str:
    parts = [value.note if isinstance(value, Labelled) else repr(value) for value in values]
    if sign == "[]":
        return f"{parts[0]}[{parts[1]}]"
    if len(parts) == 1:
        return f"{'-' if sign == 'negative' else sign}{parts[0]}"
    return " ".join([_wrapped(parts[0]), sign, _wrapped(parts[1])])


def _wrapped(text: str) -> str:
    return f"({text})" if " " in text else text
