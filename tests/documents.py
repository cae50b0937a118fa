"""The code blocks of a page of the documentation, and what is printed below them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A Python block.

    Attributes:
        line: where it begins on the page.
        output: the `text` block that follows at once, None if there is none.
    """

    code: str
    line: int
    output: str | None = None


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    found = []
    for fence, after in zip(fences, [*fences[1:], None], strict=True):
        if fence[1] != "python":
            continue
        follows = after is not None and not text[fence.end() : after.start()].strip()
        output = after[2] if after is not None and follows and after[1] == "text" else None
        found.append(Block(fence[2], text.count("\n", 0, fence.start()) + 2, output))
    return found


def code_of(page: Path, block: Block) -> object:
    """The block compiled so that an error names the line of the page."""
    return compile("\n" * (block.line - 1) + block.code, str(page), "exec")
