"""From a declaration to its table of parameters and its description: the first use of the walk.

Labels are where a word stands (`model.dense.units`) unless it is named. A word that stands in two
places is one parameter only if it has a name; without one it is refused, because two labels and
one value, or one label and two meanings, is how records become wrong.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from ..declare import (
    Adapted,
    Call,
    Choice,
    Expression,
    Given,
    Match,
    Maybe,
    Recorder,
    Repeat,
    When,
    Word,
    plain_value,
    refuse_live,
)
from ..errors import SpaceError
from .parameters import Guard, Parameter, Parameters
from .walk import Child, Walk

__all__ = ["Description", "describe"]

Chain: TypeAlias = tuple[tuple[Expression, Any], ...]
"""(condition, expected value) of every switch on the way to a node, outermost first."""

Identity: TypeAlias = tuple[tuple[int, str], ...]

MOST_VISITS = 30_000
LONGEST_LABEL = 250  # MLflow's longest parameter key


@final
@dataclass(frozen=True, slots=True)
class Description:
    """What a declaration is: its parameters, itself as JSON, and a fingerprint of that."""

    parameters: Parameters
    content: Any
    fingerprint: str


@final
@dataclass(eq=False, slots=True)
class _Found:
    """A word on the way to becoming a parameter."""

    word: Word
    order: int
    label: str | None
    standing: list[str] = field(default_factory=list)
    chains: dict[Identity, Chain] = field(default_factory=dict)


def describe(declaration: Any, walk: Walk, require: Sequence[Any] = ()) -> Description:
    """Walk the whole declaration, every branch of it.

    Raises:
        SpaceError: for a word in two places without a name, two words of one label, or a live
            Keras object.
    """
    visitor = _Describe(walk)
    try:
        content = visitor.go(Child("", declaration, ""), ())
        if visitor.steps:
            content = {**content, "steps": visitor.steps}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise SpaceError(
            "The declaration is nested too deeply to walk. Build the model in a function made "
            "with `delayed`, which receives plain values."
        ) from None
    parameters = Parameters(visitor.parameters(), require)
    return Description(parameters, content, hashlib.sha256(text.encode()).hexdigest()[:16])


@final
class _Describe:
    """Returns each node as JSON; collects words with the guards under which they stand."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._found: dict[int, _Found] = {}
        self._seen: set[tuple[int, str, Identity]] = set()
        self._numbers: dict[int, int] = {}  # of the steps, by identity
        self.steps: list[Any] = []
        self._chain: Chain = ()
        self._reading = False

    def go(self, child: Child, chain: Chain) -> Any:
        before = self._chain, self._reading
        self._chain, self._reading = chain, self._reading or child.reading
        try:
            if isinstance(child.node, Word):
                self._meet(child)
                if self._reading:  # a condition looks at the value, not at what it stands for
                    return {"reads": child.node.describe()}
            elif isinstance(child.node, Expression) and child.node.tensor:
                return self._step(child)
            elif isinstance(child.node, Call):
                return self._once(child.node, child.place)
            return self._walk.go(child.node, child.place, self)
        finally:
            self._chain, self._reading = before

    def _step(self, child: Child) -> Any:
        """The steps of a functional model stand in a list of their own, each described once."""
        for step in self._walk.steps(
            child, lambda one: self._key(one.node, one.place) in self._seen
        ):
            if not self._first(step.node, step.place):
                continue
            content = self._walk.go(step.node, step.place, self)
            if id(step.node) not in self._numbers:
                self._numbers[id(step.node)] = len(self.steps)
                self.steps.append(content)
        return {"step": self._numbers[id(child.node)]}

    def _once(self, call: Call, place: str) -> Any:
        """A layer that is used again is described once for each chain of guards."""
        return self._walk.go(call, place, self) if self._first(call, place) else {"same as": place}

    def _key(self, node: Any, place: str) -> tuple[int, str, Identity]:
        return (id(node), place, _identity(self._chain))

    def _first(self, node: Any, place: str) -> bool:
        """Whether this node is met for the first time at this place under this chain."""
        key = self._key(node, place)
        if key in self._seen:
            return False
        if len(self._seen) >= MOST_VISITS:
            raise SpaceError(
                f"Too many combinations of switches lead to {place}. Apply the switch to what comes "
                "before, choice([a, b])(x), rather than choosing among results, "
                "choice([a(x), b(x)])."
            )
        self._seen.add(key)
        return True

    def _meet(self, child: Child) -> None:
        word = child.node
        found = self._found.get(id(word))
        if found is None:
            found = self._found[id(word)] = _Found(word, len(self._found), word.name)
        if not self._reading and child.place not in found.standing:
            found.standing.append(child.place)
        found.chains.setdefault(_identity(self._chain), self._chain)

    def __call__(self, node: Any, place: str, children: Sequence[Child]) -> Any:
        inside = {}
        for child in children:
            chain = self._chain if child.guard is None else (*self._chain, child.guard)
            inside[str(child.key)] = self.go(child, chain)
        match node:
            case Word():
                options = inside if isinstance(node, Choice | Maybe) else {}
                nested = {key: value for key, value in options.items() if _structured(value)}
                return {**node.describe(), "at": node.name or place} | (
                    {"inside": nested} if nested else {}
                )
            case Call():
                return {"call": _function(node.function), "with": inside}
            case Given():
                return {"given": node.fact}
            case When() | Match() | Repeat() | Adapted():
                return {type(node).__name__.lower(): inside}
            case Recorder():
                return {"function": _function(node)}
            case Expression():
                return {"derived": getattr(node, "sign", ""), "of": inside}
            case functools.partial():
                return {"partial": _constant(node.func, place), "with": inside}
            case list() | tuple() if children or not node:
                return list(inside.values())
            case _ if children:
                return inside
            case _:
                return _constant(node, place)

    def parameters(self) -> list[Parameter]:
        """The words found, labelled, with their guards."""
        found = sorted(self._found.values(), key=lambda item: item.order)
        owner: dict[str, _Found] = {}
        for item in found:
            item.label = _label(item)
            other = owner.setdefault(item.label, item)
            if other is not item:
                raise SpaceError(
                    f"Two words have the label {item.label!r}: {other.word!r} and {item.word!r}. "
                    "Give one of them another name=."
                )
        return [
            Parameter(
                str(item.label),
                item.word,
                tuple(self._guards(chain) for chain in item.chains.values()),
            )
            for item in found
        ]

    def _guards(self, chain: Chain) -> tuple[Guard, ...]:
        return tuple(
            Guard(condition, expected, tuple(dict.fromkeys(self._reads(condition))))
            for condition, expected in chain
        )

    def _reads(self, condition: Any) -> list[str]:
        if isinstance(condition, Word):
            return [str(self._found[id(condition)].label)]
        if isinstance(condition, Given):
            raise SpaceError(
                f"{condition!r} is known only in the trial, so it cannot decide which parameters "
                "there are. Use it as a value, or in a function made with `delayed`."
            )
        if not isinstance(condition, Expression):
            return []
        return [label for item in condition.operands() for label in self._reads(item)]


