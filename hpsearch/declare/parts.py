"""The parts that are built: recorded calls, and what switches, repeats and adapts them.

A recorded call is data: a function's name and its arguments, to be called in the trial. Recorded
calls can be called themselves, which is Keras's functional API.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast, final

from ..errors import SpaceError, nearest
from .expression import Condition, Derived, Expression, Given, same
from .words import Applicable, Choice, Integer, Maybe, Word, check_name, snake

__all__ = [
    "Adapted",
    "Call",
    "Match",
    "Recorder",
    "Repeat",
    "When",
    "adapted",
    "delayed",
    "live_keras_object",
    "match",
    "part_name",
    "refuse_live",
    "repeat",
    "when",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
MOST_BLOCKS = 1000
STATEFUL = {
    "Layer": "layers",
    "Model": "Model",
    "Optimizer": "optimizers",
    "Metric": "metrics",
    "Callback": "callbacks",
    "LearningRateSchedule": "optimizers.schedules",
    "RandomInitializer": "initializers",
    "KerasTensor": "Input",
    "Variable": "layers",
}


@final
class Recorder(Expression):
    """A function or class whose calls are recorded. Used uncalled, it is the function itself.

    Attributes:
        target: the function, or the dotted name of one that is imported only when needed
            (``"keras.layers.Dense"``).
        extra: arguments that it takes beside those in its signature.
    """

    def __init__(self, target: Callable[..., Any] | str, extra: tuple[str, ...] = ()) -> None:
        self.target = target
        self.extra = extra

    @property
    def __name__(self) -> str:
        if isinstance(self.target, str):
            return self.target.rpartition(".")[2]
        inner = self.target
        while isinstance(inner, functools.partial):
            inner = inner.func
        return getattr(inner, "__name__", type(inner).__name__)

    def noun(self) -> str:
        return f"The recorded {self.__name__}"

    def resolve(self) -> Callable[..., Any]:
        """Return the function or class itself, importing it if it is given by name."""
        if not isinstance(self.target, str):
            return self.target
        package, *path = self.target.split(".")
        return cast(
            Callable[..., Any], functools.reduce(getattr, path, importlib.import_module(package))
        )

    def is_class(self) -> bool:
        """Whether a call makes an object anew, such as a layer."""
        return isinstance(self.resolve(), type)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Call(self, args, kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        raise SpaceError(
            f"A recorded class cannot be subclassed, got a class made from {self.__name__}. "
            "Subclass Keras's own (`import keras`) and use it through `delayed(MyLayer)`."
        )

    def __repr__(self) -> str:
        if isinstance(self.target, str):
            return self.target.removeprefix("keras.")
        return self.__name__


@final
class Call(Applicable):
    """A call to be made in the trial.

    Attributes:
        function: a `Recorder`, or another part (a layer) that is applied.
        args, kwargs: the arguments as written.
        names: the parameter name of each positional argument.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.names: tuple[str, ...] = tuple(str(i) for i in range(len(args)))
        for argument in (*args, *kwargs.values()):
            refuse_live(argument)
        if isinstance(function, Recorder):
            self.names = _bind(function, args, kwargs)

    @property
    def applied(self) -> bool:
        """Whether this applies a part to something: a step of the functional API."""
        return not isinstance(self.function, Recorder)

    def noun(self) -> str:
        return f"A recorded call of {part_name(self)}"

    def __repr__(self) -> str:
        written = [repr(arg) for arg in self.args]
        written += [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.function!r}({', '.join(written)})"


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
        self.condition, self.part = condition, part

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
        if isinstance(word, Choice):
            cases = {_hashable(word.compared(value)): part for value, part in cases.items()}
        elif isinstance(word, Integer):
            cases = {word.check(value): part for value, part in cases.items()}
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
        self.block_name = (
            part_name(block) if isinstance(block, Expression) else _function_name(block)
        )
        self.blocks = tuple(_make_block(block, i) for i in range(most))

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

    def __repr__(self) -> str:
        return f"adapted({self.layer!r}, on={self.on!r})"


def delayed(function: Callable[P, R]) -> Callable[P, R]:
    """Return a twin of `function` whose calls are recorded and made in the trial.

    Its arguments may hold words; the function receives plain values. Serves as a decorator.

    Raises:
        SpaceError: if `function` cannot be called.
    """
    if isinstance(function, Recorder):
        return function
    if not callable(function) or isinstance(function, Expression):
        raise SpaceError(f"delayed needs a function or a class, got {function!r}.")
    refuse_live(function)
    return cast(Callable[P, R], Recorder(function))


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


