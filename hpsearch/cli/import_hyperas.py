"""`hpsearch import-hyperas`: a hyperas file as a space, and what to know of the conversion."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SpaceError

if TYPE_CHECKING:
    from ..import_hyperas import Conversion

__all__ = ["import_hyperas_command"]

WIDEST_WORD = 60  # columns of the table


@click.command(
    "import-hyperas",
    epilog="""\b
Examples:
  hpsearch import-hyperas my_hyperas.py -o my_space.py
  hpsearch import-hyperas notebook.ipynb > my_space.py""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SPACE.py",
    help="Where to write the space. [default: standard output]",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def import_hyperas_command(file: Path, output: Path | None, force: bool) -> None:
    """Turn FILE, a hyperas script, notebook or listing, into a space. FILE is never run.

    The report on standard error has hyperas's names beside the labels here, and line by line what
    could not be converted and what to do.
    """
    from ..import_hyperas import convert, read_file

    if output is not None:
        _check_output(output, force)
    found = convert(read_file(file), file.name)
    if output is None:
        click.echo(found.module, nl=False)
    else:
        _write(output, found.module, force)
    for line in _report(found, output):
        click.echo(line, err=True)


def _check_output(output: Path, force: bool) -> None:
    if output.suffix != ".py":
        raise SpaceError(
            f"A space is a Python file, got {output.name!r}. Write `-o {output.with_suffix('.py')}`."
        )
    if output.exists() and not force:
        raise SpaceError(
            f"{output} is there already. Give another name, or --force to write over it."
        )


def _write(output: Path, text: str, force: bool) -> None:
    try:
        with output.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise SpaceError(
            f"{output} cannot be written: {error.strerror}. Give another place with -o."
        ) from None


def _report(found: Conversion, output: Path | None) -> Iterator[str]:
    rows = [
        (row.old, row.label, row.word if len(row.word) <= WIDEST_WORD else f"{row.word[:59]}…")
        for row in found.rows
    ]
    yield from _table([("hyperas name", "here", "the word"), *rows])
    if found.kept:
        yield ""
        yield f"The model function stays a function, its templates are arguments: {found.kept}."
    if found.notes:
        yield ""
        yield "Not converted, or not as it was:"
        for note in found.notes:
            place = f"{found.name}:{note.line}" if note.line else found.name
            yield f"  {place}: {note.what}: {note.do}"
    space = shlex.quote(str(output)) if output is not None else "SPACE.py"
    yield ""
    yield f"check it:  hpsearch check {space}"
    yield f"run it:    {' '.join(['hpsearch run', space, *found.options])}"


def _table(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Columns side by side."""
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for row in rows:
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip()
