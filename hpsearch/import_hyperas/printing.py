"""Expressions as text: on one line where they fit, else an argument on each."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable

from .marks import mark_of

__all__ = ["expression", "header", "in_quotes", "lines_of", "shown"]

WIDTH = 88
PLACE = "    "
TALL = {"broken", "above"}  # marks of what has several lines


def header(name: str, arguments: Iterable[str], indent: str = "") -> str:
    """The line, or lines, ``def name(arguments):``, the first without the indent."""
    listed = list(arguments)
    line = f"def {name}({', '.join(listed)}):\n"
    if len(indent + line) <= WIDTH + 1:
        return line
    lines = "".join(f"{indent}{PLACE}{argument},\n" for argument in listed)
    return f"def {name}(\n{lines}{indent}):\n"


def shown(text: str) -> str:
    """A text of the file, or its name, on one line: what cannot be printed as its escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def in_quotes(text: str) -> str:
    """A shown text as it stands between the double quotes of a string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def expression(node: ast.AST) -> str:
    """The code of a node on one line, strings in double quotes."""
    flat = ast.unparse(ast.fix_missing_locations(node))
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(flat).readline))
    except tokenize.TokenError:
        return flat
    pieces, at = [], 0
    for token in tokens:
        if token.type == tokenize.STRING and token.start[0] == token.end[0] == 1:
            pieces += [flat[at : token.start[1]], _quoted(token.string)]
            at = token.end[1]
    return "".join([*pieces, flat[at:]])


def lines_of(node: ast.AST, indent: str = "", before: str = "", after: str = "") -> list[str]:
    """The lines of ``before node after``, several where the marks or the width ask for them."""
    flat = expression(node)
    line = f"{indent}{before}{flat}{after}"
    opened = _opened(node)
    inside = ast.walk(node)
    next(inside)  # the node itself, whose comments stand above it
    broken = "broken" in mark_of(node) or any(mark_of(one).keys() & TALL for one in inside)
    if opened is None or (len(line) <= WIDTH and "\n" not in flat and not broken):
        return [line]
    start, items, close = opened
    if not items:
        return [line]
    hugged = _hugged(node, items, f"{indent}{before}{start}")
    if hugged is not None:
        lead, last = hugged
        return lines_of(last, indent, before + start + lead, close + after)
    lines = [f"{indent}{before}{start}"]
    for prefix, item in items:
        lines += [f"{indent}{PLACE}{comment}" for comment in mark_of(item).get("above", ())]
        lines += lines_of(item, indent + PLACE, prefix, ",")
    return [*lines, f"{indent}{close}{after}"]


Items = list[tuple[str, ast.AST]]


def _opened(node: ast.AST) -> tuple[str, Items, str] | None:
    """What opens a node, its items, and what closes it; None if it has one line only."""
    match node:
        case ast.Call():
            items: Items = [("", item) for item in node.args]
            items += [(f"{k.arg}=" if k.arg else "**", k.value) for k in node.keywords]
            return f"{expression(node.func)}(", items, ")"
        case ast.List():
            return "[", [("", item) for item in node.elts], "]"
        case ast.Tuple() if len(node.elts) > 1:
            return "(", [("", item) for item in node.elts], ")"
        case ast.Dict() if all(key is not None for key in node.keys):
            pairs = zip(node.keys, node.values, strict=True)
            return "{", [(f"{expression(k)}: ", v) for k, v in pairs if k is not None], "}"
    return None


def _hugged(node: ast.AST, items: Items, start: str) -> tuple[str, ast.AST] | None:
    """What stands before the last argument, if that is a list or dict to be opened in place."""
    if not isinstance(node, ast.Call) or node.keywords or "broken" in mark_of(node):
        return None
    *first, (_, last) = items
    if not isinstance(last, ast.List | ast.Dict) or "above" in mark_of(last):
        return None
    if any("above" in mark_of(inner) for _, item in first for inner in ast.walk(item)):
        return None
    lead = "".join(f"{expression(item)}, " for _, item in first)
    return (lead, last) if len(start) + len(lead) < WIDTH else None


def _quoted(text: str) -> str:
    if text.startswith("'") and not text.startswith("'''") and not {'"', "\\"} & set(text):
        return f'"{text[1:-1]}"'
    return text