def part_name(part: Any) -> str:
    """The name of a part in labels: ``dense``, its own ``name=``, or what kind of part it is."""
    if isinstance(part, Call):
        own = part.kwargs.get("name")
        if isinstance(own, str) and own and not part.applied:
            return _legal(own)
        return part_name(part.function)
    if isinstance(part, Recorder):
        return snake(part.__name__)
    if isinstance(part, Maybe | When):
        return part_name(part.part)
    if isinstance(part, Adapted):
        return part_name(part.layer)
    if isinstance(part, Repeat):
        return part.block_name
    if isinstance(part, list | tuple):
        return "_".join(part_name(item) for item in part[:3]) or "nothing"
    if isinstance(part, Expression) or not callable(part):
        return snake(type(part).__name__)
    return _function_name(part)


def live_keras_object(value: Any) -> str | None:
    """Name the kind of a live, stateful Keras object (``"layers"``), None for anything else."""
    for kind in type(value).__mro__:
        if kind.__module__.partition(".")[0] == "keras" and kind.__name__ in STATEFUL:
            return STATEFUL[kind.__name__]
    return None


def refuse_live(value: Any) -> None:
    """Raise SpaceError for a live Keras object, also inside a list, tuple or dict."""
    if isinstance(value, list | tuple):
        for item in value:
            refuse_live(item)
    elif isinstance(value, dict):
        for item in value.values():
            refuse_live(item)
    elif (kind := live_keras_object(value)) is not None:
        source = f"from hpsearch.keras import {kind.partition('.')[0]}"
        raise SpaceError(
            f"A space holds recorded calls, got a live Keras object: {type(value).__name__}. "
            "It would carry its state from trial to trial.\n"
            f"Write `{source}`, and the same call is recorded; "
            "or make the object inside a function made with `delayed`."
        )


def _bind(function: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Check the arguments against the signature; return the names of the positional ones."""
    known, signature = _known_arguments(function)
    if signature is None:
        return tuple(str(i) for i in range(len(args)))
    unknown = [key for key in kwargs if known is not None and key not in known]
    if unknown and known is not None:
        raise SpaceError(
            f"{function!r} has no argument {unknown[0]!r}. {nearest(unknown[0], known)}"
        )
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise SpaceError(f"{function!r} cannot be called like this: {error}.") from None
    names = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    rest = [str(i) for i in range(len(names), len(args))]
    return tuple([*names, *rest][: len(args)])


@functools.cache
def _known_arguments(
    function: Recorder,
) -> tuple[frozenset[str] | None, inspect.Signature | None]:
    """The keyword arguments that a function takes (None: any), and its signature."""
    target = function.resolve()
    try:
        signature = _signature(target)
    except (TypeError, ValueError):  # some built-in functions have none
        return None, None
    known = set(_keywords(signature)) | set(function.extra)
    if not _takes_any(signature):
        return frozenset(known), signature
    if not isinstance(target, type):
        return None, signature
    for kind in target.__mro__[1:]:
        if kind is object or "__init__" not in vars(kind):
            continue
        inherited = inspect.signature(vars(kind)["__init__"])
        known |= set(_keywords(inherited)) - {"self"}
        if not _takes_any(inherited):
            return frozenset(known), signature
    return (frozenset(known) if function.extra else None), signature


def _signature(target: Any) -> inspect.Signature:
    """A class's `__init__` where its `__new__` hides it (Keras's Sequential and Model do that)."""
    signature = inspect.signature(target)
    kinds = {one.kind for one in signature.parameters.values()}
    if isinstance(target, type) and kinds == {
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    }:
        inner = inspect.signature(vars(target).get("__init__", target.__init__))
        return inner.replace(parameters=list(inner.parameters.values())[1:])
    return signature


def _keywords(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, one in signature.parameters.items() if one.kind in kinds]


def _takes_any(signature: inspect.Signature) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())


def _function_name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "block" if name == "<lambda>" else snake(name)


def _legal(name: str) -> str:
    try:
        check_name(name)
    except SpaceError:
        return snake(name) or "layer"
    return name


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
    if made is None:
        raise SpaceError(
            f"repeat needs a block that returns a layer or a list, got None from "
            f"{_function_name(block)}({i}). Add the `return`."
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
