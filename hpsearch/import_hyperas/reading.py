"""What a hyperas file holds: its data and model functions, and what `optim.minimize` was given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from ..errors import SpaceError
from .arguments import alone
from .training import check_building, check_wrappers, note_phases
from .translate import Context, calls_in, templates_in

__all__ = ["Fitting", "Reading", "fitting_of", "read"]

MINIMIZERS = {
    "minimize": "model data algo max_evals trials functions rseed",
    "best_ensemble": "nb_ensemble_models model data algo max_evals trials",
    "best_models": "nb_models model data algo max_evals trials",
}
FIT = (
    "x y batch_size epochs verbose callbacks validation_split validation_data shuffle "
    "class_weight sample_weight initial_epoch steps_per_epoch validation_steps"
)
GENERATOR = "generator steps_per_epoch epochs"
FIT_NAMES = {"nb_epoch": "epochs", "nb_val_samples": "validation_steps"}
Function = ast.FunctionDef


@final
@dataclass(slots=True)
class Reading:
    """The parts of a file.

    Attributes:
        definitions: what each name of the module is defined by, its last definition.
        model, data: the functions; `data` is None where it is imported.
        data_name: what the data function is called.
        minimize: the call of `optim.minimize` (or of an ensemble), None if there is none.
        arguments: its arguments by name.
    """

    context: Context
    definitions: dict[str, ast.stmt]
    model: Function
    data: Function | None
    data_name: str
    minimize: ast.Call | None = None
    minimizer: str = "minimize"
    arguments: dict[str, ast.expr] = field(default_factory=dict)

    @property
    def parameters(self) -> list[str]:
        """The names of the model function's arguments: what data() returned."""
        return [argument.arg for argument in self.model.args.args]


@final
@dataclass(slots=True)
class Fitting:
    """The call that trains, and the statement of the model function that it stands in.

    Attributes:
        method: ``fit`` or ``fit_generator``.
        arguments: by their names in Keras 3.
        at: the place of the statement in the body.

        model: the name of the model.
    """

    call: ast.Call
    method: str
    arguments: dict[str, ast.expr]
    at: int
    model: str


def read(context: Context) -> Reading:
    """Find the parts of a file.

    Raises:
        SpaceError: if it has no template, no model function or no data function.
    """
    source = context.source
    if not source.templates:
        raise SpaceError(
            f"{source.name} has no template {{{{…}}}}: import-hyperas turns those into words. "
            "For a plain Keras script see `hpsearch new`."
        )
    definitions = dict(_definitions(source.tree.body))
    call, minimizer = _minimize(context)
    arguments = _named(call, MINIMIZERS[minimizer]) if call is not None else {}
    model = _model(context, definitions, arguments.get("model"))
    _check_templates(context, model)
    data_name, data = _data(context, definitions, arguments.get("data"))
    return Reading(context, definitions, model, data, data_name, call, minimizer, arguments)


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """(name, statement) for what a module defines, also inside its `if` and `try`."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for one in ast.walk(target):
                        if isinstance(one, ast.Name):
                            yield one.id, node
            case ast.If() | ast.With():
                yield from _definitions(node.body)
            case ast.Try():
                yield from _definitions(node.body)


def _minimize(context: Context) -> tuple[ast.Call | None, str]:
    """The call of one of hyperas's functions that search, the first in the file."""
    found = []
    for call in calls_in(context.source.tree):
        full = context.imports.full(call.func) or ""
        name = full.rpartition(".")[2]
        if full.startswith("hyperas.") and name in MINIMIZERS:
            found.append((call, name))
    for call, name in found[1:]:
        context.notes.add(call.lineno, f"a second {name}", "import the file once for each model")
    return min(found, key=lambda one: one[0].lineno) if found else (None, "minimize")


def _named(call: ast.Call, names: str) -> dict[str, ast.expr]:
    """The arguments of a call by name; `names` are those of the arguments without one."""
    given = dict(zip(names.split(), call.args, strict=False))
    return given | {k.arg: k.value for k in call.keywords if k.arg is not None}


