"""What `optim.minimize` was given, as the command to run and as notes."""

from __future__ import annotations

import ast
from typing import final

from .reading import Reading
from .words import number

__all__ = ["options_of"]

SEED = 1337  # what hyperas takes where none is given
ALGORITHMS = {"tpe": "tpe", "rand": "random", "random": "random", "anneal": "anneal"}
ANSWERS = {
    "notebook_name": "not needed: a space is an object, and no source of a notebook is read",
    "eval_space": "not needed: points hold values, never indices",
    "return_space": "`hpsearch check SPACE.py --json` prints the space",
    "keep_temp": "not needed: no temporary file is written",
    "verbose": "",
    "functions": "",
    "data_args": "",
    "model": "",
    "data": "",
    "rseed": "",
    "trials": "",
    "algo": "",
    "max_evals": "",
}
ENSEMBLE = "`--keep-models K` keeps the K best models; voting among them is yours to write as yet"
MONGO = (
    "the record is SQLite and MLflow, with no server; a search runs in one process as yet, and "
    "`hpsearch resume` goes on with it"
)


@final
class _Options:
    """Reads the arguments."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._notes = reading.context.notes

    def trials(self) -> list[str]:
        value = self._constant(self._reading.arguments.get("max_evals"))
        return [] if value is None else ["--max-trials", str(int(value))]

    def algorithm(self) -> list[str]:
        node = self._reading.arguments.get("algo")
        if node is None:
            return ["--algo", "tpe"] if self._reading.minimize is not None else []
        full = self._reading.context.imports.full(node) or ast.unparse(node)
        parts = full.split(".")
        name = ALGORITHMS.get(parts[-2] if parts[-1] == "suggest" and len(parts) > 1 else "")
        if name is None:
            self._notes.add(
                node.lineno,
                f"algo={ast.unparse(node)[:50]}",
                "take one of auto, tpe, random, anneal, qmc, grid: --algo auto",
            )
        return ["--algo", name or "auto"]

    def seed(self) -> list[str]:
        node = self._reading.arguments.get("rseed")
        value = self._constant(node)
        if self._reading.minimize is None or (node is not None and value is None):
            return []
        return ["--seed", str(SEED if value is None else int(value))]

    def _constant(self, node: ast.expr | None) -> float | None:
        """A number, written in place or assigned to a name of the module."""
        if isinstance(node, ast.Name):
            found = self._reading.definitions.get(node.id)
            node = found.value if isinstance(found, ast.Assign) else None
        return number(node)

    def note(self) -> None:
        """Note what has no place in the command."""
        for node in self._reading.context.source.tree.body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                name = ast.unparse(node.value.func)
                if name.rpartition(".")[2] in ("seed", "set_random_seed", "set_seed"):
                    self._notes.add(node.lineno, f"{name}(…)", "a search has one seed: --seed")
        call = self._reading.minimize
        if call is None:
            return
        if self._reading.minimizer != "minimize":
            self._notes.add(call.lineno, f"optim.{self._reading.minimizer}", ENSEMBLE)
        trials = self._reading.arguments.get("trials")
        if isinstance(trials, ast.Call):
            kind = ast.unparse(trials.func).rpartition(".")[2]
            if kind in ("MongoTrials", "SparkTrials"):
                self._notes.add(trials.lineno, f"trials={kind}(…)", MONGO)
        for name, value in self._reading.arguments.items():
            if ANSWERS.get(name):
                self._notes.add(value.lineno, f"{name}={ast.unparse(value)[:30]}", ANSWERS[name])


def options_of(reading: Reading) -> list[str]:
    """The options of `hpsearch run` that say what `optim.minimize` was given."""
    options = _Options(reading)
    options.note()
    return [*options.trials(), *options.algorithm(), *options.seed()]
