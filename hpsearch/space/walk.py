"""The one traversal of a declaration: which children each node has, where they stand, and when.

`Walk.go(node, place, visit)` calls ``visit(node, place, children)``; the visitor descends into
the children it wants. Describing visits all of them, building only those that are switched on,
writing code likewise. Places are worked out here, once, so that every visitor sees the same.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from ..declare import (
    Adapted,
    Call,
    Choice,
    Condition,
    Derived,
    Expression,
    Match,
    Maybe,
    Recorder,
    Repeat,
    When,
    Word,
    part_name,
)

__all__ = ["Child", "Visit", "Walk", "is_layers", "is_part"]

SEQUENTIAL = ("keras.Sequential", "keras.models.Sequential")
FUNCTIONAL = ("keras.Model", "keras.models.Model")
LONGEST_LIST = 1000
VALUES = (Word, Derived, Condition)


@final
@dataclass(eq=False, slots=True)
class Child:
    """One child of a node.

    Attributes:
        key: the argument, option, index or field that it is.
        node: the child itself.
        guard: (condition, expected value) on which it is there, None for always.
        reading: whether the node only looks at the child's value (a condition does).
    """

    key: Any
    node: Any
    at: str | Callable[[], str]
    guard: tuple[Expression, Any] | None = None
    reading: bool = False

    @property
    def place(self) -> str:
        if not isinstance(self.at, str):
            self.at = self.at()  # named when first reached, so that inputs come before outputs
        return self.at


Visit = Callable[[Any, str, Sequence[Child]], Any]


@final
class Walk:
    """The traversal of one declaration; remembers every place it has given."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._operand_places: dict[str, dict[int, str]] = {}
        self._tensors: dict[int, str] = {}  # parts of a functional model keep one place
        self._children: dict[tuple[int, str], tuple[Any, tuple[Child, ...]]] = {}

    def go(self, node: Any, place: str, visit: Visit) -> Any:
        """Visit one node; the visitor goes on with `child.node` and `child.place`."""
        return visit(node, place, self.children(node, place))

    def children(self, node: Any, place: str) -> tuple[Child, ...]:
        """The children of a node that stands at `place`, in order."""
        if not _has_children(node):
            return ()
        key = (id(node), place)
        if key not in self._children:  # the node is kept alive, so that its id stays its own
            self._children[key] = (node, tuple(self._find(node, place)))
        return self._children[key][1]

    def steps(self, child: Child, done: Callable[[Child], bool]) -> Iterator[Child]:
        """Yield the steps of a functional model that lead to `child`, inputs first, itself last.

        A visitor that takes them in this order never nests deeper than one step, however deep
        the model. Steps that are `done`, and what hangs on switches, are left out.
        """
        waiting = [(child, False)]
        seen: set[int] = set()
        while waiting:
            step, ready = waiting.pop()
            if ready:
                if isinstance(step.node, Expression):
                    yield step
            elif step is child or not (id(step.node) in seen or done(step)):
                seen.add(id(step.node))
                waiting.append((step, True))
                before = [c for c in self.children(step.node, step.place) if self._leads(c)]
                waiting.extend((c, False) for c in reversed(before))

    @staticmethod
    def _leads(child: Child) -> bool:
        return child.guard is None and _is_tensor(child.node)

    def _find(self, node: Any, place: str) -> list[Child]:
        match node:
            case Call():
                return self._applied(node, place) if node.applied else self._call(node, place)
            case Choice():
                base = node.name or place  # tied: what is inside is one thing too
                options = zip(_distinct(base, node.keys), node.options, node.points, strict=True)
                return [
                    Child(point, option, inside, (node, point)) for inside, option, point in options
                ]
            case Maybe():
                base = node.name or place
                inside = _join(base, "value") if _bare(node.part) else base
                return [Child(True, node.part, inside, (node, True))]
            case When():
                condition = Child("condition", node.condition, _join(place, "if"), reading=True)
                return [condition, Child("part", node.part, place, (node.condition, True))]
            case Match():
                cases = node.conditions()
                keys = [*node.cases, "otherwise"][: len(cases)]
                places = _distinct(place, keys)
                parts = [
                    Child(key, part, inside, (condition, True))
                    for key, inside, (condition, part) in zip(keys, places, cases, strict=True)
                ]
                return [Child("word", node.word, _join(place, "if"), reading=True), *parts]
            case Repeat():
                return self._repeat(node, place)
            case Adapted():
                return [Child("layer", node.layer, place), Child("on", node.on, _join(place, "on"))]
            case Expression():
                return self._operands(node, place)
            case functools.partial():
                return self._arguments(enumerate(node.args), node.keywords.items(), place)
            case Mapping():
                places = _distinct(place, node)
                return [Child(key, node[key], at) for key, at in zip(node, places, strict=True)]
            case list() | tuple():
                return self._items(node, place)
            case _:  # the nouns: Space, Fit, Data, Holdout
                return [
                    Child(field.name, getattr(node, field.name), _join(place, field.name))
                    for field in dataclasses.fields(node)
                    if field.metadata.get("walk", True)
                ]

    def _call(self, call: Call, place: str) -> list[Child]:
        target = call.function.target
        named = list(zip(call.names, call.args, strict=True))
        found = []
        for key, (name, item) in [
            *enumerate(named),
            *((k, (k, v)) for k, v in call.kwargs.items()),
        ]:
            if target in SEQUENTIAL and name == "layers":
                found.append(Child(key, item, place))
            elif (target in FUNCTIONAL and name != "name") or _is_tensor(item):
                scope = place if target in FUNCTIONAL else _join(place, name)
                found.append(self._tensor(key, item, scope))
            else:
                found.append(Child(key, item, _join(place, name)))
        return found

    def _applied(self, call: Call, place: str) -> list[Child]:
        """The inputs first: a model's layers are numbered from its inputs to its outputs."""
        inputs = [self._tensor(key, item, place) for key, item in enumerate(call.args)]
        layer = Child("function", call.function, "")
        layer.at = functools.partial(self._layer, call.function, place)
        options = [
            self._tensor(key, item, place)
            if _is_tensor(item)
            else Child(key, item, functools.partial(lambda k: _join(layer.place, k), key))
            for key, item in call.kwargs.items()
        ]
        return [*inputs, layer, *options]

    def _layer(self, part: Any, scope: str) -> str:
        if isinstance(part, Call) and part.applied:
            return scope
        if id(part) not in self._tensors:
            self._tensors[id(part)] = self._name(scope, part_name(part))
        return self._tensors[id(part)]

    def _tensor(self, key: Any, item: Any, scope: str) -> Child:
        if isinstance(item, list | tuple | dict | Derived) or not isinstance(item, Expression):
            return Child(key, item, scope)
        return Child(key, item, functools.partial(self._layer, item, scope))

    def _repeat(self, node: Repeat, place: str) -> list[Child]:
        times = Child("times", node.times, _join(place, "times"))
        blocks = []
        for i, block in enumerate(node.blocks):
            guard = (Condition(">", node.times, i), True) if isinstance(node.times, Word) else None
            layers = block if isinstance(block, list | tuple) else [block]
            blocks.append(Child(i, layers, _join(place, str(i)), guard))
        return [times, *blocks]

    def _operands(self, node: Expression, place: str) -> list[Child]:
        reading = isinstance(node, Condition)
        found = []
        for key, item in enumerate(node.operands()):
            if getattr(item, "tensor", False) and not reading:
                found.append(self._tensor(key, item, place))
            else:
                stands = isinstance(item, Word) and not reading
                at = functools.partial(self._operand, item, place) if stands else place
                found.append(Child(key, item, at, reading=reading))
        return found

    def _operand(self, word: Word, place: str) -> str:
        """Words of one expression stand at one place; those after the first are numbered."""
        inside = self._operand_places.setdefault(place, {})
        return inside.setdefault(id(word), f"{place}_{len(inside)}" if inside else place)

    def _arguments(self, args: Any, kwargs: Any, place: str) -> list[Child]:
        return [Child(key, item, _join(place, str(key))) for key, item in [*args, *kwargs]]

    def _items(self, items: Sequence[Any], place: str) -> list[Child]:
        found = []
        for index, item in enumerate(items):
            if _is_tensor(item):
                found.append(self._tensor(index, item, place))
            elif is_layers(item) or (isinstance(item, When) and is_layers(item.part)):
                found.append(Child(index, item, place))
                self._children_of_list(item, place)
            elif is_part(item):
                found.append(Child(index, item, self._name(place, part_name(item))))
            else:
                found.append(Child(index, item, _join(place, str(index))))
        return found

    def _children_of_list(self, item: Any, place: str) -> None:
        """Name what a list holds that is spliced into the one around it, before what comes after."""
        while isinstance(item, When):
            item = item.part
        self.children(item, place)

    def _name(self, scope: str, name: str) -> str:
        """A place of its own in this scope, numbered as Keras numbers layers."""
        while True:
            wanted = _join(scope, name)
            again = self._taken.get(wanted, 0)
            self._taken[wanted] = again + 1
            if not again:
                return wanted
            numbered = f"{wanted}_{again}"
            if numbered not in self._taken:
                self._taken[numbered] = 1
                return numbered


