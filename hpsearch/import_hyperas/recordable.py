"""Which expressions can stand in a declaration, where nothing has a value yet."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable
from typing import final

from .marks import called, imported, is_delayed, is_ours, mark_of
from .names import is_old
from .reading import Reading
from .translate import NotStraight, loads, stores

__all__ = ["Recordable"]

BUILTIN = set(dir(builtins))


@final
class Recordable:
    """Checks translated expressions of one model function.

    It knows which names stand for words and recorded parts: what is done with those must be what
    the words can do.

    Args:
        constants: names of plain values.
    """

    def __init__(self, reading: Reading, constants: Iterable[str] = ()) -> None:
        self._reading = reading
        self._words: set[str] = set()
        self._parts: set[str] = set()
        self._tensors: set[str] = set()
        self._plain: set[str] = set(constants)

    def word(self, name: str) -> None:
        """Note that a name is a word."""
        self._words.add(name)

    def assigned(self, name: str, node: ast.expr) -> None:
        """Note what a name is now."""
        for names in (self._words, self._parts, self._tensors, self._plain):
            names.discard(name)
        if self.is_tensor(node):
            self._tensors.add(name)
        elif _records(node):
            self._parts.add(name)
        elif self._open(node):
            self._words.add(name)
        else:
            self._plain.add(name)

    def is_tensor(self, node: ast.expr) -> bool:
        """Whether this is a step of a functional model, or made from steps."""
        match node:
            case ast.Call(func=ast.Call() as function):
                return not is_delayed(function)
            case ast.Call(func=ast.Name(id=name)) if name in self._parts:
                return True
            case ast.Call() if called(node) in ("Input", "Model"):
                return True
            case ast.Name(id=name):
                return name in self._tensors
            case ast.List() | ast.Tuple():
                return any(self.is_tensor(item) for item in node.elts)
            case ast.BinOp(left=left, right=right):
                return self.is_tensor(left) or self.is_tensor(right)
        return False

    def checked(self, node: ast.expr, line: int) -> ast.expr:
        """The expression, its own classes delayed.

        Raises:
            NotStraight: if it needs the value of a word or of the data.
        """
        bound = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)} | stores(node)
        ours = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and is_ours(one)}
        for name in sorted(loads(node) - bound - ours):
            self._check_name(name, line)
        node = _Delayed(self._reading).visit(node)
        self._check(node, line)
        return node

    def _check_name(self, name: str, line: int) -> None:
        known = (
            name in self._words | self._parts | self._tensors | self._plain | BUILTIN
            or name in self._reading.definitions
            or name in self._reading.context.imports.bound
        )
        if name in self._reading.parameters and name not in self._plain:
            raise NotStraight(line, f"{name}, of the data, is used in the model")
        if not known:
            raise NotStraight(line, f"{name} is not known where the space is declared")

    def _check(self, node: ast.AST, line: int) -> None:
        match node:
            case ast.Lambda():
                if loads(node) & (self._words | self._parts | self._tensors):
                    raise NotStraight(line, "a lambda that uses a template or a layer")
                return
            case ast.Call():
                self._check_call(node, line)
            case (
                ast.JoinedStr()
                | ast.Compare()
                | ast.BoolOp()
                | ast.IfExp()
                | ast.ListComp()
                | ast.DictComp()
                | ast.SetComp()
                | ast.GeneratorExp()
                | ast.Starred()
            ) if self._open(node):
                raise NotStraight(line, f"`{ast.unparse(node)[:50]}` needs a value at once")
            case ast.Attribute() if self._open(node.value):
                raise NotStraight(line, f"`{ast.unparse(node)[:50]}` needs the real object")
        for child in ast.iter_child_nodes(node):
            self._check(child, line)

    def _check_call(self, call: ast.Call, line: int) -> None:
        function = call.func
        if isinstance(function, ast.Call) or _is_recorded(function):
            return
        if isinstance(function, ast.Name) and function.id in self._parts:
            return
        arguments = [*call.args, *(k.value for k in call.keywords)]
        if any(self._open(item) for item in arguments):
            text = ast.unparse(function)[:40]
            raise NotStraight(line, f"{text}() gets a template or a layer")

    def _open(self, node: ast.AST) -> bool:
        """Whether something in here has no value yet."""
        return any(
            "template" in mark_of(one)
            or _records(one)
            or (
                isinstance(one, ast.Name)
                and one.id in self._words | self._parts | self._tensors
                and not is_ours(one)
            )
            for one in ast.walk(node)
        )


def _is_recorded(node: ast.AST) -> bool:
    """Whether this is one of our names, so that a call of it is recorded."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return mark_of(node).get("module", "").startswith("hpsearch")


def _records(node: ast.AST) -> bool:
    """Whether this is a call of the mirrored Keras, or of something made by one."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    while isinstance(function, ast.Call):
        function = function.func
    return _is_recorded(function) and "template" not in mark_of(node)


@final
class _Delayed(ast.NodeTransformer):
    """Calls of classes are delayed, the file's own and those of others: they make layers."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self._is_class(node.func):
            node.func = ast.Call(imported("delayed", "hpsearch"), [node.func], [])
        return node

    def _is_class(self, function: ast.expr) -> bool:
        """Whether this is a class by its definition; an imported one by its name."""
        if isinstance(function, ast.Name) and function.id in self._reading.definitions:
            return isinstance(self._reading.definitions[function.id], ast.ClassDef)
        full = self._reading.context.imports.full(function) or ""
        module, _, name = full.rpartition(".")
        plain = module.partition(".")[0] in {"numpy", *sys.stdlib_module_names}
        return name[:1].isupper() and not plain and not is_old(module)
