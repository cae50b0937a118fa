"""Where the functions of a script come from: an import, their source text, or a place to fill in.

What can be imported from an installed package is imported. What stands in the user's own file is
copied, with the functions, constants and imports that it uses. What has no source on record (a
function typed at a prompt, an object made at run time) gets a name and a comment.
"""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

from ..declare import Expression, Recorder, plain_value
from ..space import RUN_AS, Data, Holdout

__all__ = ["Sources"]

STAND_INS = {
    Data: '''class Data(NamedTuple):
    """The parts of the data."""

    train: Any
    validation: Any = None
    test: Any = None''',
    Holdout: '''class Holdout(NamedTuple):
    """How the rows for validation are held out of the training rows."""

    fraction: float
    shuffle: bool = True
    stratify: bool = False''',
}
INSTALLED = ("site-packages", "dist-packages")
LOOKS_UP = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


@final
class Sources:
    """Collects imports and definitions while functions are referred to.

    Args:
        taken: names that nothing else may have; grows.
        assign: writes ``name = value`` on lines.
        theirs: names that globals of copied functions have.

    Attributes:
        clashes: those that are found to be taken by something else, so that they belong in `theirs`.
    """

    def __init__(
        self,
        taken: set[str],
        assign: Callable[[str, Any], list[str]],
        theirs: Iterable[str] = (),
    ) -> None:
        self._theirs, self.clashes = set(theirs), set[str]()
        self.taken, self._assign = taken, assign
        self.taken |= self._theirs
        self._modules: set[tuple[str, str]] = set()  # (name, how it is called)
        self._names: dict[str, set[str]] = {}  # imported from a module
        self.definitions: list[str] = []
        self._known: dict[int, tuple[str, Any]] = {}  # the object is kept: its id stays its own

    def reference(self, target: Any) -> str:
        """How to write a function or class, after arranging for it to be there."""
        if isinstance(target, Recorder):
            target = target.target
        if isinstance(target, str):
            self.module(target.partition(".")[0])
            return target
        if id(target) not in self._known:
            self._known[id(target)] = (self._found(target), target)
        return self._known[id(target)][0]

    def module(self, name: str, alias: str | None = None) -> str:
        """Import a module; returns how to write it."""
        short = alias or name
        self._modules.add((name, short))
        self.taken.add(short.partition(".")[0])
        return short

    def thing(self, value: Any, wanted: str | None = None) -> str:
        """A name for an object that cannot be written, to be filled in."""
        if id(value) not in self._known:
            kind = type(value).__name__
            name = self._free(wanted or kind.lower())
            self.definitions.append(f"{name} = ...  # put the {kind} of the study here")
            self._known[id(value)] = (name, value)
        return self._known[id(value)][0]

    def from_import(self, module: str, name: str) -> str:
        """Import a name from a module; returns how to write it."""
        if name not in self._names.get(module, ()) and name in self.taken:
            self.module(module)
            return f"{module}.{name}"
        self._names.setdefault(module, set()).add(name)
        self.taken.add(name)
        return name

    def typing(self) -> None:
        """Import what the stand-ins for the parts of the data need."""
        self.from_import("typing", "Any")
        self.from_import("typing", "NamedTuple")

    def import_lines(self) -> list[str]:
        """The imports: the standard library's first, an empty line, then the others."""
        lines = [
            (name, f"import {name}" if short == name else f"import {name} as {short}")
            for name, short in self._modules
        ]
        lines += [
            (name, f"from {name} import {', '.join(sorted(names))}")
            for name, names in self._names.items()
        ]
        lines.sort(key=lambda line: (line[1].startswith("from"), line))
        ours = [text for name, text in lines if name.partition(".")[0] in sys.stdlib_module_names]
        rest = [text for _, text in lines if text not in ours]
        return [*ours, "", *rest] if ours and rest else [*ours, *rest]

    def _found(self, target: Any) -> str:
        module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", "")
        if target in STAND_INS:
            self.typing()
            return self._define(str(name), STAND_INS[target])
        if module == "builtins" and getattr(builtins, name, None) is target:
            return str(name)
        if module and module.partition(".")[0] == "keras" and (path := _keras_path(target)):
            self.module("keras")
            return path
        if module and _installed(module) and _reachable(module, name) is target:
            first, _, rest = name.partition(".")
            return self.from_import(_public(module, name, target), first) + (
                f".{rest}" if rest else ""
            )
        return self._copied(target)

    def _copied(self, target: Any) -> str:
        """Copy the source of a function or class, with what it uses."""
        wanted = getattr(target, "__name__", type(target).__name__)
        if wanted == "<lambda>":
            text = _lambda_source(target)
            wanted = "function"
            text = None if text is None else f"function = {text}"
        else:
            text = _source(target)
        if text is None:
            text = (
                f"def {wanted}(*args, **kwargs):\n"
                f'    raise NotImplementedError("put {wanted} here: its source was not on record")'
            )
            return self._define(wanted, text)
        names = _names_of(target)
        self._known[id(target)] = (wanted, target)  # it may call itself
        text = _without_recording(text, names)
        for used in sorted(_free_names(text)):
            if used in names and not used.startswith("__"):
                self._use(used, names[used])
        return self._define(wanted, text)

    def _use(self, name: str, value: Any) -> None:
        """Make a global name of a copied function mean what it meant there."""
        if isinstance(value, types.ModuleType):
            self.module(value.__name__, None if value.__name__ == name else name)
            return
        if isinstance(value, Recorder) or (callable(value) and hasattr(value, "__qualname__")):
            written = self.reference(value)
        elif isinstance(value, Expression):
            written = self.thing(value, name)
        elif id(value) in self._known:
            written = self._known[id(value)][0]
        else:
            written = self._constant(name, value)
        if written != name and f"{name} = {written}" not in self.definitions:
            self._keep(name)
            self.definitions.append(f"{name} = {written}")

    def _constant(self, name: str, value: Any) -> str:
        try:
            plain_value(value)
        except TypeError:
            return self.thing(value, name)
        text = "\n".join(self._assign(name, value))
        if text not in self.definitions:
            self._keep(name)
            self.definitions.append(text)
        return name

    def _keep(self, name: str) -> None:
        """Leave a name to a global of a copied function."""
        if name in self.taken and name not in self._theirs:
            self.clashes.add(name)
        self.taken.add(name)

    def _define(self, wanted: str, text: str) -> str:
        name = self._free(wanted)
        if name != wanted:
            for start in (f"def {wanted}(", f"class {wanted}", f"{wanted} ="):
                text = text.replace(start, start.replace(wanted, name), 1)
        self.definitions.append(text)
        return name

    def _free(self, wanted: str) -> str:
        name, again = wanted, 0
        while name in self.taken:
            again += 1
            name = f"{wanted}_{again}"
        self.taken.add(name)
        return name


