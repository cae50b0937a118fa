"""From the text of a hyperas file to a space module and what to say of it."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field
from typing import Any, final

from ..errors import SpaceError
from .arguments import metric_name
from .command import options_of
from .conditions import without_conditional
from .data import DataPart, constants_of, data_part
from .declared import Declared, Local
from .kept import Kept
from .labels import labels_of
from .listing import code_in
from .marks import called, imported, marked
from .notes import Note
from .objective import Objective, objective_of
from .old_names import old_names
from .printing import expression, shown
from .provider import provider_of
from .reading import Fitting, Reading, fitting_of, read
from .templates import Source
from .tidy import shared, tidy
from .translate import Context, NotStraight, loads
from .writing import module_text

__all__ = ["Conversion", "Row", "convert"]

COMPILED = ("optimizer", "loss", "metrics", "loss_weights", "weighted_metrics")
FITTED = (
    "batch_size epochs callbacks shuffle class_weight initial_epoch steps_per_epoch "
    "validation_steps"
)
USELESS = {
    "ModelCheckpoint": "the weights of the best epoch are kept anyway",
    "TensorBoard": "MLflow has the curves of every trial: hpsearch ui",
    "CSVLogger": "MLflow has the curves of every trial: hpsearch export",
    "RemoteMonitor": "MLflow has the curves of every trial: hpsearch ui",
    "ProgbarLogger": "the search shows its own progress",
    "History": "MLflow has the curves of every trial",
    "BaseLogger": "MLflow has the curves of every trial",
}


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One template: hyperas's name, the label here, and the word."""

    line: int
    old: str
    label: str
    word: str


@final
@dataclass(frozen=True, slots=True)
class Conversion:
    """What a file has become.

    Attributes:
        name: what the file is called in messages, on one line.
        module: the text of the space module.
        rows: old names and new labels, in the order of the file.
        notes: what was not converted, or is not as it was.
        kept: why the model function stays a function, "" where it was declared.
        options: of `hpsearch run`, for what `optim.minimize` was given.
    """

    name: str
    module: str
    rows: list[Row]
    notes: list[Note]
    kept: str
    options: list[str] = field(default_factory=list)


def convert(text: str, name: str) -> Conversion:
    """Convert the text of a hyperas file, a notebook or a listing. Nothing of it is run.

    Args:
        name: what the file is called in messages.

    Raises:
        SpaceError: if it is not Python, is nested too deeply, or has no templates, model function,
            data function or fit.
    """
    try:
        return _converted(text, shown(name))
    except (RecursionError, MemoryError):  # the parser runs out of memory by the same cause
        raise SpaceError(
            f"{shown(name)}: an expression or a block can be nested some hundred times, and one is "
            "deeper: a sum of thousands of terms, for example. Split it over several lines and "
            "import again."
        ) from None


def _converted(text: str, name: str) -> Conversion:
    context = Context(Source(name, code_in(text)))
    without_conditional(context.source.tree, context.imports, context.functions)
    reading = read(context)
    fitting = fitting_of(context, reading.model)
    objective = objective_of(reading, fitting, _metrics(reading, fitting))
    part = data_part(reading, fitting, objective)
    file = _File(reading, fitting, objective, part, _constants(reading))
    try:
        found = Declared(reading, fitting, part, file.body, file.constants, whole=True)
        if not {"optimizer", "loss"} <= set(found.compiled):
            raise NotStraight(fitting.call.lineno, "compile() is called elsewhere")
    except NotStraight as error:
        return _second_way(file, f"{name}:{error.line}: {error.why}")
    return _first_way(file, found)


@final
@dataclass(frozen=True, slots=True)
class _File:
    """What is known of a file when the way of conversion is chosen."""

    reading: Reading
    fitting: Fitting
    objective: Objective
    part: DataPart
    constants: dict[str, ast.expr]

    @property
    def body(self) -> list[ast.stmt]:
        """The model function up to `fit`."""
        return self.reading.model.body[: self.fitting.at]


def _first_way(file: _File, found: Declared) -> Conversion:
    fields: dict[str, ast.expr | None] = {"model": found.model}
    for name in COMPILED:
        fields[name] = found.compiled.get(name)
    fields["metrics"] = _extra_metrics(fields["metrics"], file.objective)
    fields["fit"] = _fit(found, file.fitting, file.part)
    return _finished(file, found, _space(fields, file.objective), None, "")


def _second_way(file: _File, why: str) -> Conversion:
    file.reading.context.whole_names.clear()
    kept = Kept(file.reading, file.fitting, file.part, set(file.constants))
    kept.text("")  # registers every argument
    fit = _fit(kept.lifted, file.fitting, file.part)
    space = _space({"model": kept.call(), "fit": fit}, file.objective)
    return _finished(file, kept.lifted, space, kept, why)


