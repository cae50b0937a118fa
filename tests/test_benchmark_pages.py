"""What README and docs say of the searcher is what was measured last."""

from __future__ import annotations

import ast
import gzip
import importlib
import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts/bench/results"
README, PAGE = ROOT / "README.md", ROOT / "docs/how-auto-searches.md"


def tables(file: Path) -> list[str]:
    """The tables of a Markdown file, each as its text."""
    parts = file.read_text(encoding="utf-8").split("\n\n")
    return [part.strip() for part in parts if part.lstrip().startswith("|")]


@pytest.mark.parametrize(
    ("page", "results", "which"),
    [
        (README, "suggest_summary.md", [0]),
        (PAGE, "suggest_summary.md", [0, 1]),
        (PAGE, "suggest_keras_summary.md", [0, 1]),
        (PAGE, "suggest.md", [-1]),  # sixteen workers
        (PAGE, "warm.md", [0]),
        (ROOT / "docs/failures.md", "suggest_failures.md", [0]),
        (PAGE, "latency.md", [1]),  # forty parameters
    ],
)
def test_a_page_shows_the_tables_that_were_measured(page, results, which):
    found, text = tables(RESULTS / results), page.read_text(encoding="utf-8")
    for number in which:
        assert found[number] in text


@pytest.mark.parametrize("split", ["suggest", "suggest_keras"])
def test_the_runs_behind_the_tables_are_kept(split):
    """The same seeds of every method on every problem."""
    data = json.loads((RESULTS / f"{split}.json").read_text(encoding="utf-8"))
    kept = {}
    for file in (RESULTS / f"{split}_runs").glob("*.jsonl.gz"):
        rows = map(json.loads, gzip.decompress(file.read_bytes()).decode().splitlines())
        for row in rows:
            kept.setdefault(row["method"], []).append((row["problem"], row["seed"]))
    assert set(kept) == set(data["regret"])
    runs = {frozenset(found) for found in kept.values()}
    assert len(runs) == 1 and all(len(set(found)) == len(found) for found in kept.values())


RIVALS = {"cocoex", "keras_tuner", "optuna"}  # what `bench` in pyproject.toml adds


def defined(file: Path) -> set[str]:
    """The names at the top of a script."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign() | ast.AnnAssign():
                found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name for alias in node.names}
    return found


def missing(script: Path) -> list[str]:
    """What a script imports and cannot."""
    beside = {file.stem: file for file in script.parent.glob("*.py")}
    found = []
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module in beside:
                there = defined(beside[module])
                found += [f"{module}.{a.name}" for a in names if a.name not in there]
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("hpsearch"):
                package = importlib.import_module(module)
                found += [
                    f"{module}.{a.name}"
                    for a in names
                    if not hasattr(package, a.name)
                    and importlib.util.find_spec(f"{module}.{a.name}") is None
                ]
            case ast.Import(names=[ast.alias(name=module)]) | ast.ImportFrom(module=str(module)):
                root = module.split(".")[0]
                known = {*beside, *RIVALS, *(file.name for file in script.parent.iterdir())}
                if root not in known and importlib.util.find_spec(root) is None:
                    found.append(root)
    return found


@pytest.mark.parametrize(
    "script",
    sorted((ROOT / "scripts").rglob("*.py")),
    ids=lambda file: file.relative_to(ROOT / "scripts").as_posix(),
)
def test_what_a_script_imports_is_there(script):
    """A benchmark that nobody ran for a while falls behind what it imports."""
    assert not missing(script)
