"""`if` on templates: conditions for `when` and `match`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

from .marks import imported, mark_of, marked
from .names import Imports, free
from .translate import NotStraight, stores

__all__ = ["Branches", "applied", "condition_of", "switch_name", "without_conditional"]

T = TypeVar("T")
FLIPPED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@final
@dataclass(frozen=True, slots=True)
class Branches:
    """An `if` with its `elif`s and `else`.

    Attributes:
        tests: of `if` and each `elif`.
        bodies: one for each test, and one more if there is an `else`.
        line: where it begins.
    """

    tests: list[ast.expr]
    bodies: list[list[ast.stmt]]
    line: int

    @classmethod
    def of(cls, node: ast.If) -> Branches:
        tests, bodies = [node.test], [node.body]
        rest = node.orelse
        while len(rest) == 1 and isinstance(rest[0], ast.If):
            tests.append(rest[0].test)
            bodies.append(rest[0].body)
            rest = rest[0].orelse
        if rest:
            bodies.append(rest)
        return cls(tests, bodies, node.lineno)

    def applied(self) -> str | None:
        """The name x, if every statement applies a layer to x and calls the result x again."""
        statements = [node for body in self.bodies for node in body]
        names = stores(statements)
        if len(names) != 1:
            return None
        (name,) = names
        return None if None in (applied(node, name) for node in statements) else name

    def parts(self, tests: list[ast.expr | bool], layers: list[list[ast.expr]]) -> list[ast.expr]:
        """The branches as parts in a list of layers."""
        open_tests, layers = _possible(tests, layers)
        if not open_tests:
            return layers[0] if layers else []
        return _parts(open_tests, layers)

    def value(self, tests: list[ast.expr | bool], values: list[ast.expr]) -> ast.expr:
        """The branches as one value; `values` has one for each test and one more."""
        open_tests, values = _possible(tests, values)
        if not open_tests:
            return values[0]
        *cases, otherwise = values
        chain = _one_word(open_tests)
        if chain is not None:
            return marked(_match(chain[0], chain[1], cases, otherwise), chosen=True)
        for test, case in zip(reversed(open_tests), reversed(cases), strict=True):
            otherwise = _match(test, [ast.Constant(True)], [case], otherwise)
        return otherwise


def applied(node: ast.stmt, name: str) -> ast.expr | None:
    """The layer of ``x = layer(x)``, None for any other statement."""
    match node:
        case ast.Assign(
            targets=[ast.Name(id=target)],
            value=ast.Call(func=ast.Call() as layer, args=[ast.Name(id=given)], keywords=[]),
        ) if target == given == name:
            return layer
    return None


def _parts(tests: list[ast.expr], layers: list[list[ast.expr]]) -> list[ast.expr]:
    if len(layers) > 1 and (chain := _one_word(tests)) is not None:
        word, values = chain
        rest = _part(layers[-1]) if len(layers) > len(tests) else ast.Constant(None)
        return [_match(word, values, [_part(one) for one in layers[: len(tests)]], rest)]
    made: list[ast.expr] = []
    before: list[ast.expr] = []
    for number, items in enumerate(layers):
        own = [tests[number]] if number < len(tests) else []
        condition = _all([*(_inverse(test) for test in before), *own])
        before += own
        if items:
            made.append(_call("when", condition, _part(items)))
    return made


def _possible(tests: list[ast.expr | bool], items: list[T]) -> tuple[list[ast.expr], list[T]]:
    """Without the branches that can never be taken."""
    kept_tests: list[ast.expr] = []
    kept: list[T] = []
    for number, item in enumerate(items):
        test = tests[number] if number < len(tests) else True
        if test is False:
            continue
        kept.append(item)
        if test is True:
            break
        kept_tests.append(test)
    return kept_tests, kept


@final
class _Unwrapping(ast.NodeTransformer):
    """Puts the argument of hyperas's ``conditional`` in its place."""

    def __init__(self, imports: Imports, own: set[str]) -> None:
        self._imports, self._own = imports, own

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if len(node.args) != 1 or node.keywords or not self._is_conditional(node.func):
            return node
        return marked(ast.copy_location(node.args[0], node), rewritten=True)

    def _is_conditional(self, function: ast.expr) -> bool:
        full = self._imports.full(function)
        if full is None:  # hyperas itself imported it into the file that it ran
            name = function.id if isinstance(function, ast.Name) else ""
            return name == "conditional" and name not in self._own
        return full.startswith("hyperas.") and full.endswith(".conditional")


def without_conditional(tree: ast.Module, imports: Imports, own: set[str]) -> None:
    """Take ``conditional(x)`` of hyperas for x, which it returns, everywhere in a file.

    Args:
        own: the names of the file's own functions.
    """
    _Unwrapping(imports, own).visit(tree)