def _finished(
    file: _File, found: Declared, space: ast.Call, kept: Kept | None, why: str
) -> Conversion:
    reading = file.reading
    taken = set(reading.definitions) | {reading.data_name, reading.model.name}
    locals_, space = tidy(found.locals, space, taken - {local.name for local in found.locals})
    used = {n for local in locals_ for n in loads(local.value)} | loads(space)
    used |= kept.reads if kept is not None else set()
    hoisted = {name: value for name, value in file.constants.items() if name in used}
    uses_data = kept is not None and bool(kept.uses_data)
    provider = provider_of(reading, file.part, file.body, set(hoisted), uses_data)
    space.keywords.insert(0, ast.keyword("data", provider.call))
    locals_ = [*locals_, *shared(provider.numbers, locals_, space)]
    texts = [*provider.texts]
    if kept is not None:
        texts.append(kept.text(provider.prelude if uses_data else ""))
    options = options_of(reading)
    module = module_text(reading, hoisted, texts, locals_, space)
    rows = _rows(reading.context, reading.model, locals_, space)
    notes = reading.context.notes.in_order()
    return Conversion(reading.context.source.name, module, rows, notes, why, options)


def _constants(reading: Reading) -> dict[str, ast.expr]:
    """Plain values that ``data()`` assigns and the model function reads."""
    read_names = loads(reading.model)
    return {k: v for k, v in constants_of(reading).items() if k in read_names}


def _metrics(reading: Reading, fitting: Fitting) -> list[str]:
    """The names of the metrics that the model is compiled with."""
    found: list[str] = []
    for call in (n for n in ast.walk(reading.model) if isinstance(n, ast.Call)):
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "compile"):
            continue
        named = {k.arg: k.value for k in call.keywords}
        given = named.get("metrics", call.args[2] if len(call.args) > 2 else None)
        if isinstance(given, ast.List | ast.Tuple):
            found = [_metric(item) for item in given.elts]
    if "show_accuracy" in fitting.arguments and not found:
        found = ["accuracy"]
    return [metric_name(name) for name in found]


def _metric(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2].lower()
    return ast.unparse(node).rpartition(".")[2]


def _extra_metrics(metrics: ast.expr | None, objective: Objective) -> ast.expr | None:
    """The metrics but the one that is searched for, which is added by itself."""
    match metrics:
        case ast.List(elts=[ast.Constant(value="accuracy" | "acc")]) if (
            objective.metric == "accuracy"
        ):
            return None
    return metrics


def _fit(found: Declared, fitting: Fitting, part: DataPart) -> ast.expr | None:
    keywords = []
    generator = fitting.method == "fit_generator" or part.from_generator
    for name in FITTED.split():
        value = _fit_argument(found, name)
        if name == "callbacks" and value is not None:
            value = _callbacks(value, found)
        counted = generator and name in ("steps_per_epoch", "validation_steps")
        if value is not None and not counted:
            keywords.append(ast.keyword(name, value))
    return ast.Call(imported("Fit", "hpsearch"), [], keywords) if keywords else None


def _fit_argument(found: Declared, name: str) -> ast.expr | None:
    """An argument of `fit`; one that is computed from the data is noted and left out."""
    try:
        return found.fit_argument(name)
    except NotStraight as error:
        found.context.notes.add(
            error.line, f"fit({name}=…) is computed: {error.why}", f"write {name}= in Fit(...)"
        )
        return None


def _callbacks(node: ast.expr, found: Declared) -> ast.expr | None:
    """The callbacks without those that write what is recorded anyway."""
    values = {local.name: local.value for local in found.locals}
    listed: Any = values.get(node.id, node) if isinstance(node, ast.Name) else node
    if not isinstance(listed, ast.List):
        return node
    kept = []
    for item in listed.elts:
        value = values.get(item.id, item) if isinstance(item, ast.Name) else item
        name = called(value).rpartition(".")[2]
        if name in USELESS:
            found.context.notes.add(value.lineno, f"{name} is left out", USELESS[name])
        else:
            kept.append(item)
    return ast.List(kept, ast.Load()) if kept else None


def _space(fields: dict[str, ast.expr | None], objective: Objective) -> ast.Call:
    keywords = [ast.keyword(name, value) for name, value in fields.items() if value is not None]
    name = objective.metric if objective.on_training else f"val_{objective.metric}"
    direction = "maximize" if objective.maximize else "minimize"
    keywords.append(ast.keyword(direction, ast.Constant(name)))
    if objective.last:
        keywords.append(ast.keyword("keep", ast.Constant("last")))
    return marked(ast.Call(imported("Space", "hpsearch"), [], keywords), broken=True)


def _rows(
    context: Context, model: ast.FunctionDef, locals_: list[Local], space: ast.Call
) -> list[Row]:
    source = context.source
    first = sum(len(line) + 1 for line in source.original.split("\n")[: model.lineno - 1])
    last = sum(len(line) + 1 for line in source.original.split("\n")[: model.end_lineno])
    text = source.original[first:last]
    names = {(first + a, first + b): old for (a, b), old in old_names(text).items()}
    labels = labels_of(locals_, space)
    rows = []
    for template in source.templates:
        used = template.number in context.words
        node = copy.deepcopy(context.word(template.number).node)
        if isinstance(node, ast.Call):
            node.keywords = [k for k in node.keywords if k.arg != "name"]
        label = labels.get(template.number)
        if label is None:
            constant = "(a constant)" if not isinstance(node, ast.Call) else "(see hpsearch check)"
            label = constant if used else "(left out)"
        if not used:
            what = f"the template {{{{{template.text[:40]}}}}} has no place here"
            context.notes.add(template.line, what, "it is left out")
        old = names.get((template.start, template.end)) or "(none)"
        rows.append(Row(template.line, old, label, expression(node)))
    return rows
