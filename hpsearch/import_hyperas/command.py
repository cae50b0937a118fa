"""What `optim.minimize` was given, as the command to run and as notes."""

from __future__ import annotations

import ast

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
}
ENSEMBLE = "`--keep-models K` keeps the K best models; voting among them is yours to write as yet"
MONGO = (
    "the record is SQLite and MLflow, with no server; a search runs in one process as yet, and "
    "`hpsearch resume` goes on with it"
)


def options_of(reading: Reading) -> list[str]:
    """The options of `hpsearch run` that say what `optim.minimize` was given."""
    _note_seeds(reading)
    if reading.minimize is None:
        return []
    _note_arguments(reading, reading.minimize)
    trials, seed = (_number(reading, name) for name in ("max_evals", "rseed"))
    found = [] if trials is None else ["--max-trials", str(int(trials))]
    found += ["--algo", _algorithm(reading)]
    if "rseed" not in reading.arguments:
        seed = SEED
    return found if seed is None else [*found, "--seed", str(int(seed))]


def _algorithm(reading: Reading) -> str:
    node = reading.arguments.get("algo")
    if node is None:
        return "tpe"
    full = reading.context.imports.full(node) or ast.unparse(node)
    name = ALGORITHMS.get(full.removesuffix(".suggest").rpartition(".")[2])
    if name is None:
        reading.context.notes.add(
            node.lineno,
            f"algo={ast.unparse(node)[:50]}",
            "take one of auto, tpe, random, anneal, qmc, grid: --algo auto",
        )
    return name or "auto"


def _number(reading: Reading, name: str) -> float | None:
    """A number that was given, written in place or assigned to a name of the module."""
    node = reading.arguments.get(name)
    if isinstance(node, ast.Name):
        found = reading.definitions.get(node.id)
        node = found.value if isinstance(found, ast.Assign) else None
    return number(node)


def _note_seeds(reading: Reading) -> None:
    for node in reading.context.source.tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = ast.unparse(node.value.func)
            if name.rpartition(".")[2] in ("seed", "set_random_seed", "set_seed"):
                reading.context.notes.add(
                    node.lineno, f"{name}(…)", "a search has one seed: --seed"
                )


def _note_arguments(reading: Reading, call: ast.Call) -> None:
    """Note what has no place in the command."""
    notes = reading.context.notes
    if reading.minimizer != "minimize":
        notes.add(call.lineno, f"optim.{reading.minimizer}", ENSEMBLE)
    trials = reading.arguments.get("trials")
    if isinstance(trials, ast.Call):
        kind = ast.unparse(trials.func).rpartition(".")[2]
        if kind in ("MongoTrials", "SparkTrials"):
            notes.add(trials.lineno, f"trials={kind}(…)", MONGO)
    for name, value in reading.arguments.items():
        if name in ANSWERS:
            notes.add(value.lineno, f"{name}={ast.unparse(value)[:30]}", ANSWERS[name])