def _label(found: _Found) -> str:
    if found.word.name is not None:
        return found.word.name
    if not found.standing:
        raise SpaceError(
            f"{found.word!r} is only compared, so nothing tells what to call it. "
            "Give it a name: choice([...], name='depth')."
        )
    if len(found.standing) > 1:
        raise SpaceError(
            f"{found.word!r} stands in two places, {found.standing[0]} and {found.standing[1]}. "
            "For one value in both, tie them with a name: choice([...], name='units').\n"
            "For a value each, write the word twice, or make the part in a function that is "
            "called for each."
        )
    label = found.standing[0]
    if len(label) > LONGEST_LABEL:
        raise SpaceError(
            f"The label {label[:60]}… has {len(label)} characters; MLflow takes {LONGEST_LABEL}. "
            "Give the word a name=."
        )
    return label


def _identity(chain: Chain) -> Identity:
    """Conditions compare by identity, options by value; `==` on an expression is a condition."""
    return tuple((id(condition), json.dumps(expected)) for condition, expected in chain)


def _structured(content: Any) -> bool:
    return isinstance(content, dict | list)


def _function(function: Any) -> str:
    return repr(function) if isinstance(function, Recorder) else "applied"


def _constant(node: Any, place: str) -> Any:
    if isinstance(node, list | tuple):  # so long that it was not walked
        return {"list": len(node)}
    try:
        return plain_value(node)
    except TypeError:
        pass
    try:
        refuse_live(node)
    except SpaceError as error:
        raise SpaceError(f"{place}: {error}") from None
    if type(node).__module__.startswith("hyperopt."):
        raise SpaceError(
            f"{place}: a word of hyperopt. Write it with a word of hpsearch, such as uniform or "
            "choice; or search the space as it is: hyperopt.fmin(…, algo=hpsearch.hyperopt_algo())."
        )
    shape = getattr(node, "shape", None)
    if shape is not None and hasattr(node, "dtype"):
        return {"array": [int(n) for n in shape], "dtype": str(node.dtype)}
    if isinstance(node, float):
        return {"float": repr(node)}
    if callable(node) and hasattr(node, "__qualname__"):
        return {"function": node.__qualname__.rpartition("<locals>.")[2]}
    return {"object": type(node).__qualname__}
