"""Values that are not known yet: what operators make of the words, and `given`.

An expression records what is done to it. It refuses everything that would need its value now:
truth, length, iteration, conversion to a number or a formatted string.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, final

from ..errors import SpaceError, nearest

__all__ = [
    "FACTS",
    "Condition",
    "Derived",
    "Expression",
    "Given",
    "given",
    "identical",
    "plain_value",
    "same",
]

FACTS: dict[str, str] = {
    "shape": "the shape of one input, without the batch: `(28, 28)`; a dict of shapes for dict inputs",
    "classes": "the number of classes in the targets",
    "rows": "the number of training rows",
    "batch_size": "the batch size of the running phase",
    "epochs": "the epochs of the running phase; for the model, of all phases",
    "steps": "the optimizer steps of the running phase; for the model, of all phases",
    "steps_per_epoch": "the batches in one epoch",
    "train": "the training inputs, as `Normalization.adapt` takes them",
    "seed": "the seed of the trial, an int",
    "folder": "a folder of the trial's own, a str",
}
"""The names of `given`, with what each stands for."""

OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "negative": operator.neg,
    "[]": operator.getitem,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": lambda left, right: bool(left) and bool(right),
    "|": lambda left, right: bool(left) or bool(right),
    "~": lambda value: not value,
}

ORDERS = ("<", "<=", ">", ">=")

NO_VALUE_YET = (
    "{what} has no value yet: this line runs once, when the space is declared, so {use} cannot "
    "work.\nFor a layer that depends on it write `when(depth == 'four', layers.Dense(100))`; "
    "for a number of layers, `repeat`; for anything else, a function made with `delayed`. "
    "A space for `hyperopt.fmin` is made with `to_hyperopt`."
)


class Expression:
    """Anything whose value is known only when a trial is built. Compared by identity."""

    __hash__ = object.__hash__
    tensor = False  # whether this is a step of a functional model: what a layer was called on
    __array_ufunc__ = None  # numpy arrays hand their operators to us

    def noun(self) -> str:
        """What to call this in a message."""
        return "An expression"

    def part_name(self) -> str:
        """What to call this in labels."""
        return type(self).__name__.lower()

    def value(self, lookup: Callable[[Expression], Any]) -> Any:
        """Return the value, asking `lookup` for the words and facts it is made of."""
        return lookup(self)

    def operands(self) -> tuple[Any, ...]:
        """The expressions and constants this is made of."""
        return ()

    def __add__(self, other: Any) -> Any:
        return Derived("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return Derived("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return Derived("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return Derived("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return Derived("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return Derived("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return Derived("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return Derived("/", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return Derived("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return Derived("//", other, self)

    def __mod__(self, other: Any) -> Any:
        return Derived("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        return Derived("%", other, self)

    def __pow__(self, other: Any) -> Any:
        return Derived("**", self, other)

    def __rpow__(self, other: Any) -> Any:
        return Derived("**", other, self)

    def __neg__(self) -> Any:
        return Derived("negative", self)

    def __getitem__(self, key: Any) -> Any:
        return Derived("[]", self, key)

    def __eq__(self, other: object) -> Any:
        return Condition("==", self, other)

    def __ne__(self, other: object) -> Any:
        return Condition("!=", self, other)

    def __lt__(self, other: Any) -> Any:
        return Condition("<", self, other)

    def __le__(self, other: Any) -> Any:
        return Condition("<=", self, other)

    def __gt__(self, other: Any) -> Any:
        return Condition(">", self, other)

    def __ge__(self, other: Any) -> Any:
        return Condition(">=", self, other)

    def __and__(self, other: Any) -> Any:
        return Condition("&", self, other)

    def __rand__(self, other: Any) -> Any:
        return Condition("&", other, self)

    def __or__(self, other: Any) -> Any:
        return Condition("|", self, other)

    def __ror__(self, other: Any) -> Any:
        return Condition("|", other, self)

    def __invert__(self) -> Any:
        return Condition("~", self)

    def _refuse(self, use: str) -> NoReturn:
        raise SpaceError(NO_VALUE_YET.format(what=self.noun(), use=use))

    def __bool__(self) -> bool:
        self._refuse(
            "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)"
        )

    def __iter__(self) -> Iterator[Any]:
        self._refuse("a loop or unpacking (take the parts as `x[0]`, `x[1]`)")

    def __len__(self) -> int:
        self._refuse("`len()`")

    def __contains__(self, item: object) -> bool:
        self._refuse("`in`")

    def __int__(self) -> int:
        self._refuse("`int()` (an `integer` is one already)")

    def __float__(self) -> float:
        self._refuse("`float()`")

    def __index__(self) -> int:
        self._refuse("`range()` or an index")

    def __round__(self, digits: int | None = None) -> int:
        self._refuse("`round()` (give the word a `step`)")

    def __format__(self, spec: str) -> str:
        self._refuse("an f-string (or a live Keras object: take it from hpsearch.keras)")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self.noun()} has no attribute {name!r}: it is recorded now and made in the trial. "
            "Do what needs the real object in a function made with `delayed`."
        )


@final
class Derived(Expression):
    """A value computed from others when the model is built: not searched, no label."""

    def __init__(self, sign: str, *items: Any) -> None:
        self.sign = sign
        self.items = items
        self.tensor = any(getattr(item, "tensor", False) for item in items)

    def noun(self) -> str:
        return "A derived value"

    def operands(self) -> tuple[Any, ...]:
        return self.items

    def value(self, lookup: Callable[[Expression], Any]) -> Any:
        return self.apply([_value(item, lookup) for item in self.items])

    def apply(self, values: list[Any]) -> Any:
        """Compute the result from the operands' values."""
        return OPERATORS[self.sign](*values)

    def __repr__(self) -> str:
        if self.sign == "[]":
            return f"{_brief(self.items[0])}[{_brief(self.items[1])}]"
        return _written(self.sign, self.items)


