"""`scripts/ready_spaces.py`: how it measures, and that the page shows what it measured."""

import importlib.util
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch.space import ready_spaces

ROOT = Path(__file__).resolve().parent.parent


def loaded():
    path = ROOT / "scripts" / "ready_spaces.py"
    spec = importlib.util.spec_from_file_location("ready_spaces_script", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script = loaded()


def history(train, held):
    return [{"loss": a, "val_loss": b} for a, b in zip(train, held, strict=True)]


def test_every_ready_space_is_measured():
    assert {classic.space.partition(":")[0] for classic in script.CLASSICS} == set(ready_spaces())


def test_the_negative_log_likelihood_is_that_of_the_notes():
    almost = np.array([[0, 1, 0], [0.99, 0.01, 0], [0, 0, 1]])
    assert script.nll(almost, np.array([1, 0, 2])) == pytest.approx(-math.log(0.99) / 3)
    assert script.nll(np.array([[0.01, 0.01, 0.98]]), np.array([0])) == pytest.approx(4.60517)


@pytest.mark.parametrize(
    ("train", "held", "told"),
    [
        ([1, 0.5, 0.2, 0.1, 0.05], [1, 0.6, 0.4, 0.5, 0.6], "It overfits: after 5 epochs"),
        ([1, 0.9, 0.8, 0.7, 0.6], [1, 0.9, 0.8, 0.7, 0.62], "It underfits"),
        ([2.3, 2.3, 2.3], [2.3, 2.3, 2.3], "It underfits: after 3 epochs"),
        ([1, 0.5, 0.2, 0.1, 0.05], [1, 0.6, 0.3, 0.2, 0.2], "It overfits, but not to its harm"),
    ],
)
def test_the_verdict_is_read_from_both_losses(train, held, told):
    assert script.verdict(history(train, held)).startswith(told)


def test_the_table_shows_the_median_and_every_seed():
    seen = ((0.9, 5), (0.7, 1), (0.8, 3))
    runs = [{"figures": {"test accuracy": v, "NLL": v / 10}, "seconds": s} for v, s in seen]
    one = {"space": "s", "trials": 4, "reference": 0.75, "note": "n", "runs": runs, "baseline": []}
    text = script.tables([one], None)
    assert "| `s` | 4 | test accuracy | 0.75 (n) | – | **0.8** (0.9 0.7 0.8) | 3 |" in text
    assert "| `s` | NLL | – | 0.08 |" in text


def test_the_page_shows_the_figures_that_were_measured():
    page = (ROOT / "docs" / "ready-spaces.md").read_text(encoding="utf-8")
    results = ROOT / "scripts" / "bench" / "results"
    assert (results / "ready_spaces.md").read_text(encoding="utf-8") in page
    measured = json.loads((results / "ready_spaces.json").read_text(encoding="utf-8"))
    assert script.tables(measured["spaces"], measured["long"]) in page
    assert {one["space"] for one in measured["spaces"]} == {c.space for c in script.CLASSICS}


MEASURED = ROOT / "scripts" / "bench" / "results" / "ready_spaces.json"


def measured():
    """What was measured for each space; the figures of the file, not of this machine."""
    content = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {one["space"]: one for one in content["spaces"]}


@pytest.mark.parametrize("classic", script.CLASSICS, ids=lambda classic: classic.space)
def test_the_figure_of_a_space_reaches_its_reference(classic):
    one = measured()[classic.space]
    assert one["trials"] == classic.trials and len(one["runs"]) >= 3
    first = next(iter(one["runs"][0]["figures"]))
    found = script.median(one["runs"], first)
    if classic.reference is not None:
        assert found <= classic.reference if classic.smaller else found >= classic.reference


def test_the_search_does_better_than_the_network_it_starts_from():
    one = measured()["mnist_softmax"]
    found, fixed = (script.median(one[runs], "test accuracy") for runs in ("runs", "baseline"))
    assert found > fixed >= one["reference"]


def test_the_search_leaves_the_region_where_trials_fail():
    one = measured()["gaussian_precision:wide"]["runs"]
    early = script.median(one, "not clipped, share of the first 20 points")
    late = script.median(one, "not clipped, share of the others")
    assert late < early / 2


def shown_commands():
    """(command, lines) of each `$ python …` in the text blocks of the page."""
    page = (ROOT / "docs" / "ready-spaces.md").read_text(encoding="utf-8")
    for block in re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield command, [line for line in lines if line != "…"]


@pytest.mark.parametrize(("command", "lines"), list(shown_commands()))
def test_the_page_shows_what_the_scripts_print(command, lines):
    _python, script_file, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, ROOT / script_file, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert lines and all(line.rstrip() in printed for line in lines), printed
