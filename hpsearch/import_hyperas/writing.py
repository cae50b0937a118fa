"""The space module as text: its imports, what it keeps of the file, and the space."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable

from ..errors import SpaceError
from .declared import Local
from .editing import Edited
from .marks import is_ours
from .names import HOMES, Imports, is_old
from .printing import expression, in_quotes, lines_of
from .reading import Reading
from .translate import Translator, loads, stores

__all__ = ["module_text"]

MOVED = {
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.externals": "",
}
WHOLE = {
    "exp": (0, "from math import exp  # hyperas gave the logarithms of these bounds"),
    "functools": (0, "import functools"),
    "keras": (1, "import keras"),
    "ops": (1, "from keras import ops"),
}
"""Names that the conversion writes: the group of their import, and the import."""


def module_text(
    reading: Reading,
    constants: dict[str, ast.expr],
    functions: list[str],
    locals_: list[Local],
    space: ast.Call,
) -> str:
    """The whole module.

    Args:
        constants: what ``data()`` assigned and the model needs.
        functions: the data function, and the model function where it is kept.
        locals_: the assignments before the space.
    """
    _check_names(reading, [*(local.value for local in locals_), space])
    rest = [line for local in locals_ for line in lines_of(local.value, "", f"{local.name} = ")]
    rest += lines_of(space, "", "space = ")
    plain = [f"{name} = {expression(value)}" for name, value in constants.items()]
    names = _free("\n".join([*functions, "\n".join(rest), *plain]))
    own = {local.name for local in locals_} | set(constants)
    own |= {f.name for t in functions for f in ast.parse(t).body if isinstance(f, ast.FunctionDef)}
    kept = _kept(reading, names - own, own)
    texts = [text for _, text in kept]
    for text in texts:
        names |= _free(text)
    defined = own | {name for name, _ in kept}
    head = _imports(reading, names - defined)
    short = [text for text in [*texts, *plain] if not text.startswith(("def ", "class ", "@"))]
    long = [text for text in texts if text not in short]
    name = in_quotes(reading.context.source.name)
    blocks = [f'"""The search of {name}, converted by `hpsearch import-hyperas`."""\n', head]
    blocks += ["\n".join(text.rstrip() for text in short) + "\n"] if short else []
    written = "\n".join(blocks)
    for text in [*long, *functions]:
        written += f"\n\n{text}"
    gap = "\n\n" if long or functions else "\n"
    return written + gap + "\n".join(rest) + "\n"


def _check_names(reading: Reading, nodes: list[ast.expr]) -> None:
    """Refuse a file whose own names hide those of ours that its space needs."""
    names = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and is_ours(n))
    for name in sorted({one.id for one in names} & HOMES.keys()):
        found = reading.definitions.get(name, reading.context.imports.nodes.get(name))
        if found is not None and (name in reading.definitions or _own_import(reading, name)):
            raise SpaceError(
                f"{reading.context.source.name}:{found.lineno}: {name} is a name of hpsearch that "
                "the space needs, and the file has one of its own. Give that another name and "
                "import again."
            )


def _kept(reading: Reading, names: set[str], own: set[str]) -> list[tuple[str, str]]:
    """(name, text) of what the file defines and the module needs, in the order of the file."""
    context = reading.context
    found: dict[int, tuple[str, ast.stmt, str]] = {}
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        node = reading.definitions.get(name)
        if node is None or id(node) in found or name in own or node is reading.model:
            continue
        if any(one is reading.minimize for one in ast.walk(node)):
            continue
        hidden = stores(node) if isinstance(node, ast.FunctionDef) else set()
        arguments = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        edited = Edited(context, node, Translator(context, live=True, hidden=hidden | arguments))
        edited.translate(node)
        text = edited.text()
        found[id(node)] = (name, node, text)
        waiting |= _free(text) - own
    return [(name, text) for name, _, text in sorted(found.values(), key=lambda one: one[1].lineno)]


def _free(text: str) -> set[str]:
    """The names that a module's text reads from outside its functions' own."""
    names: set[str] = set()
    for node in ast.parse(text).body:
        inner: set[str] = set()
        if isinstance(node, ast.FunctionDef):
            inner = stores(node.body) | {
                one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)
            }
            inner |= Imports(node).bound.keys()
        names |= loads(node) - inner
    return names


def _imports(reading: Reading, names: Iterable[str]) -> str:
    """The import lines: the standard library, others, hpsearch."""
    groups: list[set[str]] = [set(), set(), set()]
    ours: dict[str, set[str]] = {}
    for name in sorted(names):
        line = _own_import(reading, name)
        if line is not None:
            module = line.split()[1].partition(".")[0]
            groups[0 if module in sys.stdlib_module_names else 1].add(line)
        elif name in HOMES:
            ours.setdefault(HOMES[name], set()).add(name)
        elif name in WHOLE:
            group, line = WHOLE[name]
            groups[group].add(line)
    for module in reading.context.imports.stars:
        if not is_old(module):
            groups[1].add(f"from {module} import *")
    for module, wanted in ours.items():
        listed = sorted(wanted, key=lambda n: (n[0].islower(), n.lower()))
        call = ast.Tuple([ast.Name(n, ast.Load()) for n in listed], ast.Load())
        one = f"from {module} import {', '.join(listed)}"
        if len(one) > 88:
            one = "\n".join(lines_of(call, "", f"from {module} import "))
        groups[2].add(one)
    texts = ["\n".join(sorted(group, key=_order)) for group in groups if group]
    return "\n\n".join(texts) + "\n"


def _order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _own_import(reading: Reading, name: str) -> str | None:
    """The line with which the file imported a name of another library, None for Keras's and ours."""
    imports = reading.context.imports
    full, node = imports.bound.get(name), imports.nodes.get(name)
    if full is None or is_old(full):
        return None
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        module = MOVED.get(module, module)
        original = full.rpartition(".")[2]
        renamed = "" if original == name else f" as {name}"
        if not module:
            return f"import {original}{renamed}"
        return f"from {module} import {original}{renamed}"
    if full == name:
        whole = [a.name for a in node.names if a.name.split(".")[0] == name] if node else [name]
        return "\n".join(f"import {one}" for one in whole)
    return f"import {full} as {name}"
