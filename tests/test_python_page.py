"""The page on Python does what it says, and prints what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from documents import DOCS, blocks, code_of

PAGE = DOCS / "python.md"


def test_the_page_runs_and_prints_what_it_shows(study_folder: Path, capsys: Any) -> None:
    names: dict[str, Any] = {}
    shown = 0
    for block in blocks(PAGE):
        exec(code_of(PAGE, block), names)
        printed = capsys.readouterr().out
        assert printed == (block.output or "")
        shown += block.output is not None
    assert shown == 2
