"""Arithmetic on a word as the word of its result: ``2 ** choice([4, 5])`` is ``choice([16, 32])``.

What is recorded is what the word draws, under the label of its place. Where the arithmetic cannot
be a word, the word gets a name that says that it is only a part: ``part_of_epochs``.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence

from .arguments import UNKNOWN, parameter_names
from .marks import called, imported, mark_of
from .names import free
from .words import number

__all__ = ["folded", "name_parts"]

MOST_OPTIONS = 16  # that an integer becomes


def folded(nodes: Sequence[ast.expr]) -> list[ast.expr]:
    """The nodes with the arithmetic on words and constants done, where a word says the result.

    A word is changed in place; one that stands twice is left as it is.
    """
    counts = Counter(mark_of(one).get("template", -1) for node in nodes for one in ast.walk(node))
    fold = _Fold({number_ for number_, count in counts.items() if count == 1 and number_ >= 0})
    return [fold.visit(node) for node in nodes]


class _Fold(ast.NodeTransformer):
    """Folds from the inside out.

    Args:
        once: the templates that stand in one place.
    """

    def __init__(self, once: set[int]) -> None:
        self._once = once

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        for word, other in ((node.left, node.right), (node.right, node.left)):
            if self._is_word(word) and number(other) is not None:
                assert isinstance(word, ast.Call)
                return word if _fold(word, node) else node
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and self._is_word(node.operand):
            assert isinstance(node.operand, ast.Call)
            negative = ast.BinOp(ast.Constant(0), ast.Sub(), node.operand)
            return node.operand if _fold(node.operand, negative) else node
        return node

    def _is_word(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and mark_of(node).get("template") in self._once
        )


def _fold(word: ast.Call, node: ast.BinOp) -> bool:
    """Make the word that of the operation's result; return whether that could be done."""

    def result(value: ast.expr) -> float | None:
        left, right = (value if side is word else side for side in (node.left, node.right))
        return number(ast.BinOp(left, node.op, right))

    assert isinstance(word.func, ast.Name)
    match word.func.id:
        case "choice":
            return _choice(word, result)
        case "integer":
            return _integer(word, node, result)
        case "uniform":
            return _uniform(word, node, result)
    return False


Result = Callable[[ast.expr], float | None]


def _choice(word: ast.Call, result: Result) -> bool:
    """Every option by itself; not where two become one, or one has no result."""
    if not isinstance(word.args[0], ast.List):
        return False
    values = [result(option) for option in word.args[0].elts]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(set(known)) < len(values):
        return False
    word.args[0] = ast.List([ast.Constant(value) for value in known], ast.Load())
    return True


def _integer(word: ast.Call, node: ast.BinOp, result: Result) -> bool:
    """Both bounds where the distances stay, or grow alike; else a choice of the few results."""
    low, high = (number(bound) for bound in word.args)
    named = {keyword.arg: keyword.value for keyword in word.keywords}
    step = number(named.get("step", ast.Constant(1)))
    if low is None or high is None or step is None or step < 1 or "log" in named:
        return False
    drawn = range(int(low), int(high) + 1, int(step))
    ends = [result(ast.Constant(value)) for value in (*drawn[:2], *drawn[-1:])]
    if _straight(word, node) and all(isinstance(end, int) for end in ends) and len(drawn) > 1:
        first, second, last = (int(end) for end in ends if end is not None)
        if first < second:
            word.args = [ast.Constant(first), ast.Constant(last)]
            word.keywords = [k for k in word.keywords if k.arg != "step"]
            if second - first > 1:
                word.keywords.insert(0, ast.keyword("step", ast.Constant(second - first)))
            return True
    if len(drawn) > MOST_OPTIONS:
        return False
    values = [result(ast.Constant(value)) for value in drawn]
    choice = ast.Call(word.func, [ast.List([ast.Constant(v) for v in values], ast.Load())], [])
    if not _choice(choice, lambda value: number(value)):
        return False
    word.func, word.args = imported("choice", "hpsearch"), choice.args
    word.keywords = [keyword for keyword in word.keywords if keyword.arg != "step"]
    return True


def _straight(word: ast.Call, node: ast.BinOp) -> bool:
    """Whether equal distances stay equal."""
    subtracted = isinstance(node.op, ast.Sub) and node.left is word
    return isinstance(node.op, ast.Add | ast.Mult) or subtracted


def _uniform(word: ast.Call, node: ast.BinOp, result: Result) -> bool:
    """The power of a number above 1 with a uniform exponent is log-uniform."""
    base = number(node.left) if isinstance(node.op, ast.Pow) and node.right is word else None
    low, high = (result(bound) for bound in word.args)
    if base is None or base <= 1 or word.keywords or low is None or high is None or low <= 0:
        return False
    word.func = imported("loguniform", "hpsearch")
    word.args = [ast.Constant(low), ast.Constant(high)]
    return True


def name_parts(nodes: Sequence[ast.expr], taken: set[str]) -> None:
    """Name the words that are left inside arithmetic: what they draw is not what is used.

    Args:
        taken: the names of words that there are; the new ones are added.
    """
    for node in nodes:
        _name_parts(node, "", False, taken)


def _name_parts(node: ast.AST, place: str, inside: bool, taken: set[str]) -> None:
    match node:
        case ast.Call(keywords=keywords) if "template" in mark_of(node):
            if inside and all(keyword.arg != "name" for keyword in keywords):
                wanted = mark_of(node).get("local") or (f"part_of_{place}" if place else "part")
                name = free(wanted, taken)
                taken.add(name)
                keywords.append(ast.keyword("name", ast.Constant(name)))
            for option in node.args:
                _name_parts(option, place, False, taken)
        case ast.Call(func=function, args=args, keywords=keywords):
            _name_parts(function, place, False, taken)
            names = parameter_names(called(node), len(args))
            for name, item in zip(names, args, strict=True):
                _name_parts(item, "" if name == UNKNOWN else name, False, taken)
            for keyword in keywords:
                _name_parts(keyword.value, keyword.arg or "", False, taken)
        case ast.BinOp() | ast.UnaryOp(op=ast.USub()):
            for child in ast.iter_child_nodes(node):
                _name_parts(child, place, True, taken)
        case _:
            for child in ast.iter_child_nodes(node):
                _name_parts(child, place, inside, taken)