def is_layers(items: Any) -> bool:
    """Whether this is a list of parts, which is spliced into the list around it."""
    return (
        isinstance(items, list | tuple)
        and bool(items)
        and all(is_part(item) or is_layers(item) for item in items)
    )


def is_part(item: Any) -> bool:
    """Whether this stands for layers: in a list of layers, a list that it becomes is spliced."""
    if isinstance(item, Choice):
        return any(isinstance(o, Expression) or is_layers(o) for o in item.options)
    if isinstance(item, Maybe | When):
        return not isinstance(item.part, Word) or is_part(item.part)
    return isinstance(item, Call | Match | Repeat | Adapted | Recorder)


def _is_tensor(item: Any) -> bool:
    """Whether this is a step of a functional model: what a layer was called on, or a list of such."""
    if isinstance(item, list | tuple):
        return bool(item) and all(_is_tensor(part) for part in item)
    return isinstance(item, Expression) and item.tensor


def _bare(part: Any) -> bool:
    """Whether a word may stand in this part with nothing to tell its place from the part's own."""
    return _bare(part.part) if isinstance(part, When) else isinstance(part, VALUES)


def _has_children(node: Any) -> bool:
    if isinstance(node, Expression):
        return not isinstance(node, Recorder)
    if isinstance(node, list | tuple):
        return len(node) <= LONGEST_LIST  # more is data, not something that was written
    if isinstance(node, Mapping | functools.partial):
        return True
    return getattr(type(node), "walked", False) is True


def _distinct(base: str, keys: Iterable[Any]) -> list[str]:
    """A place for each key; two that are written alike (`a b` and `a_b`) are numbered."""
    places: list[str] = []
    for key in keys:
        place = wanted = _join(base, str(key))
        again = 0
        while place in places:
            again += 1
            place = f"{wanted}_{again}"
        places.append(place)
    return places


def _join(place: str, part: str) -> str:
    legal = re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_") or "_"
    return f"{place}.{legal}" if place else legal
