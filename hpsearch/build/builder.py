"""Space and point to what a trial is made of: the second use of the walk.

The builder decides which parts are there and in which order they are made; a `Maker` makes them,
into Keras objects or into code.

One object in the declaration is one object in the trial: a layer called twice shares its weights,
a tensor used twice is computed once. Only in a list of layers a recorded call that stands there
twice, by itself or as what a word with a name becomes, makes two layers, as a reader expects: the
second is made anew with all that came to be when the first was made (the layer in a wrapper, an
initializer). What was there before, such as a layer that was called elsewhere, stays shared.
"""

from __future__ import annotations

import functools
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from ..declare import (
    Adapted,
    Call,
    Choice,
    Condition,
    Derived,
    Given,
    Match,
    Maybe,
    Recorder,
    Repeat,
    When,
    Word,
    identical,
)
from ..errors import BuildError, HpsearchError
from ..space import Child, Parameters, Walk, is_layers, is_part
from ..trial import Point
from .make import Maker, Objects

__all__ = ["Builder", "where_raised"]

OFF = object()
"""What a part that is switched off becomes: nothing in a list, None as an argument, identity when called."""

SWITCHES = (Choice, Maybe, When, Match, Repeat, Adapted)
"""What a list of layers sees through: a layer that one of these gives stands in the list itself."""


