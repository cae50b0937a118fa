"""The second way of conversion: the model function stays one, its templates become arguments.

It is cut before `fit` and returns the compiled model. What `fit` was given is lifted out of it.
"""

from __future__ import annotations

import ast
import re
from typing import final

from .arguments import KEYWORDS, UNKNOWN, parameter_names
from .conditions import switch_name
from .data import DataPart, fact_of
from .declared import Declared
from .editing import Edited, dropped_statements
from .marks import mark_of
from .names import free
from .printing import header
from .reading import Fitting, Reading
from .templates import drawn, int_of
from .translate import Context, NotStraight, Translator, loads, stores, times_stored

__all__ = ["Kept", "Names", "end_of_header", "slice_for"]


def slice_for(body: list[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """The statements of a body that names depend on, in order."""
    wanted = set(wanted)
    kept = []
    for node in reversed(body):
        if stores(node) & wanted:
            kept.append(node)
            wanted |= loads(node)
    return kept[::-1]


@final
class Kept:
    """A model function as a delayed function.

    Attributes:
        arguments: its arguments, as they stand in the space.
        lifted: the declarations that `fit` needs.
        uses_data: the names of ``data()`` that it computes with.
    """

    def __init__(
        self,
        reading: Reading,
        fitting: Fitting,
        part: DataPart,
        constants: set[str],
    ) -> None:
        self._reading, self._fitting, self._part = reading, fitting, part
        self._context = reading.context
        self.body = reading.model.body[: fitting.at]
        self.arguments: dict[str, ast.expr] = {}
        self._numbers: dict[int, str] = {}
        self._names = Names(reading)
        self.lifted = self._lift(constants)
        self.translator = Translator(
            self._context,
            live=True,
            hidden=stores(self.body) | set(reading.parameters),
            argument=self._argument,
            fact=self._fact,
        )
        after = reading.model.body[fitting.at :]
        self._dropped = dropped_statements(self._context, self.body, {fitting.model}, loads(after))
        self._drop_assigned_templates()
        left = [node for node in self.body if id(node) not in self._dropped]
        made = [self.translator.of(node) for node in left]
        own = stores(left) - _read_first(left, set(reading.parameters))
        self.uses_data = (loads(made) & set(reading.parameters)) - own - constants
        self.reads = loads(made)

    def _lift(self, constants: set[str]) -> Declared:
        """What the arguments of `fit` depend on, as declarations; what cannot be is noted."""
        wanted = {
            name: value
            for name, value in self._fitting.arguments.items()
            if name not in ("x", "y", "generator", "validation_data", "verbose", "sample_weight")
        }
        while True:
            names = {name for value in wanted.values() for name in loads(value)}
            body = slice_for(self.body, names)
            try:
                made = Declared(
                    self._reading, self._fitting, self._part, body, constants, whole=False
                )
                for value in wanted.values():
                    made.value(value)
            except NotStraight as error:
                self._give_up(wanted, error)
            else:
                self._fitting.arguments = {
                    name: value
                    for name, value in self._fitting.arguments.items()
                    if name in wanted or name in ("x", "y", "validation_data")
                }
                return made

    def _give_up(self, wanted: dict[str, ast.expr], error: NotStraight) -> None:
        """Leave out the first argument that alone cannot be declared."""
        for name, value in wanted.items():
            body = slice_for(self.body, loads(value))
            try:
                Declared(self._reading, self._fitting, self._part, body, (), whole=False).value(
                    value
                )
            except NotStraight:
                self._context.notes.add(
                    value.lineno,
                    f"fit({name}={ast.unparse(value)[:40]}) is computed: {error.why}",
                    f"write {name}= in Fit(...) of the space",
                )
                del wanted[name]
                return
        wanted.clear()

    def _drop_assigned_templates(self) -> None:
        """``rate = {{…}}`` needs no line where the argument has that name."""
        counts = times_stored(self.body)
        for statement in self.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if counts[name] == 1:
                    number, as_int = drawn(value), int_of(value) is not None
                    if number is None or id(statement) in self._dropped:
                        continue
                    word = self._context.word(number, as_int=as_int)
                    if as_int and not word.whole:
                        continue
                    self._register(number, name)
                    self._dropped.add(id(statement))

    def _register(self, number: int, name: str) -> None:
        self._numbers[number] = name
        local = next(
            (one for one in self.lifted.locals if mark_of(one.value).get("template") == number),
            None,
        )
        word = self._context.word(number).node
        self.arguments[name] = word if local is None else ast.Name(local.name, ast.Load())

    def _argument(self, number: int) -> str:
        """The name of the argument that a template becomes."""
        if number not in self._numbers:
            wanted = self._names.of(number, self._context.word(number).node)
            self._register(number, self._names.free(wanted))
        return self._numbers[number]

    def _fact(self, node: ast.expr) -> ast.expr | None:
        """A fact about the data as an argument: ``shape=given.shape``."""
        known = fact_of(self._part, node)
        if known is None:
            return None
        root = known
        while isinstance(root, ast.Subscript):
            root = root.value
        assert isinstance(root, ast.Attribute)
        own = {"shape": "input_shape"}.get(root.attr, root.attr)
        name = own if own in self.arguments else self._names.free(own)
        self.arguments[name] = root
        return _replaced(known, root, ast.Name(name, ast.Load()))

    def text(self, prelude: str) -> str:
        """The function as text; `prelude` is its first line, "" for none."""
        model = self._reading.model
        edited = Edited(self._context, model, self.translator)
        first = self.body[0] if self.body else model.body[self._fitting.at]
        indent = " " * first.col_offset
        place = " " * model.col_offset
        first_line = place + header(model.name, self.arguments, place)
        start, end = (
            self._context.source.start_of_line(model.lineno),
            end_of_header(self._context.source.text, self._context.source.span(model)[0]),
        )
        edited.between(start, end, first_line + _indented(prelude, indent))
        dropped = set(self._dropped)
        if ast.get_docstring(model) is not None and self.body:
            dropped.add(id(self.body[0]))
        edited.translate_body(self.body, dropped)
        edited.cut(_first_line(self._reading.model.body[self._fitting.at], self._context))
        return f"@delayed\n{edited.text()}    return {self._fitting.model}\n"

    def call(self) -> ast.Call:
        """The call that stands in the space."""
        keywords = [ast.keyword(name, value) for name, value in self.arguments.items()]
        return ast.Call(ast.Name(self._reading.model.name, ast.Load()), [], keywords)


@final
class Names:
    """Names for the arguments that templates become, from where they stand."""

    def __init__(self, reading: Reading) -> None:
        self._imports = reading.context.imports
        self._wanted: dict[int, str] = {}
        self._definitions = reading.definitions
        self._taken = {n.id for n in ast.walk(reading.model) if isinstance(n, ast.Name)}
        self._taken |= set(reading.definitions)
        for node in ast.walk(reading.model):
            self._look(node)

    def _look(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._set(value, name)
            case ast.Call(func=function, args=args, keywords=keywords):
                for name, value in zip(self._arguments(function, len(args)), args, strict=False):
                    self._set(value, name)
                for keyword in keywords:
                    own = keyword.arg or "value"
                    own = "learning_rate" if own == "lr" else KEYWORDS.get(own, own)
                    self._set(keyword.value, own)
            case ast.Compare(left=left, comparators=[right]):
                for side in (left, right):
                    self._set(side, "?")

    def _arguments(self, function: ast.expr, count: int) -> list[str]:
        """What the arguments without a keyword are called."""
        if isinstance(function, ast.Attribute) and function.attr == "add":
            return ["layer"] * count
        name = function.id if isinstance(function, ast.Name) else ""
        own = self._definitions.get(name)
        if isinstance(own, ast.FunctionDef):
            return [argument.arg for argument in own.args.args]
        if name == "range":
            return ["times"] * count
        names = parameter_names(self._imports.keras(function) or "", count)
        return ["value" if one == UNKNOWN else one for one in names]

    def _set(self, node: ast.expr | None, name: str) -> None:
        number = drawn(node)
        if number is not None:
            self._wanted.setdefault(number, name)

    def of(self, number: int, word: ast.expr) -> str:
        """The name that fits, which may be taken."""
        wanted = self._wanted.get(number, "value")
        return switch_name(word, set()) if wanted == "?" else wanted

    def free(self, wanted: str) -> str:
        """A name like this that the function does not use."""
        name = free(wanted, self._taken)
        self._taken.add(name)
        return name


def _read_first(body: list[ast.stmt], names: set[str]) -> set[str]:
    """Which of the names are read before they are assigned."""
    found: set[str] = set()
    assigned: set[str] = set()
    for node in body:
        found |= (loads(node) & names) - assigned
        assigned |= stores(node)
    return found


def _replaced(node: ast.expr, root: ast.expr, new: ast.expr) -> ast.expr:
    if node is root:
        return new
    assert isinstance(node, ast.Subscript)
    return ast.Subscript(_replaced(node.value, root, new), node.slice, ast.Load())


def end_of_header(text: str, start: int) -> int:
    """Behind the line that ends ``def f(…):``."""
    depth = 0
    for found in re.compile(r"[()\[\]{}]|:[^\n]*\n|#[^\n]*").finditer(text, start):
        sign = found[0][0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == ":" and not depth:
            return found.end()
    raise AssertionError("a function that ast has read has a header")


def _indented(line: str, indent: str) -> str:
    return f"{indent}{line}\n" if line else ""


def _first_line(statement: ast.stmt, context: Context) -> int:
    """The line of a statement, or of the comments directly above it."""
    line = statement.lineno
    while line - 1 in context.source.comments:
        line -= 1
    return line
