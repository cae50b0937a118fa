"""Functions that are kept: their own text, with what has to change in it changed."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from typing import final

from .marks import mark_of
from .names import GONE, is_old
from .printing import expression, lines_of
from .translate import Context, Translator, loads, stores

__all__ = ["Edited", "dropped_statements"]


@final
class Edited:
    """The text of a statement of the module, with changes.

    Args:
        node: the statement.
        translator: writes Keras's names of today.
    """

    def __init__(self, context: Context, node: ast.stmt, translator: Translator) -> None:
        self._source = context.source
        self._translator = translator
        self._changes: list[tuple[int, int, str]] = []
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        self._start = self._source.start_of_line(first)
        self._end = self._source.start_of_line((node.end_lineno or node.lineno) + 1)

    def translate(self, node: ast.AST) -> None:
        """Write a part of the statement in today's names."""
        made = self._translator.of(node)
        for one in _rewritten(made):
            start, end = self._source.span(one)
            self._changes.append((start, end, expression(one)))

    def translate_body(self, body: list[ast.stmt], dropped: set[int]) -> None:
        """Translate statements, without those in `dropped` (by identity) and Keras's imports."""
        for statement in body:
            if id(statement) in dropped or _is_old_import(statement):
                self.drop(statement)
            elif not self._input(statement):
                self.translate(statement)

    def drop(self, node: ast.stmt) -> None:
        """Leave a statement out, and the comments directly above it."""
        first = node.lineno
        while first - 1 in self._source.comments:
            first -= 1
        start = self._source.start_of_line(first)
        self._changes.append((start, self._source.start_of_line((node.end_lineno or 0) + 1), ""))

    def replace(self, node: ast.stmt, text: str) -> None:
        """Write something else in a node's place."""
        self._changes.append((*self._source.span(node), text))

    def between(self, start: int, end: int, text: str) -> None:
        """Write something else between two places of the text."""
        self._changes.append((start, end, text))

    def cut(self, line: int) -> None:
        """Leave out everything from a line on."""
        self._end = self._source.start_of_line(line)

    def text(self) -> str:
        """The text with its changes, without the indent of the whole."""
        pieces, at = [], self._start
        for start, end, new in sorted(self._changes):
            if start < at or end > self._end:
                continue
            pieces += [self._source.text[at:start], new]
            at = end
        pieces.append(self._source.text[at : self._end])
        return textwrap.dedent("".join(pieces)).rstrip() + "\n"

    def _input(self, statement: ast.stmt) -> bool:
        """A first layer that told its input shape: Keras 3 wants an Input before it."""
        match statement:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(attr="add"), args=[ast.Call() as layer])
            ):
                given = self._translator.of(statement)
            case _:
                return False
        shape = _input_of(layer)
        if shape is None or not isinstance(given, ast.Expr):
            return False
        call = given.value
        assert isinstance(call, ast.Call) and isinstance(call.args[0], ast.Call)
        inner = call.args[0]
        names = ("input_shape", "input_dim", "batch_input_shape")
        inner.keywords = [k for k in inner.keywords if k.arg not in names]
        shape = self._translator.of(shape)
        place = " " * statement.col_offset
        adds = f"{expression(call.func)}(keras.Input({_input_text(layer, shape)}))"
        lines = lines_of(call, place)
        self.replace(statement, "\n".join([adds, *lines]))
        return True


def _input_of(layer: ast.Call) -> ast.expr | None:
    function = layer.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    for keyword in layer.keywords:
        if keyword.arg in ("input_shape", "batch_input_shape"):
            return keyword.value
        if keyword.arg == "input_dim" and name != "Embedding":
            return keyword.value
    return None


def _input_text(layer: ast.Call, shape: ast.expr) -> str:
    names = {keyword.arg for keyword in layer.keywords}
    if "batch_input_shape" in names:
        return f"batch_shape={expression(shape)}"
    if "input_shape" in names:
        return expression(shape)
    return f"({expression(shape)},)"


def _rewritten(node: ast.AST) -> Iterator[ast.expr]:
    """The outermost nodes that changed."""
    if "rewritten" in mark_of(node) and isinstance(node, ast.expr):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _rewritten(child)


def _is_old_import(node: ast.stmt) -> bool:
    """Whether this imports from Keras, hyperas or hyperopt only."""
    match node:
        case ast.ImportFrom(module=module, level=0):
            return is_old(module or "")
        case ast.Import(names=names):
            return all(is_old(alias.name) for alias in names)
    return False


def dropped_statements(
    context: Context, body: list[ast.stmt], wanted: set[str], after: set[str]
) -> set[int]:
    """The statements that serve nothing that is left, by identity.

    Args:
        wanted: the names that are needed at the end of the body.
        after: the names that what was cut off behind the body read: an assignment that served
            only that is left out.
    """
    dropped: set[int] = set()
    gone: set[str] = set()
    for node in body:
        names = {context.imports.keras(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
        uses_gone = isinstance(node, ast.Expr | ast.Assign) and loads(node) & gone
        if (names & set(GONE) and isinstance(node, ast.Assign | ast.Expr)) or uses_gone:
            _note_gone(context, node)
            gone |= stores(node)
            dropped.add(id(node))
        elif isinstance(node, ast.Expr) and names & {"utils.clear_session"}:
            dropped.add(id(node))
    while True:
        left = [node for node in body if id(node) not in dropped]
        read = wanted.union(*(loads(node) for node in left))
        idle = [
            node
            for node in left
            if isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in after - read
        ]
        if not idle:
            return dropped
        dropped |= {id(node) for node in idle}
        after = after.union(*(loads(node) for node in idle))


def _note_gone(context: Context, node: ast.stmt) -> None:
    for one in ast.walk(node):
        name = context.imports.keras(one) if isinstance(one, ast.Name | ast.Attribute) else None
        if name in GONE:
            bare = name.rpartition(".")[2]
            context.notes.add(node.lineno, f"{bare} is not in Keras 3; left out", GONE[name])
