"""Finding the templates ``{{…}}`` of a hyperas file, and making Python of the rest.

A template is found by its brackets, in code only: never in a string or a comment. Each becomes a
call of a name of its own, ``__template_0__(uniform(0, 1))``, so that `ast` reads the file with
its lines kept, and templates within templates need no rule of their own.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from ..errors import SpaceError
from .printing import shown

__all__ = ["Source", "Template", "drawn", "int_of", "template_number", "with_calls"]

CALL = "__template_{}__("
CALLED = re.compile(r"__template_(\d+)__\Z")
VALUES = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
STARTS = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
LARGEST_INTEGER = 1_000  # bits; what is larger than a float has no place in a space


@final
@dataclass(frozen=True, slots=True)
class Template:
    """One ``{{…}}``.

    Attributes:
        number: its place in the file, from 0.
        start, end: where it stands in the text, in characters.
        line: from 1.
        text: what stands between the braces, on one line.
    """

    number: int
    start: int
    end: int
    line: int
    text: str


@final
class Source:
    """A parsed file.

    Attributes:
        name: what the file is called in messages.
        original: its code with the templates as written.
        text: the code that `tree` was parsed from.
        comments: the whole-line comments by their line.
    """

    def __init__(self, name: str, original: str) -> None:
        self.name, self.original = name, original
        try:
            self.text, self.templates = with_calls(original)
            self.tree = ast.parse(self.text)
            _check_integers(self.tree)
        except (SyntaxError, ValueError) as error:
            raise SpaceError(_not_python(name, original, error)) from None
        self._starts = _line_starts(self.text)
        self._lines = self.text.split("\n")
        self.comments = {
            number: line.strip()
            for number, line in enumerate(self._lines, 1)
            if line.lstrip().startswith("#")
        }

    def offset(self, line: int, column: int) -> int:
        """Where a position of `ast` (its columns count bytes) is in `text`."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The start and end of a node in `text`."""
        end_line, end_column = node.end_lineno, node.end_col_offset
        assert end_line is not None and end_column is not None, "of a tree that was parsed"
        return self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column)

    def start_of_line(self, line: int) -> int:
        """Where a line starts in `text`."""
        return self._starts[line - 1] if line <= len(self._lines) else len(self.text)


def template_number(node: ast.AST) -> int | None:
    """The number of the template that this call stands for, None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        found = CALLED.match(node.func.id)
        return int(found[1]) if found else None
    return None


def int_of(node: ast.AST | None) -> ast.expr | None:
    """What ``int(…)`` is called with, None for anything else."""
    match node:
        case ast.Call(func=ast.Name(id="int"), args=[inner], keywords=[]):
            return inner
    return None


def drawn(node: ast.AST | None) -> int | None:
    """The number of the template that this is, or is `int` of; None for anything else."""
    inner = int_of(node) or node
    return None if inner is None else template_number(inner)


def with_calls(text: str) -> tuple[str, tuple[Template, ...]]:
    """The text with every template as a call, and the templates.

    Raises:
        SyntaxError: if the text cannot be read as tokens.
    """
    found = sorted(_spans(text))
    templates = []
    for number, (start, end) in enumerate(found):
        line = text.count("\n", 0, start) + 1
        inside = shown(" ".join(text[start + 2 : end - 2].split()))
        templates.append(Template(number, start, end, line, inside))
    changes = [(t.start, CALL.format(t.number)) for t in templates]
    changes += [(t.end - 2, ")") for t in templates]
    pieces, at = [], 0
    for where, new in sorted(changes):
        pieces += [text[at:where], new]
        at = where + 2
    return "".join([*pieces, text[at:]]), tuple(templates)


def _check_integers(tree: ast.AST) -> None:
    """Python itself does not write out integers of more than some thousand digits."""
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.Constant)):
        if isinstance(node.value, int) and node.value.bit_length() > LARGEST_INTEGER:
            raise SyntaxError("an integer larger than a float", ("", node.lineno, 0, ""))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every pair of braces directly inside another: a set of a set cannot be."""
    starts = _line_starts(text)
    waiting: list[int] = []
    inner = (-1, -1)  # the pair of braces closed last
    for token in _tokens(text):
        if token.type != tokenize.OP:
            continue
        at = starts[token.start[0] - 1] + token.start[1]
        if token.string == "{":
            waiting.append(at)
        elif token.string == "}" and waiting:
            start = waiting.pop()
            if inner == (start + 1, at - 1):
                yield start, at + 1
                inner = (-1, -1)
            else:
                inner = (start, at)


def _tokens(text: str) -> Sequence[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(text).readline))
    except tokenize.TokenError as error:
        ast.parse(text)  # braces in braces are Python too; it says which bracket was not closed
        message, (line, _) = error.args
        raise SyntaxError(message, ("", line, 0, "")) from None


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _prints(text: str) -> list[int]:
    """The lines with a statement ``print x`` of Python 2."""
    try:
        tokens = _tokens(text)
    except SyntaxError:
        return []
    found, starts = [], True
    for token, after in itertools.pairwise(tokens):
        written = after.type in VALUES or after.string in (">>", "`")
        if starts and written and token.string == "print":
            found.append(token.start[0])
        starts = token.type in STARTS or token.string in (":", ";")
    return found


def _not_python(name: str, original: str, error: Exception) -> str:
    line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if "print" in text:
        lines = ", ".join(str(one) for one in _prints(original))
        return (
            f"{name}{line}: not Python 3 but Python 2: print without brackets, on "
            f"{'lines' if ',' in lines else 'line'} {lines or line[1:]}. Write print(...) there "
            "and import again."
        )
    hint = ""
    if isinstance(error, SyntaxError) and (error.text or "").lstrip()[:1] in ("%", "!"):
        hint = " Lines that begin with % or ! are for notebooks: leave them out."
    return (
        f"{name}{line}: not Python: {text.rstrip('.?!')}.{hint} Correct that line and import again."
    )