@final
class Condition(Expression):
    """A comparison or a combination of comparisons, for `when`, `match` and `require`."""

    def __init__(self, sign: str, *items: Any) -> None:
        self.sign = sign
        if sign in ("==", "!="):
            items = tuple(_option_of(items[1 - i], item) for i, item in enumerate(items))
        elif sign in ORDERS:
            _check_order(sign, *items)
        self.items = items

    def noun(self) -> str:
        return "A condition"

    def operands(self) -> tuple[Any, ...]:
        return self.items

    def value(self, lookup: Callable[[Expression], Any]) -> bool:
        return self.apply([_value(item, lookup) for item in self.items])

    def apply(self, values: list[Any]) -> bool:
        """Compute the truth from the operands' values."""
        if self.sign == "==":
            return same(*values)
        if self.sign == "!=":
            return not same(*values)
        return bool(OPERATORS[self.sign](*values))

    def __repr__(self) -> str:
        return _written(self.sign, self.items)


@final
class Given(Expression):
    """A fact about the data or the trial, known only at trial time."""

    def __init__(self, fact: str) -> None:
        self.fact = fact

    def noun(self) -> str:
        return f"given.{self.fact}"

    def __repr__(self) -> str:
        return f"given.{self.fact}"


@final
class _Facts:
    """`given.NAME`: what is known only at trial time."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in FACTS:
            raise SpaceError(f"given has no fact {name!r}. {nearest(name, FACTS)}")
        return Given(name)

    def __dir__(self) -> list[str]:
        return list(FACTS)

    def __repr__(self) -> str:
        return "given"


given = _Facts()


def plain_value(item: Any) -> Any:
    """Return `item` as the JSON value that stands for it in a point.

    None, booleans, finite numbers, strings, and tuples or lists of those are plain; NumPy scalars
    become Python's. Raises TypeError for everything else.
    """
    if hasattr(item, "item") and getattr(item, "ndim", None) == 0:
        item = item.item()
    if item is None or isinstance(item, bool | int | str):
        return item
    if isinstance(item, float) and item - item == 0:  # neither NaN nor infinite
        return item
    if isinstance(item, tuple | list):
        return [plain_value(part) for part in item]
    raise TypeError(f"{item!r} is not a plain value")


def identical(left: Any, right: Any) -> bool:
    """Whether two values are the same option: equal JSON and equal type, so 1 is not 1.0."""
    try:
        return json.dumps(plain_value(left)) == json.dumps(plain_value(right))
    except TypeError:
        return left is right


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal as a reader sees it: 1 is 1.0 but not True, (3, 3) is [3, 3]."""
    try:
        first, second = plain_value(left), plain_value(right)
    except TypeError:
        return left is right
    return isinstance(first, bool) is isinstance(second, bool) and bool(first == second)


def _option_of(word: Any, constant: Any) -> Any:
    """Return a constant compared with a word as the value that it has in a point."""
    if isinstance(constant, Expression) or not isinstance(word, Expression):
        return constant
    choose = getattr(type(word), "compared", None)
    return constant if choose is None else choose(word, constant)


def _check_order(sign: str, left: Any, right: Any) -> None:
    """Refuse an order that cannot be told, such as that of a string and a number."""
    try:
        for first in _ends(left):
            for second in _ends(right):
                OPERATORS[sign](first, second)
    except TypeError as error:
        raise SpaceError(
            f"{left!r} {sign} {right!r} cannot be told: {error}. Compare numbers with numbers, "
            "or ask for one option with ==."
        ) from None


def _ends(item: Any) -> tuple[Any, ...]:
    """Values to try: those of a word, a constant itself, none of what is not known at all."""
    if not isinstance(item, Expression):
        return (item,)
    ends = getattr(type(item), "ends", None)
    return () if ends is None else tuple(ends(item))


def _value(item: Any, lookup: Callable[[Expression], Any]) -> Any:
    return item.value(lookup) if isinstance(item, Expression) else item


def _written(sign: str, items: tuple[Any, ...]) -> str:
    if len(items) == 1:
        return f"{'-' if sign == 'negative' else sign}({_brief(items[0])})"
    return f"({_brief(items[0])} {sign} {_brief(items[1])})"


def _brief(item: Any) -> str:
    """An operand: a named word by its name, and no tensor, which is made of all that is before it."""
    if getattr(item, "tensor", False):
        return "…"
    return getattr(item, "name", None) or repr(item)
