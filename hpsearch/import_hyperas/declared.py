"""The first way of conversion: a straight-line body as declarations, as a person would write them.

A Sequential model becomes a list of layers, an `if` on a template `when` or `match`; a functional
model keeps its lines. What cannot be said so raises `NotStraight`, and the second way is taken.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from .arguments import merged, without_shapes
from .conditions import Branches, applied, condition_of, switch_name
from .data import DataPart, fact_of
from .marks import called, imported, mark_of, marked
from .reading import Fitting, Reading
from .recordable import Recordable
from .templates import drawn, int_of
from .translate import NotStraight, Translator, named_metrics, stores, templates_in

__all__ = ["Declared", "Local"]

SILENT = {"print", "summary", "plot_model", "clear_session", "seed", "set_random_seed", "collect"}
Layers = list[ast.expr]


@final
@dataclass(slots=True)
class Local:
    """An assignment that is kept: a word or a part with a name.

    Attributes:
        tensor: whether it is a step of a functional model, which is not written in place.
        named: whether its words need a name, because a condition reads them.
    """

    name: str
    value: ast.expr
    line: int
    tensor: bool = False
    named: bool = False


@final
class Declared:
    """Statements of a model function, as declarations.

    Args:
        body: the statements; with `whole` they are all up to `fit`, and make the model.
        constants: names of plain values.

    Attributes:
        locals: what stands before the space, in order.
        model: the recorded model.
        compiled: the arguments of `compile`.
    """

    def __init__(
        self,
        reading: Reading,
        fitting: Fitting,
        part: DataPart,
        body: list[ast.stmt],
        constants: Iterable[str],
        *,
        whole: bool,
    ) -> None:
        self.reading, self.fitting = reading, fitting
        self.context = reading.context
        self.translator = Translator(
            self.context,
            live=False,
            hidden=stores(body) | set(reading.parameters),
            fact=lambda node: fact_of(part, node),
        )
        self.locals: list[Local] = []
        self._outer: list[Local] = []  # of the bodies around an `if`
        self.sequential: dict[str, Layers] = {}
        self.compiled: dict[str, ast.expr] = {}
        self.recordable = Recordable(reading, constants)
        self._last_line = reading.model.lineno
        for statement in body:
            self._statement(statement)
        self.model = self._model(fitting.model) if whole else None

    def fit_argument(self, name: str) -> ast.expr | None:
        """An argument of `fit`, translated."""
        value = self.fitting.arguments.get(name)
        return None if value is None else self.value(value)

    def value(self, node: ast.expr) -> ast.expr:
        """An expression of the body as a declaration."""
        for name in sorted(self.sequential):
            if any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node)):
                self._close(name, node.lineno)
        made: ast.expr = self.translator.of(node)
        made = self.recordable.checked(made, node.lineno)
        return without_shapes(made)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Import() | ast.ImportFrom():
                pass
            case ast.Expr(value=ast.Call() as call):
                self._call(call, node)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self._assign(name, node.value, node)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(
                targets
            ) == len(values):
                for target, value in zip(targets, values, strict=True):
                    if not isinstance(target, ast.Name):
                        raise NotStraight(node.lineno, "an assignment to more than a name")
                    self._assign(target.id, value, node)
            case ast.If():
                self._if(node)
            case _:
                raise NotStraight(node.lineno, _kind(node))
        self._last_line = node.end_lineno or node.lineno

    def _call(self, call: ast.Call, node: ast.stmt) -> None:
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr="add") if name in self.sequential:
                self._add(name, self._layer(call, node))
            case ast.Attribute(value=ast.Name(id=name), attr="compile") if name == (
                self.fitting.model
            ):
                self._compile(call)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in SILENT:
                if templates_in(call):
                    raise NotStraight(node.lineno, f"a template inside {name}()")
            case _:
                raise NotStraight(node.lineno, f"a call of {ast.unparse(call.func)[:40]}()")

    def _layer(self, call: ast.Call, node: ast.stmt) -> ast.expr:
        if len(call.args) != 1 or call.keywords:
            raise NotStraight(node.lineno, "model.add() of more than a layer")
        layer = self.value(call.args[0])
        above = self._comments_above(node)
        if above:
            marked(layer, above=above)
        return layer

    def _add(self, name: str, layer: ast.expr) -> None:
        layers = self.sequential[name]
        before = layers[-1] if layers else None
        if called(layer) == "layers.InputLayer":
            return  # the data tells the shape
        if before is None or not merged(before, layer):
            layers.append(layer)

    def _compile(self, call: ast.Call) -> None:
        if self.compiled:
            raise NotStraight(call.lineno, "a second compile()")
        names = ("optimizer", "loss", "metrics")
        given = dict(zip(names, call.args, strict=False))
        given |= {k.arg: k.value for k in call.keywords if k.arg is not None}
        if "metrics" in given:
            given["metrics"] = named_metrics(given["metrics"])
        for name, value in given.items():
            if name not in ("class_mode", "sample_weight_mode"):
                self.compiled[name] = self.value(value)

    def _assign(self, name: str, value: ast.expr, node: ast.stmt) -> None:
        made = value if isinstance(value, ast.Call) else None
        if made is not None and self.context.imports.keras(made.func) == "Sequential":
            self._sequential(name, made)
            return
        number = drawn(value)
        if number is not None:
            word = self.translator.of(value)
            self.recordable.word(name)
            self.locals.append(Local(name, word, node.lineno))
            if int_of(value) is not None or self.context.word(number).whole:
                self.context.whole_names.add(name)
            return
        translated = self.value(value)
        tensor = self.recordable.is_tensor(translated)
        self._named(Local(name, translated, node.lineno, tensor))

    def _sequential(self, name: str, call: ast.Call) -> None:
        layers: list[ast.expr] = []
        if call.args and not isinstance(call.args[0], ast.List):
            raise NotStraight(call.lineno, "Sequential() of layers from elsewhere")
        self.sequential[name] = layers
        if call.args and isinstance(call.args[0], ast.List):
            for item in call.args[0].elts:
                self._add(name, self.value(item))

    def _named(self, local: Local) -> None:
        self.locals.append(local)
        self.recordable.assigned(local.name, local.value)

    def _close(self, name: str, line: int) -> None:
        """A Sequential that is used as a part: it is complete now."""
        self._named(Local(name, _sequential(self.sequential.pop(name)), line))

    def _model(self, name: str) -> ast.expr:
        line = self.fitting.call.lineno
        if name in self.sequential:
            return _sequential(self.sequential.pop(name))
        if not any(local.name == name for local in self.locals):
            raise NotStraight(line, f"{name} is made elsewhere")
        return ast.Name(name, ast.Load())

    def _if(self, node: ast.If) -> None:
        branches, comments = Branches.of(node), self._comments_above(node)
        tests = [condition_of(t, node.lineno, self._word_in_condition) for t in branches.tests]
        name = branches.applied()
        if name is not None:
            self._switched(name, branches, tests)
            return
        found = [self._branch(body) for body in branches.bodies]
        names = {name for layers, _ in found for name in layers}
        for name in sorted(names):
            made = branches.parts(tests, [layers.get(name, []) for layers, _ in found])
            if made and comments:
                marked(made[0], above=comments)
            self.sequential[name].extend(made)
        assigned = {name for _, values in found for name in values}
        for name in sorted(assigned):
            self._assigned_in(name, [values.get(name) for _, values in found], branches, tests)

    def _switched(self, name: str, branches: Branches, tests: list[ast.expr | bool]) -> None:
        """``if …: x = layer(x)`` is ``x = when(…, layer)(x)``."""
        layers = [
            [self.value(layer) for node in body if (layer := applied(node, name)) is not None]
            for body in branches.bodies
        ]
        for part in branches.parts(tests, layers):
            made = ast.Call(part, [ast.Name(name, ast.Load())], [])
            self.locals.append(Local(name, made, branches.line, tensor=True))

    def _comments_above(self, node: ast.stmt) -> list[str]:
        comments = self.context.source.comments
        return [comments[n] for n in range(self._last_line + 1, node.lineno) if n in comments]

    def _word_in_condition(self, node: ast.expr) -> ast.expr | None:
        """The name of the word that a condition reads, hoisted if it has none; None for no word."""
        if isinstance(node, ast.Name):
            for local in reversed([*self._outer, *self.locals]):
                if local.name == node.id:
                    if "template" not in mark_of(local.value):
                        return None
                    local.named = True
                    return marked(ast.Name(node.id, ast.Load()), word=local.value)
            return None
        if drawn(node) is None:
            return None
        word = self.translator.of(node)
        taken = {local.name for local in [*self._outer, *self.locals]}
        taken |= set(self.reading.definitions)
        name = switch_name(word, taken)
        self.locals.append(Local(name, word, node.lineno, named=True))
        self.recordable.word(name)
        return marked(ast.Name(name, ast.Load()), word=word)

    def _branch(self, body: list[ast.stmt]) -> tuple[dict[str, Layers], dict[str, ast.expr]]:
        """The layers that a branch adds to each model, and what it assigns."""
        outer, self.sequential = self.sequential, {name: [] for name in self.sequential}
        before, self.locals = self.locals, []
        around, self._outer = self._outer, [*self._outer, *before]
        compiled, self.compiled = self.compiled, {}
        known = {local.name for local in before}
        try:
            self._last_line = body[0].lineno - 1 if body else self._last_line
            for statement in body:
                self._statement(statement)
            if self.compiled:
                raise NotStraight(body[0].lineno, "compile() inside an `if`")
            layers = {name: items for name, items in self.sequential.items() if items}
            added, values = self.locals, {}
            for local in added:
                if local.tensor:
                    raise NotStraight(local.line, "a tensor that depends on an `if`")
                if "template" in mark_of(local.value) and local.name not in known:
                    before.append(local)
                else:
                    values[local.name] = local.value
            return layers, values
        finally:
            self.sequential, self.locals, self.compiled = outer, before, compiled
            self._outer = around

    def _assigned_in(
        self,
        name: str,
        values: list[ast.expr | None],
        branches: Branches,
        tests: list[ast.expr | bool],
    ) -> None:
        line = branches.line
        known = any(local.name == name for local in self.locals)
        for i, value in enumerate(values):
            if value is None and known:
                values[i] = ast.Name(name, ast.Load())
        if len(values) == len(tests):  # no else
            values.append(ast.Name(name, ast.Load()) if known else None)
        if any(value is None for value in values):
            raise NotStraight(line, f"{name} is assigned in one branch only")
        made = branches.value(tests, [copy.deepcopy(v) for v in values if v is not None])
        self._named(Local(name, made, line))


def _sequential(layers: Layers) -> ast.Call:
    """``Sequential([...])``, a layer on each line."""
    items = ast.List(layers, ast.Load())
    if len(layers) > 1:
        marked(items, broken=True)
    return ast.Call(imported("Sequential", "hpsearch.keras"), [items], [])


KINDS = {
    ast.For: "a for loop",
    ast.While: "a while loop",
    ast.With: "a with block",
    ast.Try: "a try block",
    ast.FunctionDef: "a function inside the function",
    ast.AugAssign: "an assignment in place",
    ast.Return: "a return before fit",
    ast.Global: "a global variable",
}


def _kind(node: ast.stmt) -> str:
    return KINDS.get(type(node), f"`{ast.unparse(node).splitlines()[0][:50]}`")