@final
class Builder:
    """Builds parts of one declaration at one point.

    Args:
        walk: the walk that described the declaration, which knows every place.
        parameters: its table of parameters.
        point: a complete point.
        given: looks up a fact of `given`.
        maker: what becomes of the parts; the default makes the real things.
    """

    def __init__(
        self,
        walk: Walk,
        parameters: Parameters,
        point: Point,
        given: Callable[[str], Any],
        maker: Maker | None = None,
    ) -> None:
        self._walk, self._parameters, self._point = walk, parameters, point
        self._given = given
        self._maker: Maker = maker or Objects()
        self._made: dict[
            int, tuple[Any, Any]
        ] = {}  # the node is kept, so that its id stays its own
        self._listed: dict[int, set[int]] | None = None  # by call: what came to be with it
        self._in_list = False  # whether only switches stand between here and a list

    def build(self, node: Any, place: str) -> Any:
        """Return what the node is at this point; None if it is switched off."""
        made = self._go(Child("", node, place))
        return None if made is OFF else made

    def _go(self, child: Child) -> Any:
        node = child.node
        if not isinstance(node, Call | Derived):
            return self._walk.go(node, child.place, self)
        if self._in_list and self._listed is not None and _makes_layer(node):
            return self._in_a_list(child, self._listed)
        return self._once(child)

    def _in_a_list(self, child: Child, listed: dict[int, set[int]]) -> Any:
        """A layer of a list; one that has stood there before is made anew, with what came to be with it."""
        node = id(child.node)
        for one in listed.get(node, ()):
            self._made.pop(one, None)
        before = set(self._made)
        made = self._once(child)
        listed[node] = {node, *(self._made.keys() - before)}
        return made

    def _once(self, child: Child) -> Any:
        """The one thing that a call or a computed value becomes, made when first asked for."""
        node = child.node
        if id(node) not in self._made:
            for step in self._walk.steps(child, self._is_made) if node.tensor else [child]:
                if not self._is_made(step):
                    made = self._walk.go(step.node, step.place, self)
                    self._made[id(step.node)] = (step.node, made)
        return self._made[id(node)][1]

    def _is_made(self, child: Child) -> bool:
        return id(child.node) in self._made

    def _value(self, child: Child) -> Any:
        made = self._go(child)
        return None if made is OFF else made

    def _word(self, word: Any) -> Any:
        if isinstance(word, Given):
            return self._given(word.fact)
        return self._point[self._parameters.label(word)]

    def __call__(self, node: Any, place: str, children: Sequence[Child]) -> Any:
        outer, self._in_list = self._in_list, self._in_list and isinstance(node, SWITCHES)
        try:
            return self._become(node, place, children)
        finally:
            self._in_list = outer

    def _become(self, node: Any, place: str, children: Sequence[Child]) -> Any:
        match node:
            case Choice():
                value = self._word(node)
                made = self._option(node, next(c for c in children if identical(c.key, value)))
                return made if made is OFF else self._maker.word(node, made)
            case Maybe():
                return self._go(children[0]) if self._word(node) else OFF
            case Word() | Given():
                return self._maker.word(node, self._word(node))
            case When():
                return self._go(children[1]) if node.condition.value(self._word) else OFF
            case Match():
                return self._match(node, children)
            case Repeat():
                return self._repeat(node, children)
            case Adapted():
                return self._adapted(node, children, place)
            case Derived() | Condition():
                return self._derived(node, children, place)
            case Recorder():
                return self._maker.function(node)
            case Call():
                return self._made_call(node, children, place)
            case _:
                return self._container(node, children)

    def _match(self, node: Match, children: Sequence[Child]) -> Any:
        for child in children[1:]:
            if child.guard is not None and child.guard[0].value(self._word):
                return self._option(node, child)
        return OFF

    def _option(self, node: Choice | Match, option: Child) -> Any:
        """What an option becomes; None for a layer in a list is no layer, whoever makes it."""
        no_layer = option.node is None and self._in_list and is_part(node)
        return OFF if no_layer else self._go(option)

    def _repeat(self, node: Repeat, children: Sequence[Child]) -> list[Any]:
        times = self._word(node.times) if isinstance(node.times, Word) else node.times
        blocks = [self._go(child) for child in children[1 : times + 1]]
        return [layer for block in blocks for layer in block]

    def _adapted(self, node: Adapted, children: Sequence[Child], place: str) -> Any:
        layer, on = (self._value(child) for child in children)
        return self._guarded(place, "adapt", lambda: self._maker.adapted(node, layer, on))

    def _derived(self, node: Derived | Condition, children: Sequence[Child], place: str) -> Any:
        values = [self._value(child) for child in children]
        return self._guarded(place, node, lambda: self._maker.derived(node, values))

    def _container(self, node: Any, children: Sequence[Child]) -> Any:
        if isinstance(node, list | tuple):
            items = self._items(children)
            return type(node)(items) if type(node) in (list, tuple) else items
        if isinstance(node, Mapping):
            return {child.key: self._value(child) for child in children}
        if isinstance(node, functools.partial):
            values = {child.key: self._value(child) for child in children}
            args = [values.pop(i) for i in range(len(node.args))]
            return self._maker.partial(node, args, values)
        if children:
            return self._maker.noun(node, {child.key: self._value(child) for child in children})
        return self._maker.constant(node)

    def _items(self, children: Sequence[Child]) -> list[Any]:
        """The items of a list, spliced; a layer that stands in it twice is made twice."""
        outer, self._listed = self._listed, {} if self._listed is None else self._listed
        items: list[Any] = []
        try:
            for child in children:
                self._in_list = True
                made = self._go(child)
                if isinstance(made, list | tuple) and (
                    is_part(child.node) or is_layers(child.node)
                ):
                    items.extend(made)
                elif made is not OFF and not (made is None and is_part(child.node)):
                    items.append(made)
        finally:
            self._listed = outer
        return items

    def _made_call(self, call: Call, children: Sequence[Child], place: str) -> Any:
        values = {child.key: self._go(child) for child in children}
        function = (
            values.pop("function", OFF) if call.applied else self._maker.function(call.function)
        )
        plain = {key: None if value is OFF else value for key, value in values.items()}
        args = [plain.pop(i) for i in range(len(call.args))]
        if call.applied and (function is OFF or function is None):
            return args[0] if args else None
        if call.applied and isinstance(
            function, list | tuple
        ):  # a list of layers, one after another
            return functools.reduce(
                lambda x, layer: self._guarded(
                    place, layer, lambda: self._maker.call(layer, [x], {})
                ),
                function,
                args[0],
            )
        return self._guarded(place, call, lambda: self._maker.call(function, args, plain))

    def _guarded(self, place: str, what: Any, make: Callable[[], Any]) -> Any:
        """Make something; a failure keeps its exception and says where in the space it happened."""
        try:
            return make()
        except (HpsearchError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise BuildError(f"{place}: {_short(what)} failed: {where_raised(error)}") from error


def where_raised(error: BaseException) -> str:
    """One line for an exception: ``space.py:12: RuntimeError: text``, the innermost line of the user's own."""
    text = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if not any(path.is_relative_to(folder) for folder in NOT_THE_USERS):
            if frame.filename.startswith("<"):
                return text
            return f"{path.name}:{frame.lineno}: {text}"
    return text


NOT_THE_USERS = tuple(
    Path(folder)
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).resolve().parent.parent),
    )
)


def _makes_layer(node: Any) -> bool:
    """Whether this recorded call makes a layer anew, rather than a tensor or an input."""
    return isinstance(node, Call) and not node.applied and node.function.is_class()


def _short(what: Any) -> str:
    text = what if isinstance(what, str) else repr(what)
    return text if len(text) <= 120 else text[:117] + "..."
