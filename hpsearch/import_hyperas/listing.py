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
from .templates import mark

__all__ = ["code_in", "read_file"]

LARGEST_FILE = 20_000_000  # bytes; a notebook holds its pictures
PROMPT = re.compile(r"^(In|Out) ?\[[\d ]*\]:?")
WRITEFILE = re.compile(r"^%%(writefile|file)\b")
WRITTEN = re.compile(r"^(Overwriting|Writing|Appending to) \S+$")
MAGIC = re.compile(r"^\s*(%|!|get_ipython\(\))")


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
    lines = _cells_of_notebook(text) or text.split("\n")
    if any(PROMPT.match(line) for line in lines) or _written(lines):
        lines = _listed(lines)
    return "\n".join("" if MAGIC.match(line) else line for line in lines) + "\n"


def _cells_of_notebook(text: str) -> list[str] | None:
    """The lines of the code cells, with an empty line between two; None if this is no notebook."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        content = json.loads(text)
    except ValueError:
        return None
    sheets = content.get("worksheets") or [content]
    lines: list[str] = []
    for cell in (cell for sheet in sheets for cell in sheet.get("cells", ())):
        if cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            whole = source if isinstance(source, str) else "".join(source)
            lines += [*whole.split("\n"), ""]
    return lines


def _written(lines: list[str]) -> bool:
    return any(WRITEFILE.match(line) for line in lines)


def _listed(lines: list[str]) -> list[str]:
    """The lines of the cell that writes the hyperas file; without one, of every cell that is code."""
    cells = list(_cells(lines))
    files = [
        (start, end)
        for start, end in cells
        if WRITEFILE.match(lines[start]) and any("{{" in line for line in lines[start:end])
    ]
    kept: list[str] = [""] * len(lines)
    for start, end in files[:1] or cells:
        until = _end_of_code(lines, start, end)
        kept[start:until] = lines[start:until]
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


def _end_of_code(lines: list[str], start: int, end: int) -> int:
    """Where the code of a cell ends: the output that follows it is no Python.

    A cell of which nothing parses is left whole if it holds a template, so that the error shows,
    and is left out otherwise.
    """
    while end > start and (not lines[end - 1].strip() or WRITTEN.match(lines[end - 1])):
        end -= 1
    for until in range(end, start, -1):
        if until < end and lines[until].strip():
            continue  # only at an empty line
        if _parses("\n".join("" if MAGIC.match(line) else line for line in lines[start:until])):
            return until
    return end if any("{{" in line for line in lines[start:end]) else start


def _parses(text: str) -> bool:
    try:
        ast.parse(mark(text).text)
    except (SyntaxError, ValueError, SpaceError):
        return False
    return True
