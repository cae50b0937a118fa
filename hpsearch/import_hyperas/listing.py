"""The Python code in what a user may hand in: a script, a notebook, or the listing of one.

Lines keep their numbers: what is not code becomes an empty line. The lines of a notebook in JSON
are numbered through its code cells.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SpaceError
from .templates import with_calls

__all__ = ["code_in", "read_file"]

LARGEST_FILE = 20_000_000  # bytes; a notebook holds its pictures
PROMPT = re.compile(r"^(In|Out) ?\[[\d ]*\]:?")
WRITEFILE = re.compile(r"^%%(writefile|file)\b")
WRITTEN = re.compile(r"^(Overwriting|Writing|Appending to) \S+$")
MAGIC = re.compile(r"[ \t]*(?:%|!|get_ipython\(\))(?:\\\n|[^\n])*")
OPENING, CLOSING = set("([{"), set(")]}")
TOKEN = re.compile(
    r"""\#[^\n]*                                    # a comment
    | (\"{3}|'{3}) (?: \\. | (?!\1). )* \1          # a string over several lines
    | "(?: \\. | [^"\\\n] )*" | '(?: \\. | [^'\\\n] )*'
    | \\.                                         # the line goes on
    | [^\#"'\\()\[\]{}\n]+ | .""",
    re.DOTALL | re.VERBOSE,
)


def read_file(path: Path) -> str:
    """The text of a file.

    Raises:
        SpaceError: if there is none, it cannot be read, or it is not text in UTF-8.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise SpaceError(
            f"import-hyperas needs a file, and {path} {what}. Name the script, notebook or listing "
            "with the hyperas code."
        )
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise SpaceError(
                f"{path.name} is larger than {LARGEST_FILE:,} bytes: not a hyperas file. "
                "Copy the code into a file of its own."
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpaceError(
            f"{path.name} is not a text file in UTF-8: {error.reason} at byte {error.start}. "
            "Name the script, notebook or listing itself."
        ) from None
    except OSError as error:
        raise SpaceError(f"{path.name} cannot be read: {error.strerror}.") from None


def code_in(text: str) -> str:
    """The code of a script, a notebook in JSON, or a listing with ``In [1]:`` lines."""
    cells = _cells_of_notebook(text)
    if cells is not None:
        return "\n".join(line for cell in cells for line in [*_code_of_cell(cell), ""])
    lines = _lines(text)
    if any(PROMPT.match(line) or WRITEFILE.match(line) for line in lines):
        lines = _listed(lines)
    return "\n".join(lines) + "\n"


def _lines(text: str) -> list[str]:
    """The lines as Python counts them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _cells_of_notebook(text: str) -> list[list[str]] | None:
    """The lines of the code cells, or of the one that writes the hyperas file; None if no notebook."""
    if not text.lstrip().startswith("{"):
        return None
    found = []
    try:
        content = json.loads(text)
        for sheet in content.get("worksheets") or [content]:
            for cell in sheet.get("cells", ()):
                if cell.get("cell_type") == "code":
                    source = cell.get("source", cell.get("input", ""))
                    found.append(_lines(source if isinstance(source, str) else "".join(source)))
    except (ValueError, TypeError, AttributeError):
        return None
    files = [cell for cell in found if WRITEFILE.match(cell[0]) and _has_template(cell)]
    return files[:1] or found or None


def _has_template(lines: list[str]) -> bool:
    return any("{{" in line for line in lines)


def _code_of_cell(lines: list[str]) -> list[str]:
    """The lines with magics empty: those where a statement starts, not those inside one."""
    text, at, depth, starts = "\n".join(lines), 0, 0, True
    pieces = []
    while at < len(text):
        magic = MAGIC.match(text, at) if starts and not depth else None
        found = magic or TOKEN.match(text, at)
        assert found is not None, "any character is a token"
        pieces.append("\n" * found[0].count("\n") if magic else found[0])
        at, starts = found.end(), found[0] == "\n"
        depth = max(0, depth + (found[0] in OPENING) - (found[0] in CLOSING))
    return "".join(pieces).split("\n")


def _listed(lines: list[str]) -> list[str]:
    """The lines of the cell that writes the hyperas file; without one, of every cell that is code."""
    cells = list(_cells(lines))
    files = [
        (start, end)
        for start, end in cells
        if WRITEFILE.match(lines[start]) and _has_template(lines[start:end])
    ]
    kept: list[str] = [""] * len(lines)
    for start, end in files[:1] or cells:
        code = _code_of_cell(lines[start:end])
        code = code[: _end_of_code(lines[start:end], code)]
        kept[start : start + len(code)] = code
    return kept


def _cells(lines: list[str]) -> Iterator[tuple[int, int]]:
    """(first line, line after the last) of the text between two prompts."""
    starts = [
        number
        for number, line in enumerate(lines)
        if PROMPT.match(line) or (WRITEFILE.match(line) and not _after_prompt(lines, number))
    ]
    for start, end in zip([-1, *starts], [*starts, len(lines)], strict=True):
        first = start + 1 if start >= 0 and PROMPT.match(lines[start]) else max(start, 0)
        if first < end and not (start >= 0 and lines[start].startswith("Out")):
            yield first, end


def _after_prompt(lines: list[str], number: int) -> bool:
    return number > 0 and PROMPT.match(lines[number - 1]) is not None


def _end_of_code(lines: list[str], code: list[str]) -> int:
    """How many lines of a cell are code: the output that follows it is no Python.

    A cell of which nothing parses is left whole if it holds a template, so that the error shows,
    and is left out otherwise.
    """
    end = len(lines)
    while end and (not lines[end - 1].strip() or WRITTEN.match(lines[end - 1])):
        end -= 1
    for until in range(end, 0, -1):
        if until < end and lines[until].strip():
            continue  # only at an empty line
        if _parses("\n".join(code[:until])):
            return until
    return end if _has_template(lines[:end]) else 0


def _parses(text: str) -> bool:
    try:
        ast.parse(with_calls(text)[0])
    except (SyntaxError, ValueError, SpaceError):
        return False
    return True
