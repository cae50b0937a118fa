"""A notebook kernel: the space is declared in a cell, searched in another; no source is read."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DECLARE = """
import numpy as np
import hpsearch
from hpsearch import Data, Fit, Space, choice, loguniform, uniform
from hpsearch.keras import Sequential, layers, optimizers

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
width = choice([2, 4], name="width")
space = Space(
    data=Data((x, y), validation=0.25),
    model=Sequential([layers.Dense(width, activation="relu"), layers.Dense(2, activation="softmax")]),
    optimizer=optimizers.Adam(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    maximize="val_accuracy",
)
width
"""
SEARCH = """
result = hpsearch.search(space, max_trials=2, seed=1)
print(result.counts["finished"], sorted(result.best.point), type(result.best.model()).__name__)
"""
BESIDE = """
@hpsearch.delayed
def model(units):
    import keras
    return keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(2, activation="softmax")])

import dataclasses
own = dataclasses.replace(space, model=model(width))
result = hpsearch.search(own, max_trials=3, seed=1, workers=2)
print(result.counts["finished"], sorted(result.best.point), type(result.best.model()).__name__)
"""
REFUSED = """
try:
    if width == 4:
        pass
except ValueError as error:
    print(str(error).splitlines()[0][:30])
"""


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*:DeprecationWarning")
def test_a_space_declared_in_a_cell_is_searched_in_another(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(code) for code in (DECLARE, SEARCH, BESIDE, REFUSED)
    ]
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    declared, searched, beside, refused = notebook.cells
    assert declared.outputs[-1]["data"]["text/plain"] == "choice([2, 4])"
    for cell, count in ((searched, 2), (beside, 3)):  # in the kernel, and in worker processes
        printed = [item["text"] for item in cell.outputs if item.get("name") == "stdout"]
        assert printed[-1].strip() == f"{count} ['optimizer.learning_rate', 'width'] Sequential"
    assert refused.outputs[-1]["text"].strip() == "A condition has no value yet: "[:30].strip()
