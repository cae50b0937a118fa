"""What hyperas minimised: the metric, its direction, the epoch that counts, and the data it is of.

The value of ``'loss'`` in the returned dict is followed back through plain assignments to
`evaluate` or to the history of `fit`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import final

from .arguments import alone, metric_name
from .names import dotted
from .reading import Fitting, Reading
from .translate import calls_in
from .words import number

__all__ = ["Objective", "objective_of"]

LONG_NAMES = {
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_error": "mse",
    "mean_squared_logarithmic_error": "msle",
}
LARGER = ("acc", "auc", "f1", "precision", "recall", "score", "r2", "mcc", "kappa", "dice")
RELOADS = ("load_model", "load_weights", "set_weights")
HIGHEST, LOWEST = ("max", "amax", "nanmax"), ("min", "amin", "nanmin")


@final
@dataclass(frozen=True, slots=True)
class Objective:
    """What is searched for.

    Attributes:
        metric: its name without ``val_``.
        maximize: whether larger is better.
        last: whether the last epoch counts, else the best: what `evaluate` gives is of the last
            epoch, unless the weights of the best came back before.
        evaluated: what `evaluate` was called with, (x, y), where the value came from there.
        on_training: whether the value is of the training data.
    """

    metric: str
    maximize: bool
    last: bool = False
    evaluated: tuple[ast.expr, ...] = ()
    on_training: bool = False


@final
@dataclass(slots=True)
class _Value:
    """A value on the way back to where it came from."""

    sign: int = 1
    last: bool = False
    of: str = ""
    evaluated: tuple[ast.expr, ...] = ()


def objective_of(reading: Reading, fitting: Fitting, metrics: list[str]) -> Objective:
    """The objective of a model function.

    Args:
        metrics: the names of what the model is compiled with beside its loss.
    """
    notes = reading.context.notes
    loss, line = _returned_loss(reading.model)
    follow = _Follow(reading, fitting, metrics)
    found = None if loss is None else follow.back(loss, 0)
    if found is None:
        guess = _guess(metrics, loss)
        what = "nothing" if loss is None else f"{ast.unparse(loss)[:50]!r}"
        word = "maximize" if guess.maximize else "minimize"
        notes.add(
            line,
            f"the objective {what} is computed in a way of its own; taken for {word} "
            f"val_{guess.metric}",
            "for another score write def score(model, data): return {'name': number} and "
            "Space(evaluate=score, maximize='name')",
        )
        return guess
    validated = found.of.startswith("val_") or bool(found.evaluated)
    metric = _as_compiled(metric_name(found.of).removeprefix("val_"), metrics)
    maximize = found.sign < 0
    if maximize != _larger(metric) and (metric == "loss" or _larger(metric)):
        maximize = not maximize
        notes.add(
            line,
            f"hyperas searched for the worst {metric}: it minimises what is returned",
            f"{'maximize' if maximize else 'minimize'} is written here",
        )
    last = found.last or (bool(found.evaluated) and not _goes_back(reading, fitting))
    return Objective(metric, maximize, last, found.evaluated, not validated)


def _goes_back(reading: Reading, fitting: Fitting) -> bool:
    """Whether the model had the weights of its best epoch again when `evaluate` was called."""
    for call in calls_in(reading.model):
        if any(
            keyword.arg == "restore_best_weights"
            and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
            for keyword in call.keywords
        ):
            return True
    after = reading.model.body[fitting.at + 1 :]
    return any(
        isinstance(call.func, ast.Attribute) and call.func.attr in RELOADS
        for node in after
        for call in calls_in(node)
    )


def _returned_loss(model: ast.FunctionDef) -> tuple[ast.expr | None, int]:
    """The value of ``'loss'`` in the last dict that is returned, and its line."""
    assigned = _assignments(model.body)
    for node in reversed([n for n in ast.walk(model) if isinstance(n, ast.Return)]):
        value = node.value
        if isinstance(value, ast.Name):
            value = assigned.get(value.id, (value, ()))[0]
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "loss":
                    return item, node.lineno
        if isinstance(value, ast.Call) and dotted(value.func) == "dict":
            for keyword in value.keywords:
                if keyword.arg == "loss":
                    return keyword.value, node.lineno
    return None, model.end_lineno or model.lineno


Assigned = dict[str, tuple[ast.expr, tuple[int, ...]]]


def _assignments(body: list[ast.stmt]) -> Assigned:
    """What each name was last assigned, and which item of it."""
    found: Assigned = {}
    for node in (one for statement in body for one in ast.walk(statement)):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name):
                found[target.id] = (node.value, ())
            elif isinstance(target, ast.Tuple | ast.List):
                for i, one in enumerate(target.elts):
                    if isinstance(one, ast.Name):
                        found[one.id] = (node.value, (i,))
    return found


@final
class _Follow:
    """Follows a value back."""

    def __init__(self, reading: Reading, fitting: Fitting, metrics: list[str]) -> None:
        self._fitting, self._metrics = fitting, metrics
        self._assigned = _assignments(reading.model.body)

    def back(self, node: ast.expr, depth: int) -> _Value | None:
        """Where a value comes from, None if that cannot be told."""
        if depth > 20:
            return None
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _negated(self.back(operand, depth + 1))
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                for factor, other in ((left, right), (right, left)):
                    value = number(factor)
                    if value is not None and value:
                        found = self.back(other, depth + 1)
                        return _negated(found) if value < 0 else found
                return None
            case ast.BinOp(left=left, op=ast.Sub(), right=right) if number(left) is not None:
                return _negated(self.back(right, depth + 1))
            case ast.Name(id=name):
                if name not in self._assigned:
                    return None
                value_node, items = self._assigned[name]
                if items:
                    return self._item(value_node, items[0], depth + 1)
                return self.back(value_node, depth + 1)
            case ast.Subscript(value=inner, slice=index):
                return self._subscript(inner, index, depth + 1)
            case ast.Call():
                return self._call(node, depth + 1)
        return None

    def _call(self, node: ast.Call, depth: int) -> _Value | None:
        name = (dotted(node.func) or "").rpartition(".")[2]
        if name.startswith("evaluate"):
            return self._item(node, 0, depth) if not self._metrics else None
        if name in (*HIGHEST, *LOWEST, "float", "mean", "round") and node.args:
            return self.back(node.args[0], depth)
        return None

    def _subscript(self, inner: ast.expr, index: ast.expr, depth: int) -> _Value | None:
        if isinstance(index, ast.Constant) and isinstance(index.value, str):
            return _Value(of=index.value) if self._is_history(inner, depth) else None
        at = number(index)
        if at is None:
            return None
        found = self._item(inner, int(at), depth)
        if found is None:
            found = self.back(inner, depth)
            if found is not None and at == -1:
                found.last = True
        return found

    def _item(self, node: ast.expr, at: int, depth: int) -> _Value | None:
        """Item `at` of what `evaluate` returns: the loss, then the metrics."""
        if isinstance(node, ast.Name) and node.id in self._assigned and depth < 20:
            value, items = self._assigned[node.id]
            return None if items else self._item(value, at, depth + 1)
        if not isinstance(node, ast.Call):
            return None
        if not (dotted(node.func) or "").rpartition(".")[2].startswith("evaluate"):
            return None
        names = ["loss", *self._metrics]
        if not -len(names) <= at < len(names):
            return None
        named = {k.arg: k.value for k in node.keywords}
        data = [*node.args[:2], *(named[n] for n in ("x", "y") if n in named)]
        return _Value(of=f"val_{names[at]}", evaluated=tuple(alone(item) for item in data))

    def _is_history(self, node: ast.expr, depth: int) -> bool:
        """Whether this is the dict of curves that `fit` returned."""
        if depth > 20:
            return False
        if isinstance(node, ast.Attribute) and node.attr == "history":
            return True
        if isinstance(node, ast.Name) and node.id in self._assigned:
            return self._is_history(self._assigned[node.id][0], depth + 1)
        return False


def _negated(value: _Value | None) -> _Value | None:
    if value is not None:
        value.sign = -value.sign
    return value


def _guess(metrics: list[str], loss: ast.expr | None) -> Objective:
    larger = [name for name in metrics if _larger(name)]
    if larger:
        return Objective(larger[0], True)
    if not metrics:
        return Objective("loss", False)
    return Objective(metrics[0], _is_negated(loss) and not _smaller(metrics[0]))


def _is_negated(loss: ast.expr | None) -> bool:
    match loss:
        case ast.UnaryOp(op=ast.USub()) | ast.BinOp(left=ast.Constant(), op=ast.Sub()):
            return True
    return False


def _smaller(metric: str) -> bool:
    """Whether smaller is better, as far as a name tells."""
    return any(part in metric.lower() for part in ("loss", "error", "mse", "mae", "mape", "msle"))


def _larger(metric: str) -> bool:
    """Whether larger is better, as far as a name tells."""
    return any(part in metric.lower() for part in LARGER)


def _as_compiled(metric: str, metrics: list[str]) -> str:
    """A metric by the name it is compiled with: Keras 3 reports ``mse`` under that name."""
    for one in metrics:
        if metric in (one, LONG_NAMES.get(one, one)) or LONG_NAMES.get(metric) == one:
            return one
    return metric
