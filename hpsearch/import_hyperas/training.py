"""What a model function trains with beside `fit`: refused where a space would train too, or told.

A space's model is built without training, in every check and before every trial.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ..errors import SpaceError
from .translate import Context, calls_in

__all__ = ["check_building", "check_wrappers", "note_phases"]

TRAINS = ("train_on_batch", "fit_generator", "GradientTape")
COMPUTES = ("evaluate", "predict", "predict_classes", "predict_generator", "evaluate_generator")
WRAPPERS = ("KerasClassifier", "KerasRegressor")
VALIDATORS = (
    "cross_val_score",
    "cross_val_predict",
    "cross_validate",
    "GridSearchCV",
    "RandomizedSearchCV",
)
PHASES = "write fit=[Fit(...), Fit(..., prepare=f, optimizer=...)], where f(model) changes it"


def check_wrappers(context: Context, model: ast.FunctionDef, trained: Iterable[str]) -> None:
    """Refuse a model function that leaves its training to scikit-learn.

    Args:
        trained: the names that `fit` is called on.

    Raises:
        SpaceError: if one is made by a wrapper or a search, or none is there and those are.
    """
    found = [(name, call.lineno) for call in calls_in(model) if (name := _sklearn(call))]
    made = {
        target.id
        for node in ast.walk(model)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and _sklearn(node.value)
    }
    trained = set(trained)
    if not found or trained - made:
        return
    names = ", ".join(f"{name} (line {line})" for name, line in sorted(found, key=lambda f: f[1]))
    raise SpaceError(
        f"{context.source.name}:{found[0][1]}: {model.name}() leaves the training to scikit-learn: "
        f"{names}. A Space builds, trains and scores the Keras model itself, on one split of the "
        "data (k-fold cross-validation: not yet). Build and compile the model in "
        f"{model.name}(), call model.fit(...) there, and import again."
    )


def _sklearn(call: ast.Call) -> str:
    """The wrapper or search of scikit-learn that this calls, "" for anything else."""
    name = _last(call)
    return name if name in (*WRAPPERS, *VALIDATORS) else ""


def _last(call: ast.Call) -> str:
    """The name of a call without what stands before its last dot."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def check_building(context: Context, model: ast.FunctionDef, at: int) -> None:
    """Look at what stands before `fit`: it builds the model of a space.

    Args:
        at: the place of `fit` in the body.

    Raises:
        SpaceError: if it trains.
    """
    for call in (call for node in model.body[:at] for call in _reached(context, node)):
        name = _last(call)
        if name in TRAINS:
            raise SpaceError(
                f"{context.source.name}:{call.lineno}: {model.name}() trains by {name} before "
                "fit, and a space builds its model without training: `hpsearch check` would run "
                "it. Move the loop into a function for Space(train=loop), see docs/dsl.md, or "
                "leave it out, and import again."
            )
        if name in COMPUTES and isinstance(call.func, ast.Attribute):
            context.notes.add(
                call.lineno,
                f"{ast.unparse(call.func)[:40]}() stands before fit: it runs whenever the model "
                "is built, also in a check",
                "compute it in data(), or leave it out",
            )


def _reached(context: Context, node: ast.stmt) -> Iterator[ast.Call]:
    """The calls of a statement, and of the file's own functions that it calls by name."""
    functions = {
        one.name: one for one in context.source.tree.body if isinstance(one, ast.FunctionDef)
    }
    waiting: list[ast.stmt] = [node]
    seen: set[str] = set()
    while waiting:
        for call in calls_in(waiting.pop()):
            yield call
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if name in functions and name not in seen:
                seen.add(name)
                waiting.append(functions[name])


def note_phases(context: Context, after: Iterable[ast.stmt]) -> None:
    """Note what changes the model after its first training and is left out.

    Args:
        after: the statements behind `fit`.
    """
    for one in (one for node in after for one in ast.walk(node)):
        match one:
            case ast.Call(func=ast.Attribute(attr="compile")):
                context.notes.add(one.lineno, "a second compile(), behind fit, is left out", PHASES)
            case ast.Assign(targets=[ast.Attribute(attr="trainable") as target]):
                what = f"{ast.unparse(target)[:40]} = … behind fit is left out"
                context.notes.add(one.lineno, what, PHASES)
            case ast.Call() if _last(one) in ("train_on_batch", "GradientTape"):
                what = f"{_last(one)} behind fit is left out"
                context.notes.add(one.lineno, what, "write Space(train=loop), see docs/dsl.md")
