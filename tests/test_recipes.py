"""The pages of the documentation run: every block, and every space in them is searched."""

import csv
import json
import re
import shutil
import sys

import numpy as np
import pytest
from documents import DOCS, blocks, code_of

import hpsearch
from hpsearch.cli import main
from hpsearch.plain_keras import plain_keras
from hpsearch.space import ready_spaces

RECIPES = sorted((DOCS / "recipes").glob("*.md"))
LONG = ("transfer-learning",)  # two backbones, two phases: half a minute


def write_customers(folder):
    draw = np.random.default_rng(0)
    with (folder / "customers.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["age", "visits", "spend", "left"])
        for _ in range(120):
            age, visits, spend = draw.integers(18, 90), draw.poisson(5), draw.exponential(40)
            table.writerow([age, visits, round(spend, 2), int(visits < 3 and spend < 40)])


def write_photos(folder):
    import tensorflow as tf

    draw = np.random.default_rng(0)
    for part in ("train", "validation"):
        for number, kind in enumerate(["cat", "dog"]):
            place = folder / "photos" / part / kind
            place.mkdir(parents=True)
            for i in range(8):
                image = draw.integers(0, 128, size=(40, 40, 3)) + 100 * number
                data = tf.io.encode_png(tf.constant(image, dtype=tf.uint8))
                (place / f"{i}.png").write_bytes(data.numpy())


WRITERS = {"own-csv": write_customers, "transfer-learning": write_photos}


def searched(space, folder):
    return hpsearch.search(
        space, max_trials=2, seed=1, algo="random", folder=folder / "mlruns", progress=False
    )


def run_page(page, folder):
    """Run the blocks of a page, each as a script of its own; search the spaces they declare."""
    results = []
    for block in blocks(page):
        namespace = {"__name__": "page"}
        exec(code_of(page, block), namespace)
        if "space" in namespace:
            results.append(searched(namespace["space"], folder))
    return results


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.stem in LONG else (), id=page.stem)
        for page in RECIPES
    ],
)
def test_a_recipe_is_searched_as_it_stands(page, folder):
    WRITERS.get(page.stem, lambda folder: None)(folder)
    (result,) = run_page(page, folder)
    assert [trial.error for trial in result.trials] == [None, None]
    assert result.best is not None


def test_the_line_for_the_weekend_begins_a_study_and_goes_on_with_it(
    study_folder, monkeypatch, capfd
):
    page = (DOCS / "over-the-weekend.md").read_text()
    (line,) = re.findall(r"^nohup hpsearch (.*?) > ", page, re.DOTALL | re.MULTILINE)
    (unit,) = re.findall(r"^ExecStart=\S*/hpsearch (.*)$", page, re.MULTILINE)
    words = line.replace("\\\n", "").split()
    assert unit.split() == words
    shutil.copy(ready_spaces()["xor"], "my_space.py")
    monkeypatch.delenv("HPSEARCH_WORKERS", raising=False)
    for total in ("2", "3"):
        given = [total if word == "2000" else word for word in words]
        monkeypatch.setattr(sys, "argv", ["hpsearch", *given, "--json", "--workers", "1"])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert ended.value.code == 0, err
        assert json.loads(out)["trials"]["total"] == int(total)


def test_a_recipe_prints_as_a_script_with_its_functions(folder):
    write_customers(folder)
    (block,) = blocks(DOCS / "recipes" / "own-csv.md")
    namespace = {"__name__": "page"}
    exec(code_of(DOCS / "recipes" / "own-csv.md", block), namespace)
    space = namespace["space"]
    point = space.parameters.complete(lambda parameter: parameter.word.quantile(0.6))
    text = plain_keras(space, point, seed=1, study_seed=1, name="Trial 0")
    assert "from sklearn.metrics import matthews_corrcoef" in text
    assert "def mcc(model, data):" in text and "print(mcc(model, data))" in text
    assert "normalization.adapt(x_train)" in text


def test_the_page_for_newcomers_runs_as_it_stands(folder):
    results = run_page(DOCS / "from-your-keras-script.md", folder)
    assert len(results) == 2
    assert all(result.counts["finished"] == 2 for result in results)
