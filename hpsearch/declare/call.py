"""Recorded calls: a function's name and its arguments, to be called in the trial.

A recorded call is data. It can be called itself, which is Keras's functional API.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast, final

from ..errors import SpaceError, nearest
from .expression import Expression
from .live import refuse_live
from .names import legal_name, part_name, snake

__all__ = ["Applicable", "Call", "Recorder", "delayed"]

P = ParamSpec("P")
R = TypeVar("R")
INPUT = ("keras.Input", "keras.layers.Input")
OF_OLD = {
    "lr": ("learning_rate",),
    "beta1": ("beta_1",),
    "beta2": ("beta_2",),
    "nb_epoch": ("epochs",),
    "nb_filter": ("filters",),
    "nb_row": ("kernel_size",),
    "nb_col": ("kernel_size",),
    "filter_length": ("kernel_size",),
    "subsample": ("strides",),
    "subsample_length": ("strides",),
    "pool_length": ("pool_size",),
    "border_mode": ("padding",),
    "dim_ordering": ("data_format",),
    "output_dim": ("units",),
    "init": ("kernel_initializer", "embeddings_initializer"),
    "inner_init": ("recurrent_initializer",),
    "inner_activation": ("recurrent_activation",),
    "bias": ("use_bias",),
    "W_regularizer": ("kernel_regularizer", "embeddings_regularizer"),
    "U_regularizer": ("recurrent_regularizer",),
    "b_regularizer": ("bias_regularizer",),
    "W_constraint": ("kernel_constraint", "embeddings_constraint"),
    "U_constraint": ("recurrent_constraint",),
    "b_constraint": ("bias_constraint",),
    "dropout_W": ("dropout",),
    "dropout_U": ("recurrent_dropout",),
    "p": ("rate",),
    "sigma": ("stddev",),
    "period": ("save_freq",),
}
"""Arguments of Keras 1 and 2 by the names that they have now; of several the one that is taken."""


class Applicable(Expression):
    """A part that stands for a layer: it can be called on what a layer can be called on."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Call(self, args, kwargs)


@final
class Recorder(Expression):
    """A function or class whose calls are recorded. Used uncalled, it is the function itself.

    Attributes:
        target: the function, or the dotted name of one that is imported only when needed
            (``"keras.layers.Dense"``).
        extra: arguments that it takes beside those in its signature; None: whatever its
            ``**kwargs`` may take.
    """

    def __init__(
        self, target: Callable[..., Any] | str, extra: tuple[str, ...] | None = None
    ) -> None:
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

    def part_name(self) -> str:
        return snake(self.__name__)

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

        self.tensor = self.applied or self.function.target in INPUT

    @property
    def applied(self) -> bool:
        """Whether this applies a part to something: a step of the functional API."""
        return not isinstance(self.function, Recorder)

    def noun(self) -> str:
        return f"A recorded call of {self.part_name()}"

    def part_name(self) -> str:
        own = self.kwargs.get("name")
        if isinstance(own, str) and own and not self.applied:
            return legal_name(own)
        return part_name(self.function)

    def __repr__(self) -> str:
        if self.applied:  # what it is applied to may be a whole model
            return f"{self.function!r}(…)"
        written = [repr(arg) for arg in self.args]
        written += [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.function!r}({', '.join(written)})"


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


def _bind(function: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Check the arguments against the signature; return the names of the positional ones."""
    known, signature = _known_arguments(function)
    if signature is None:
        return tuple(str(i) for i in range(len(args)))
    unknown = [key for key in kwargs if known is not None and key not in known]
    if unknown and known is not None:
        raise SpaceError(
            f"{function!r} has no argument {unknown[0]!r}. {_instead(unknown[0], known)}"
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


def _instead(name: str, known: frozenset[str]) -> str:
    """What to write for an argument: what Keras calls today what it was, or the nearest."""
    if name == "decay" and "weight_decay" in known:  # which is something else
        return (
            "Keras has schedules now: learning_rate=optimizers.schedules.InverseTimeDecay(0.01, 1, "
            "decay)."
        )
    today = [new for new in OF_OLD.get(name, ()) if new in known]
    return f"Did you mean {today[0]!r}?" if today else nearest(name, known)


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
    known = set(_keywords(signature)) | set(function.extra or ())
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
    return (None if function.extra is None else frozenset(known)), signature


def _signature(target: Any) -> inspect.Signature:
    """A class's `__init__` where its `__new__` hides it (Keras's Sequential and Model do that)."""
    signature = inspect.signature(target)
    kinds = {one.kind for one in signature.parameters.values()}
    if isinstance(target, type) and kinds == {
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    }:
        inner = inspect.signature(inspect.getattr_static(target, "__init__"))
        return inner.replace(parameters=list(inner.parameters.values())[1:])
    return signature


def _keywords(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, one in signature.parameters.items() if one.kind in kinds]


def _takes_any(signature: inspect.Signature) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