def _model(context: Context, definitions: dict[str, ast.stmt], named: ast.expr | None) -> Function:
    """The model function: what `minimize` names, else the one function with templates."""
    name = context.source.name
    functions = {k: f for k, f in definitions.items() if isinstance(f, Function)}
    if isinstance(named, ast.Name) and named.id in functions:
        return functions[named.id]
    with_templates = [f for f in functions.values() if templates_in(f)]
    if named is None and len(with_templates) == 1:
        return with_templates[0]
    line = context.line_of(0)
    if len(with_templates) > 1:
        where = ", ".join(f"{f.name} (line {f.lineno})" for f in with_templates)
        raise SpaceError(
            f"{name}: which is the model function? Templates stand in {where}. "
            "Name it in optim.minimize(model=…), or leave the other out."
        )
    raise SpaceError(
        f"{name}:{line}: no model function found for the template on this line. "
        "hyperas reads a function of the module, def create_model(x_train, …); write it so."
    )


def _check_templates(context: Context, model: Function) -> None:
    inside = set(templates_in(model))
    for template in context.source.templates:
        if template.number not in inside:
            raise SpaceError(
                f"{context.source.name}:{template.line}: a template outside {model.name}(), where "
                f"hyperas does not read it: {{{{{template.text[:40]}}}}}. Move it into {model.name}() "
                "and pass its value as an argument."
            )


def _data(
    context: Context, definitions: dict[str, ast.stmt], named: ast.expr | None
) -> tuple[str, Function | None]:
    name = named.id if isinstance(named, ast.Name) else "data" if named is None else ""
    found = definitions.get(name)
    if isinstance(found, Function):
        return name, found
    if name and name in context.imports.bound:
        return name, None
    raise SpaceError(
        f"{context.source.name}: no data function found: "
        + (f"{name}() is not defined in it. " if name else "optim.minimize names none. ")
        + "Define def data(): … return x_train, y_train, x_test, y_test in the same file."
    )


def fitting_of(context: Context, model: Function) -> Fitting:
    """The first call of ``fit`` in the model function.

    Raises:
        SpaceError: if there is none, or it is called in a loop.
    """
    file = context.source.name
    fits = [
        (at, call, name)
        for at, statement in enumerate(model.body)
        for call in calls_in(statement)
        if (name := _fitted(model, call))
    ]
    check_wrappers(context, model, [name for *_, name in fits])
    if not fits:
        raise SpaceError(
            f"{file}:{model.lineno}: {model.name}() does not call model.fit(...), which says what "
            "is trained and how. Write a custom loop as Space(train=loop); see docs/dsl.md."
        )
    phases = "the first is the training here; for phases write fit=[Fit(...), Fit(...)]"
    for _, other, _ in fits[1:]:
        context.notes.add(other.lineno, "a second call of fit", phases)
    at, call, name = fits[0]
    if any(keyword.arg is None for keyword in call.keywords):
        context.notes.add(call.lineno, "fit(**…)", "write the arguments out in Fit(...)")
    statement = model.body[at]
    if not isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign):
        raise SpaceError(
            f"{file}:{call.lineno}: {model.name}() calls fit inside a "
            f"`{type(statement).__name__.lower()}` (line {statement.lineno}); import-hyperas needs "
            "one training at the level of the body. For cross-validation or restarts take one "
            "round of it."
        )
    check_building(context, model, at)
    note_phases(context, model.body[at + 1 :])
    assert isinstance(call.func, ast.Attribute)
    return Fitting(call, call.func.attr, _arguments(call, call.func.attr), at, name)


def _arguments(call: ast.Call, method: str) -> dict[str, ast.expr]:
    """What `fit` is called with, by the names of Keras 3; an array in a list of one by itself."""
    given = _named(call, GENERATOR if method == "fit_generator" else FIT)
    arguments = {FIT_NAMES.get(key, key): value for key, value in given.items()}
    arguments |= {key: alone(arguments[key]) for key in ("x", "y") if key in arguments}
    pair = arguments.get("validation_data")
    if isinstance(pair, ast.Tuple | ast.List):
        made = type(pair)([alone(item) for item in pair.elts], ast.Load())
        arguments["validation_data"] = ast.copy_location(made, pair)
    return arguments


def _fitted(model: Function, call: ast.Call) -> str:
    """The name of the model that this call trains, "" if it trains none."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name), attr="fit" | "fit_generator"):
            several = len(call.args) + len(call.keywords) > 1
            return name if several and not _prepares(model, name) else ""
    return ""


def _prepares(model: Function, name: str) -> bool:
    """Whether this name is a scaler or the like: something that also transforms."""
    return any(
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == name
        and call.func.attr in ("transform", "flow", "flow_from_directory", "texts_to_sequences")
        for call in calls_in(model)
    )
