"""What README and docs say of the searcher is what was measured last."""

from __future__ import annotations

import gzip
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
