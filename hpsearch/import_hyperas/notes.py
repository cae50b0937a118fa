"""What the report says line by line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

__all__ = ["Note", "Notes"]


@final
@dataclass(frozen=True, slots=True, order=True)
class Note:
    """Something that is not as it was: its line in the file (0: the whole), what, and what to do."""

    line: int
    what: str
    do: str


@final
@dataclass(slots=True)
class Notes:
    """The notes of one conversion, each once."""

    found: list[Note] = field(default_factory=list)

    def add(self, line: int, what: str, do: str) -> None:
        """Note something unless it is noted already."""
        note = Note(line, what, do)
        if note not in self.found:
            self.found.append(note)

    def in_order(self) -> list[Note]:
        """The notes by line; those on the whole last."""
        return sorted(self.found, key=lambda note: (not note.line, note.line))
