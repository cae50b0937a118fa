"""Code on lines: one statement per thing that needs a name, the rest written in place.

The statements come in the order in which a trial makes things, because Keras draws the seeds of
initialisers in that order. Lines are broken as the usual formatters do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from .code import Labelled, Made, Text, inside

__all__ = ["Layout", "quoted"]

WIDTH = 88  # columns of code; a comment may run on to WIDTH_WITH_COMMENT
WIDTH_WITH_COMMENT = 100
PLACE = "    "


@final
@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of text, or a bracket around pieces that may go on lines of their own."""

    text: str
    items: tuple[tuple[str, _Piece], ...] = ()
    close: str = ""
    note: str | None = None

    def flat(self) -> str:
        inner = ", ".join(prefix + item.flat() for prefix, item in self.items)
        if self.close == ")" and self.text == "(" and len(self.items) == 1:
            inner += ","
        return self.text + inner + self.close

    def notes(self) -> list[str]:
        own = [self.note] if self.note else []
        return own + [note for _, item in self.items for note in item.notes()]


@final
class Layout:
    """Writes values and statements.

    Args:
        reference: how a function or class is written.
        array: how an array is written.
        thing: how any other object is written.
        taken: names that variables may not have; grows.
    """

    def __init__(
        self,
        reference: Callable[[Any], str],
        array: Callable[[Any], str],
        thing: Callable[[Any], str],
        taken: set[str],
    ) -> None:
        self._reference, self._array, self._thing = reference, array, thing
        self._taken = taken

    def statements(self, made: Sequence[Made], roots: Sequence[Any]) -> list[str]:
        """The lines that make everything which is not written in place in a root."""
        own = _statements(made, roots)
        lines: list[str] = []
        applied = {id(one.function) for one in made if one.applied}
        for one in made:
            if id(one) not in own:
                continue
            piece = self._made(one)
            if one.kind == "adapt" or one.variable == "":
                lines += self._lines(piece, "", "", "")
                continue
            if one.variable is None:
                wanted = "inputs" if one.name == "input" else one.name
                one.variable = self.free(f"{wanted}_layer" if id(one) in applied else wanted)
            lines += self._lines(piece, "", f"{one.variable} = ", "")
        return lines

    def free(self, wanted: str) -> str:
        """A variable name of its own."""
        name, again = wanted, 0
        while name in self._taken:
            again += 1
            name = f"{wanted}_{again}"
        self._taken.add(name)
        return name

    def call(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
        """The lines of a call that stands alone."""
        return self._lines(self._called(function, args, kwargs), "", "", "")

    def assignment(self, name: str, value: Any) -> list[str]:
        """The lines of ``name = value``."""
        return self._lines(self._piece(value), "", f"{name} = ", "")

    def text(self, value: Any) -> str:
        """The value on one line."""
        return self._piece(value).flat()

    def _piece(self, value: Any, note: str | None = None) -> _Piece:
        match value:
            case Labelled():
                return self._piece(value.value, value.note)
            case Text():
                return _Piece(value.text, note=note)
            case Made():
                return _Piece(value.variable) if value.variable else self._made(value)
            case dict():
                items = [(f"{self.text(key)}: ", self._piece(v)) for key, v in value.items()]
                return _Piece("{", tuple(items), "}", note)
            case list() | tuple():
                sign = "[]" if isinstance(value, list) else "()"
                return _Piece(sign[0], tuple(("", self._piece(v)) for v in value), sign[1], note)
            case _:
                return _Piece(self._atom(value), note=note)

    def _atom(self, value: Any) -> str:
        if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
            value = value.item()
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | float | bytes | range | slice):
            return repr(value)
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return self._array(value)
        if callable(value) and hasattr(value, "__qualname__"):
            return self._reference(value)
        return self._thing(value)

    def _made(self, made: Made) -> _Piece:
        if made.kind == "adapt":
            return self._called(f"{self.text(made.function)}.adapt", made.args, {})
        if made.kind != "call":
            if made.kind == "[]":
                return _Piece(f"{self.text(made.args[0])}[{self._subscript(made.args[1])}]")
            return _Piece(_operation(made.kind, [self.text(item) for item in made.args]))
        function = self._piece(made.function)
        called = self._called(function.flat(), made.args, made.kwargs)
        return dataclasses.replace(called, note=", ".join(function.notes()) or None)

    def _subscript(self, key: Any) -> str:
        """An index as it is written between brackets: ``:, 1:3``."""
        if isinstance(key, tuple) and key:
            return ", ".join(self._subscript(item) for item in key)
        if not isinstance(key, slice):
            return self.text(key)
        ends = [key.start, key.stop, *([] if key.step is None else [key.step])]
        return ":".join("" if end is None else self.text(end) for end in ends)

    def _called(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Piece:
        items = [("", self._piece(item)) for item in args]
        items += [(f"{key}=", self._piece(item)) for key, item in kwargs.items()]
        return _Piece(f"{function}(", tuple(items), ")")

    def _lines(self, piece: _Piece, indent: str, before: str, after: str) -> list[str]:
        line = indent + before + piece.flat() + after
        notes = piece.notes()
        comment = "  # " + ", ".join(dict.fromkeys(notes)) if notes else ""
        short = len(line) <= WIDTH
        if not piece.items or (
            short and (len(notes) < 2 or len(line + comment) <= WIDTH_WITH_COMMENT)
        ):
            return [line + comment]
        first = f"  # {piece.note}" if piece.note else ""
        lines = [indent + before + piece.text + first]
        alone = len(piece.items) == 1 and piece.items[0][1].close == "]" and piece.close == ")"
        for prefix, item in piece.items:
            lines += self._lines(item, indent + PLACE, prefix, "" if alone else ",")
        return [*lines, indent + piece.close + after]


def quoted(text: str) -> str:
    """A string in double quotes, as formatters write it."""
    written = repr(text)
    if written.startswith("'") and '"' not in text:
        return f'"{written[1:-1]}"'
    return written


def _operation(sign: str, operands: list[str]) -> str:
    if len(operands) == 1:
        return f"-{operands[0]}"
    return f"{operands[0]} {sign} {operands[1]}"


def _statements(made: Sequence[Made], roots: Sequence[Any]) -> set[int]:
    """Which of the things made are statements; the others are written in place.

    A thing is one if it is a tensor, or used in several places, or in none; and if writing it in
    place would make it after something that the trial made later.
    """
    users: dict[int, list[int]] = {id(one): [] for one in made}
    for number, one in enumerate(made):
        for used in inside([one.function, *one.args, *one.kwargs.values()]):
            users[id(used)].append(number)
    for used in inside(list(roots)):
        if id(used) in users:
            users[id(used)].append(len(made))
    own = set()
    for one in made:
        again = users[id(one)]
        for_tensor = one.is_input and any(i == len(made) or made[i].applied for i in again)
        if not again:
            one.variable = one.variable or ""  # made for its own sake: a statement without a name
        named = one.variable is not None or one.kind == "adapt"
        if named or one.applied or for_tensor or len(again) > 1:
            own.add(id(one))
    while late := _late(made, users, own):
        own |= late
    return own


def _late(made: Sequence[Made], users: Mapping[int, list[int]], own: set[int]) -> set[int]:
    """What would be made later than in the trial: between it and its statement stands another."""
    at = [number for number, one in enumerate(made) if id(one) in own]
    found = set()
    for number, one in enumerate(made):
        if id(one) in own:
            continue
        end = users[id(one)][0]
        while end < len(made) and id(made[end]) not in own:
            end = users[id(made[end])][0]
        if any(number < other < end for other in at):
            found.add(id(one))
    return found
