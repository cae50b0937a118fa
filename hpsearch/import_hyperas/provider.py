"""The function that provides the data, as text."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field
from typing import final

from .data import DataPart, Returned, returned
from .editing import Edited, dropped_statements
from .kept import Names, end_of_header, slice_for
from .marks import is_ours
from .printing import expression, header, lines_of
from .reading import Reading
from .templates import template_number
from .translate import Context, Translator, loads, stores

__all__ = ["Provider", "provider_of"]


@final
@dataclass(slots=True)
class Provider:
    """Where the data comes from.

    Attributes:
        texts: the functions, in order.
        call: what stands in the space.
        prelude: the line with which the model function takes the arrays, "" if it needs none.
        numbers: the templates that are arguments of it.
    """

    texts: list[str] = field(default_factory=list)
    call: ast.Call = field(default_factory=lambda: ast.Call(ast.Name("data", ast.Load()), [], []))
    prelude: str = ""
    numbers: list[int] = field(default_factory=list)


def provider_of(
    reading: Reading, part: DataPart, body: list[ast.stmt], constants: set[str], arrays: bool
) -> Provider:
    """The data function of a space.

    Args:
        body: the model function up to `fit`, which may compute what is trained on.
        constants: names that ``data()`` assigns and that have become the module's.
        arrays: whether the model function computes with what ``data()`` returns.
    """
    found = returned(reading)
    given = _data_arguments(reading)
    needed = {name for item in part.expressions() for name in loads(item)}
    own = set(found.names) | set(reading.definitions) | set(reading.context.imports.bound)
    if found.statement is not None and not arrays and needed <= own:
        made = _whole(reading, part, found, constants, given)
    else:
        made = _cached(reading, part, found, slice_for(body, needed), given)
    return made


@final
class _Arguments:
    """Templates in what a model is trained on are arguments of the data function."""

    def __init__(self, reading: Reading) -> None:
        self._context, self._names = reading.context, Names(reading)
        self.found: dict[int, str] = {}

    def __call__(self, number: int) -> str:
        if number not in self.found:
            wanted = self._names.of(number, self._context.word(number).node)
            self.found[number] = self._names.free(wanted)
        return self.found[number]

    def call(self, name: str, given: list[ast.expr]) -> ast.Call:
        """The call that stands in the space."""
        words = [(own, self._context.word(number).node) for number, own in self.found.items()]
        keywords = [ast.keyword(own, word) for own, word in words]
        return ast.Call(ast.Name(name, ast.Load()), given, keywords)


def _data_arguments(reading: Reading) -> list[ast.expr]:
    value = reading.arguments.get("data_args")
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return []
    items = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
    translator = Translator(reading.context, live=True)
    return [translator.of(item) for item in items]


def _whole(
    reading: Reading,
    part: DataPart,
    found: Returned,
    constants: set[str],
    given: list[ast.expr],
) -> Provider:
    """``data()`` itself, which returns `Data`."""
    function = reading.data
    assert function is not None and found.statement is not None
    context = reading.context
    own = [argument.arg for argument in function.args.args]
    arguments = _Arguments(reading)
    translator = Translator(
        context, live=True, hidden=stores(function.body) | set(own), argument=arguments
    )
    edited = Edited(context, function, translator)
    *body, last = function.body
    call = _by_values(part.call(), found)
    dropped = dropped_statements(context, body, loads(call), set())
    for node in body:
        if isinstance(node, ast.Assign) and stores(node) & constants:
            dropped.add(id(node))
    edited.translate_body(body, dropped)
    indent = " " * last.col_offset
    returned_lines = lines_of(translator.of(call), indent, "return ")
    edited.replace(last, "\n".join(returned_lines).lstrip())
    if arguments.found:
        source = context.source
        start = source.start_of_line(function.lineno)
        place = " " * function.col_offset
        first = place + header(function.name, [*own, *arguments.found.values()], place)
        end = end_of_header(source.text, source.span(function)[0])
        edited.between(start, end, first)
    text = f"@delayed\n{edited.text()}"
    call = arguments.call(reading.data_name, given)
    return Provider([text], call, numbers=list(arguments.found))


def _by_values(call: ast.Call, found: Returned) -> ast.Call:
    """With what ``data()`` calls its values, where the model function calls them otherwise."""
    values = dict(zip(found.names, found.values, strict=True))

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            value = values.get(node.id)
            if value is None or is_ours(node):
                return node
            return copy.deepcopy(value)

    made: ast.Call = Put().visit(copy.deepcopy(call))
    return made


def _cached(
    reading: Reading,
    part: DataPart,
    found: Returned,
    statements: list[ast.stmt],
    given: list[ast.expr],
) -> Provider:
    """``data()`` as it is, called once in each process, and a delayed function that takes from it."""
    context, name = reading.context, reading.data_name
    texts = []
    source = f"{name}({', '.join(expression(item) for item in given)})"
    if reading.data is not None:
        function = reading.data
        hidden = stores(function.body) | {a.arg for a in function.args.args}
        edited = Edited(context, function, Translator(context, live=True, hidden=hidden))
        edited.translate_body(
            function.body, dropped_statements(context, function.body, set(), set())
        )
        texts.append(edited.text())
    if reading.data is not None and not given:
        texts[0] = f"@functools.cache\n{texts[0]}"
    else:
        texts.append(f"@functools.cache\ndef arrays():\n    return {source}\n")
        source = "arrays()"
    names = found.names
    unpack = f"{', '.join(names)}{',' if len(names) == 1 else ''} = {source}"
    arguments = _Arguments(reading)
    lines = [f"    {unpack}", *_prepared(context, part, statements, names, arguments)]
    first = header("prepared", arguments.found.values()).rstrip()
    lines = ["@delayed", first, *lines]
    texts.append("\n".join(lines) + "\n")
    return Provider(texts, arguments.call("prepared", []), unpack, list(arguments.found))


def _prepared(
    context: Context,
    part: DataPart,
    statements: list[ast.stmt],
    names: list[str],
    arguments: _Arguments,
) -> list[str]:
    """What the model function computes of the data before it trains, and the `Data` of it."""
    hidden = stores(statements) | set(names)
    translator = Translator(context, live=True, hidden=hidden, argument=arguments)
    lines = []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=own)], value=value):
                number = template_number(value)
                if number is not None:
                    arguments.found[number] = own
                    continue
        written = ast.unparse(ast.fix_missing_locations(translator.of(statement)))
        lines += [f"    {line}" for line in written.split("\n")]
    return lines + lines_of(translator.of(part.call()), "    ", "return ")