def condition_of(
    test: ast.expr, line: int, word: Callable[[ast.expr], ast.expr | None]
) -> ast.expr | bool:
    """A test as a condition on words; True or False where it can have one value only.

    Args:
        word: the name of the word that an expression is, None for what is none.

    Raises:
        NotStraight: if it is not about words.
    """
    match test:
        case ast.BoolOp():
            parts = [condition_of(item, line, word) for item in test.values]
            return _combined(test.op, parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = condition_of(operand, line, word)
            return not inner if isinstance(inner, bool) else _inverse(inner)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(left, op, right, line, word)
        case ast.Call(func=ast.Name(id="bool"), args=[inner_call], keywords=[]):
            return condition_of(inner_call, line, word)
    found = word(test)
    if found is None:
        raise NotStraight(line, f"an `if` that is not about a template: {ast.unparse(test)[:50]}")
    return _truth(found, line)


def _comparison(
    left: ast.expr,
    op: ast.cmpop,
    right: ast.expr,
    line: int,
    word: Callable[[ast.expr], ast.expr | None],
) -> ast.expr | bool:
    left, right = _bare(left), _bare(right)
    found = word(left)
    if found is None:
        found, right = word(right), left
        op = FLIPPED.get(type(op), type(op))()
    if found is None or not _constant(right):
        raise NotStraight(line, "an `if` that does not compare a template with a constant")
    if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set):
        parts = [_equal(found, ast.Eq(), item) for item in right.elts]
        made = _combined(ast.Or(), parts)
        if isinstance(op, ast.In):
            return made
        return not made if isinstance(made, bool) else _inverse(made)
    if not isinstance(op, ORDERS):
        raise NotStraight(line, "an `if` with a comparison that words do not have")
    return _equal(found, op, right)


def _bare(node: ast.expr) -> ast.expr:
    match node:
        case ast.Call(func=ast.Name(id="str"), args=[inner], keywords=[]):
            return inner
    return node


def _equal(word: ast.expr, op: ast.cmpop, constant: ast.expr) -> ast.expr | bool:
    options = _options(word)
    written = None if options is None else [ast.dump(item) for item in options]
    equality = isinstance(op, ast.Eq | ast.NotEq)
    if equality and written is not None and ast.dump(constant) not in written:
        return isinstance(op, ast.NotEq)  # whatever the word is
    return ast.Compare(word, [op], [constant])


def _options(name: ast.expr) -> list[ast.expr] | None:
    """The options of a choice if all are constants."""
    word = mark_of(name).get("word")
    if isinstance(word, ast.Call) and word.args and isinstance(word.args[0], ast.List):
        options = word.args[0].elts
        return options if all(_constant(item) for item in options) else None
    return None


def _constant(node: ast.expr) -> bool:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(_constant(item) for item in node.elts)
    if isinstance(node, ast.UnaryOp):
        return _constant(node.operand)
    return isinstance(node, ast.Constant)


def _truth(word: ast.expr, line: int) -> ast.expr:
    """The truth of a word itself: ``if {{choice([True, False])}}``."""
    options = _options(word) or []
    values = [item.value for item in options if isinstance(item, ast.Constant)]
    if values and all(isinstance(value, bool) for value in values):
        return word
    if values and all(isinstance(value, int | float) for value in values):
        return ast.Compare(word, [ast.NotEq()], [ast.Constant(0)])
    raise NotStraight(line, "the truth of a template that is neither a number nor True or False")


def _combined(op: ast.boolop, parts: list[ast.expr | bool]) -> ast.expr | bool:
    both = isinstance(op, ast.And)
    open_parts = [part for part in parts if not isinstance(part, bool)]
    if any(part is (not both) for part in parts):
        return not both
    if not open_parts:
        return both
    sign: ast.operator = ast.BitAnd() if both else ast.BitOr()
    made = open_parts[0]
    for part in open_parts[1:]:
        made = ast.BinOp(made, sign, part)
    return made


def _inverse(test: ast.expr) -> ast.expr:
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=right):
            return ast.Compare(left, [ast.NotEq()], right)
        case ast.Compare(left=left, ops=[ast.NotEq()], comparators=right):
            return ast.Compare(left, [ast.Eq()], right)
    return ast.UnaryOp(ast.Invert(), test)


def _all(tests: list[ast.expr]) -> ast.expr:
    made = tests[0]
    for test in tests[1:]:
        made = ast.BinOp(made, ast.BitAnd(), test)
    return made


def _one_word(tests: list[ast.expr]) -> tuple[ast.expr, list[ast.expr]] | None:
    """The word and the values, if every test is whether one word has one value."""
    word: ast.expr | None = None
    values = []
    for test in tests:
        match test:
            case ast.Compare(left=ast.Name() as left, ops=[ast.Eq()], comparators=[value]):
                if word is not None and ast.dump(word) != ast.dump(left):
                    return None
                word = left
                values.append(value)
            case _:
                return None
    return None if word is None else (word, values)


def _match(
    word: ast.expr, values: list[ast.expr], cases: list[ast.expr], otherwise: ast.expr
) -> ast.Call:
    options = _options(word) or []
    known = [ast.dump(value) for value in values]
    left = [option for option in options if ast.dump(option) not in known]
    if len(left) == 1:  # the one that is left is what `else` is about
        values, cases = [*values, left[0]], [*cases, otherwise]
    made = _call("match", word, ast.Dict(list(values), list(cases)))
    if len(left) > 1 or not options:
        made.keywords.append(ast.keyword("otherwise", otherwise))
    return made


def _part(layers: list[ast.expr]) -> ast.expr:
    return layers[0] if len(layers) == 1 else ast.List(layers, ast.Load())


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(imported(name, "hpsearch"), list(args), [])


def switch_name(word: ast.expr, taken: set[str]) -> str:
    """A name for a word that the file gave none: ``three_or_four`` of its options, else ``switch``."""
    wanted = "switch"
    if isinstance(word, ast.Call) and word.args and isinstance(word.args[0], ast.List):
        options = [item.value for item in word.args[0].elts if isinstance(item, ast.Constant)]
        if len(options) == len(word.args[0].elts) and 2 <= len(options) <= 3:
            joined = "_or_".join(str(option) for option in options)
            if re.fullmatch(r"[a-z]\w{0,40}", joined, re.ASCII):
                wanted = joined
    return free(wanted, taken)
