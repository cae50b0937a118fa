"""Assignments and uses: what is used once is written in place, what is not used is left out.

A word that is read in several places, or by a condition, gets a name; names that would hide one of
ours are changed.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import final

from .declared import Local
from .folding import folded, name_parts
from .marks import is_ours, mark_of, marked
from .names import WRITTEN, free

__all__ = ["shared", "tidy"]


def tidy(locals_: Sequence[Local], root: ast.Call, taken: set[str]) -> tuple[list[Local], ast.Call]:
    """The assignments that are left, in order, and the space itself.

    Args:
        root: the call of `Space`.
        taken: names that assignments may not have.
    """
    kept = _used(list(locals_), root)
    kept, root = _in_place(kept, root)
    kept, root = _chosen(kept, root)
    root = _computed(kept, root)
    name_parts([*(item.value for item in kept), root], _name_words(kept, root))
    return _renamed(kept, root, taken)


def _used(items: list[Local], root: ast.Call) -> list[Local]:
    wanted = _own(root)
    kept: list[Local] = []
    for item in reversed(items):
        if item.name in wanted:
            kept.append(item)
            wanted |= _own(item.value)
    return kept[::-1]


def _own(node: ast.expr) -> set[str]:
    """The names that a node reads, but those that are imported for it."""
    names = (one for one in ast.walk(node) if isinstance(one, ast.Name))
    return {one.id for one in names if not is_ours(one)}


def _uses(name: str, nodes: Sequence[ast.expr]) -> int:
    return sum(
        isinstance(one, ast.Name) and one.id == name and not is_ours(one)
        for node in nodes
        for one in ast.walk(node)
    )


def _in_place(items: list[Local], root: ast.Call) -> tuple[list[Local], ast.Call]:
    """Write what is used once where it is used."""
    names = [item.name for item in items]
    position = 0
    while position < len(items):
        item = items[position]
        later = [other.value for other in items[position + 1 :]] + [root]
        again = names.count(item.name) > 1 or any(
            names.count(name) > 1 for name in _own(item.value)
        )
        stays = item.tensor or item.named or again or _in_lambda(item.name, later)
        if stays or _uses(item.name, later) != 1:
            position += 1
            continue
        if "template" in mark_of(item.value):
            marked(item.value, local=item.name)
        put = _Put(item.name, item.value)
        for other in items[position + 1 :]:
            other.value = put.visit(other.value)
        root = put.visit(root)
        del items[position]
        names = [other.name for other in items]
    return items, root


def _chosen(items: list[Local], root: ast.Call) -> tuple[list[Local], ast.Call]:
    """A `match` on a word that nothing else reads is a `choice` of its parts."""
    for item in list(items):
        others = [other.value for other in items if other is not item] + [root]
        found = [
            one
            for node in others
            for one in ast.walk(node)
            if "chosen" in mark_of(one) and _is_table(one, item)
        ]
        if len(found) != 1 or _uses(item.name, others) != 1:
            continue
        (made,) = found
        assert isinstance(made, ast.Call) and isinstance(item.value, ast.Call)
        table = made.args[1]
        assert isinstance(table, ast.Dict)
        options = item.value.args[0]
        assert isinstance(options, ast.List)
        parts = {ast.dump(k): (k, v) for k, v in zip(table.keys, table.values, strict=True) if k}
        pairs = [parts[ast.dump(option)] for option in options.elts]
        made.func = copy.copy(item.value.func)
        made.args = [ast.Dict([k for k, _ in pairs], [v for _, v in pairs])]
        made.keywords = item.value.keywords
        marked(made, template=mark_of(item.value)["template"])
        items.remove(item)
    return items, root


def _is_table(node: ast.AST, item: Local) -> bool:
    """Whether this picks by the word, by a string for each of its options."""
    match node, item.value:
        case (
            ast.Call(args=[ast.Name(id=name), ast.Dict(keys=keys)], keywords=[]),
            ast.Call(func=ast.Name(id="choice"), args=[ast.List(elts=options)]),
        ) if name == item.name:
            texts = [k.value for k in keys if isinstance(k, ast.Constant)]
            return len(keys) == len(options) and all(isinstance(text, str) for text in texts)
    return False


def _in_lambda(name: str, nodes: Sequence[ast.expr]) -> bool:
    inside = (one for node in nodes for one in ast.walk(node) if isinstance(one, ast.Lambda))
    return any(_uses(name, [one]) for one in inside)


@final
class _Put(ast.NodeTransformer):
    """Puts an expression in the place of a name."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name, self._value = name, value

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id != self._name or is_ours(node):
            return node
        above = mark_of(node).get("above")
        return marked(self._value, above=above) if above else self._value


def _computed(items: list[Local], root: ast.Call) -> ast.Call:
    """Do the arithmetic on words that a word can say."""
    *values, made = folded([*(item.value for item in items), root])
    for item, value in zip(items, values, strict=True):
        item.value = value
    assert isinstance(made, ast.Call), "a call of Space is no arithmetic"
    return made


def _name_words(items: list[Local], root: ast.Call) -> set[str]:
    """Name the words that a condition reads or that stand in several places; return the names."""
    taken: set[str] = set()
    for position, item in enumerate(items):
        later = [other.value for other in items[position + 1 :]] + [root]
        if item.tensor or not (item.named or _uses(item.name, later) > 1):
            continue
        for word in (one for one in ast.walk(item.value) if "template" in mark_of(one)):
            if not isinstance(word, ast.Call) or any(k.arg == "name" for k in word.keywords):
                continue
            name = free(item.name, taken)
            taken.add(name)
            word.keywords.append(ast.keyword("name", ast.Constant(name)))
    return taken


def _renamed(items: list[Local], root: ast.Call, taken: set[str]) -> tuple[list[Local], ast.Call]:
    for name in {item.name for item in items}:
        if name not in WRITTEN | taken:
            continue
        new = f"{name}_"
        put = _Put(name, ast.Name(new, ast.Load()))
        for item in items:
            item.value = put.visit(item.value)
            item.name = new if item.name == name else item.name
        root = put.visit(root)
    return copy.copy(items), root


def shared(numbers: Sequence[int], items: Sequence[Local], root: ast.Call) -> list[Local]:
    """Words of the data function that stand elsewhere as well, as assignments with a name."""
    found = []
    for number in numbers:
        nodes = [root, *(item.value for item in items)]
        words = [
            one
            for node in nodes
            for one in ast.walk(node)
            if mark_of(one).get("template") == number
        ]
        keyword = next(k for k in ast.walk(root) if getattr(k, "value", None) in words)
        if len(words) < 2 or not isinstance(words[0], ast.Call):
            continue
        assert isinstance(keyword, ast.keyword) and keyword.arg is not None
        name, word = keyword.arg, copy.copy(words[0])
        word.keywords = [*word.keywords, ast.keyword("name", ast.Constant(name))]
        put = _PutTemplate(number, name)
        for item in items:
            item.value = put.visit(item.value)
        put.visit(root)
        found.append(Local(name, word, word.lineno, named=True))
    return found


@final
class _PutTemplate(ast.NodeTransformer):
    """Puts a name in the place of a template's word."""

    def __init__(self, number: int, name: str) -> None:
        self._number, self._name = number, name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if mark_of(node).get("template") == self._number:
            return ast.Name(self._name, ast.Load())
        return self.generic_visit(node)