def _installed(module: str) -> bool:
    """Whether a module is importable where this package is not: a library, not the user's file."""
    root = module.partition(".")[0]
    if root in (__name__.partition(".")[0], "__main__") or root.startswith(RUN_AS):
        return False
    if root in sys.stdlib_module_names:
        return True
    path = getattr(sys.modules.get(root), "__file__", None) or ""
    return any(folder in path for folder in INSTALLED)


def _reachable(module: str, name: str) -> Any:
    try:
        return functools.reduce(getattr, name.split("."), sys.modules[module])
    except (AttributeError, KeyError):
        return None


def _public(module: str, name: str, target: Any) -> str:
    """The shortest package that offers the name: ``sklearn.metrics``, not its private module."""
    parts = module.split(".")
    for end in range(1, len(parts)):
        package = ".".join(parts[:end])
        if package in sys.modules and _reachable(package, name) is target:
            return package
    return module


def _keras_path(target: Any) -> str | None:
    """The public name of a Keras class or function."""
    import keras

    from ..keras import MODULES

    name = getattr(target, "__name__", "")
    for path in ("", *MODULES, "optimizers.schedules", "ops", "utils", "random", "saving"):
        module: Any = functools.reduce(getattr, path.split("."), keras) if path else keras
        if getattr(module, name, None) is target:
            return f"keras.{path}.{name}" if path else f"keras.{name}"
    return None


def _source(target: Any) -> str | None:
    try:
        text = textwrap.dedent(inspect.getsource(target))
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return text.rstrip() if isinstance(node, kinds) else None


def _lambda_source(target: Any) -> str | None:
    """The text of a lambda, if it is the only one on its line."""
    try:
        lines, _ = inspect.findsource(target)
        tree = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError):
        return None
    line = target.__code__.co_firstlineno
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == line]
    return ast.unparse(found[0]) if len(found) == 1 else None


def _names_of(target: Any) -> dict[str, Any]:
    """What the names in a function's source mean: its module's, and those it closes over."""
    functions = [target] if isinstance(target, types.FunctionType) else list(_methods(target))
    names: dict[str, Any] = {}
    module = sys.modules.get(getattr(target, "__module__", ""))
    if module is not None:
        names |= vars(module)
    for function in functions:
        names |= function.__globals__
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        names |= {name: cell.cell_contents for name, cell in cells if name != "__class__"}
    return names


def _methods(target: Any) -> Iterator[types.FunctionType]:
    for value in vars(target).values() if isinstance(target, type) else ():
        inner = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(inner, types.FunctionType):
            yield inner


def _without_recording(text: str, names: dict[str, Any]) -> str:
    """The source without the decorators that record calls."""
    node: Any = ast.parse(text).body[0]
    lines = text.splitlines()
    for decorator in reversed(getattr(node, "decorator_list", [])):
        root: Any = decorator
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        value = names.get(root.id) if isinstance(root, ast.Name) else None
        if getattr(value, "__module__", getattr(value, "__name__", "")).startswith(OWN):
            del lines[decorator.lineno - 1 : decorator.end_lineno]
    return "\n".join(lines)


OWN = __name__.partition(".")[0]


def _free_names(text: str) -> set[str]:
    """The names that a piece of source looks up outside itself."""
    return set(_looked_up(compile(text, "<source>", "exec", dont_inherit=True)))


def _looked_up(code: types.CodeType) -> Iterator[str]:
    steps = list(dis.get_instructions(code))
    stored = {step.argval for step in steps if step.opname == "STORE_NAME"}
    for step in steps:
        if step.opname in LOOKS_UP and step.argval not in stored:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _looked_up(constant)
