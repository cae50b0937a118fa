"""The labels that the words of a converted space will have, without running it.

The declarations are put together from the expressions and given to the walk that every space is
described by, so that the labels are its labels. Nothing of the file is run: what is not a word,
a recorded call or a constant is an opaque thing here.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any, final

from ..declare import Call, Expression, Recorder, choice, given, integer, match, uniform, when
from ..declare import Word as DeclaredWord
from ..declare import delayed as _delayed
from ..errors import SpaceError
from ..space import space_of
from .arguments import UNKNOWN, parameter_names
from .declared import Local
from .marks import called, is_delayed, is_ours, mark_of
from .words import number

__all__ = ["labels_of"]

FIELDS = ("data", "model", "optimizer", "loss", "metrics", "loss_weights", "fit")
OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Div: operator.truediv,
    ast.Eq: operator.eq,
    ast.FloorDiv: operator.floordiv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Invert: operator.invert,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Mult: operator.mul,
    ast.NotEq: operator.ne,
    ast.Pow: operator.pow,
    ast.Sub: operator.sub,
    ast.USub: operator.neg,
}


def labels_of(locals_: Sequence[Local], space: ast.Call) -> dict[int, str]:
    """The label of each template's word; those that are constants now are missing."""
    evaluator = _Declare()
    try:
        for local in locals_:
            evaluator.names[local.name] = evaluator.of(local.value)
        fields = {k.arg: evaluator.of(k.value) for k in space.keywords if k.arg in FIELDS}
        parameters, *_ = space_of({name: fields[name] for name in FIELDS if name in fields})
    except SpaceError:
        return {}
    found = {}
    for number_, word in evaluator.words.items():
        for label, parameter in parameters.items():
            if parameter.word is word and UNKNOWN not in label:
                found[number_] = label
    return found


@final
class _Opaque:
    """What is not looked into."""


def _known(function: Callable[..., Any] | None, *values: Any) -> Any:
    """What a function makes of values; opaque where they do not fit: no such index or key."""
    try:
        return _Opaque() if function is None else function(*values)
    except (LookupError, TypeError):
        return _Opaque()


def _function(name: str) -> Any:
    """A stand-in for a function or class: only its name is read."""

    def stand_in(*args: Any, **kwargs: Any) -> None:
        """Never called."""

    stand_in.__name__ = name
    return stand_in


@final
class _Declare:
    """Makes declarations of expressions."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.words: dict[int, Any] = {}

    def of(self, node: ast.expr) -> Any:
        """The value of an expression; nothing of the file is computed but numbers."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.names.get(name, _Opaque())
            case ast.List(elts=items):
                return [self.of(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self.of(item) for item in items)
            case ast.Dict(keys=keys, values=values):
                pairs = [(self.of(k), self.of(v)) for k, v in zip(keys, values, strict=True) if k]
                return _known(dict, pairs)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operation(node, op, left, right)
            case ast.UnaryOp(op=op, operand=operand):
                return self._operation(node, op, operand)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._operation(node, op, left, right)
            case ast.Attribute(value=ast.Name(id="given") as root, attr=fact) if is_ours(root):
                return getattr(given, fact)
            case ast.Subscript(value=value, slice=key):
                return _known(operator.getitem, self.of(value), self.of(key))
            case ast.Call():
                return self._call(node)
        return _Opaque()

    def _operation(self, node: ast.expr, op: ast.AST, *operands: ast.expr) -> Any:
        """What a word records of an operator; of plain values only a number is known."""
        values = [self.of(operand) for operand in operands]
        if any(isinstance(value, Expression) for value in values):
            return _known(OPERATORS.get(type(op)), *values)
        found = number(node)
        return _Opaque() if found is None else found

    def _call(self, node: ast.Call) -> Any:
        template = mark_of(node).get("template")
        if template is not None:
            return self._word(template, node)
        if isinstance(node.func, ast.Call) and is_delayed(node.func):
            made = self._recorded(node, ast.unparse(node.func.args[0]), None)
            made.names = (UNKNOWN,) * len(node.args)
            return made
        if isinstance(node.func, ast.Name) and is_ours(node.func):
            args, kwargs = [self.of(item) for item in node.args], self._keywords(node)
            match node.func.id:
                case "when":
                    return when(*args)
                case "match":
                    return match(*args, **kwargs)
                case "Fit" | "Data":
                    return kwargs | {"train": args[0]} if args else kwargs
        known = called(node)
        if known:
            return self._recorded(node, known.rpartition(".")[2], known)
        function = self.of(node.func)
        if isinstance(node.func, ast.Call) or isinstance(function, Call):
            args = [self.of(item) for item in node.args]
            return Call(function, tuple(args), self._keywords(node))
        return self._recorded(node, ast.unparse(node.func), None)

    def _keywords(self, node: ast.Call) -> dict[str, Any]:
        return {k.arg: self.of(k.value) for k in node.keywords if k.arg}

    def _recorded(self, node: ast.Call, name: str, keras: str | None) -> Call:
        """A recorded call of a function that is not there: Keras is not imported for this."""
        stand_in = _delayed(_function(name))
        made: Call = stand_in(*(self.of(item) for item in node.args), **self._keywords(node))
        if keras is not None:
            made.function = Recorder(f"keras.{keras}")
            made.names = tuple(parameter_names(keras, len(node.args)))
            if keras == "Sequential":
                made.names = ("layers",)[: len(node.args)]
            made.tensor = keras == "Input"
        return made

    def _word(self, template: int, node: ast.Call) -> Any:
        """The word itself, or one like it where its options are computed."""
        if template in self.words:
            return self.words[template]
        named = {k.arg: k.value for k in node.keywords}
        given_name = named.get("name")
        name: Any = given_name.value if isinstance(given_name, ast.Constant) else None
        kind = node.func.id if isinstance(node.func, ast.Name) else ""
        options = node.args[0] if kind == "choice" else None
        made: Any
        if isinstance(options, ast.List | ast.Dict):
            made = choice(self.of(options), name=name)
        else:
            made = _number_word(node, name)
        self.words[template] = made
        return made


def _number_word(node: ast.Call, name: Any) -> DeclaredWord:
    """A word of numbers; only its name and place matter, but for the options of a comparison."""
    low, high = (number(item) for item in [*node.args, None, None][:2])
    whole = isinstance(node.func, ast.Name) and node.func.id == "integer"
    if low is None or high is None or not low < high:
        low, high = 0, 1_000_000
    made: Any = integer(int(low), int(high), name=name) if whole else uniform(low, high, name=name)
    assert isinstance(made, DeclaredWord)
    return made
