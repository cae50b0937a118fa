"""Loading a champion whose study is elsewhere: its file may come from anyone's store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.errors import DataError, StudyError
from hpsearch.predict import Winner, load_safely, read_inputs

keras = pytest.importorskip("keras")

X = np.ones((3, 4), "float32")


def saved(folder: Path, *layers: Any) -> Path:
    keras.Sequential([keras.Input((4,)), *layers]).save(folder / "model.keras")
    return folder / "model.keras"


def test_a_plain_model_is_loaded_uncompiled_from_its_file(tmp_path: Path) -> None:
    file = saved(tmp_path, keras.layers.Dense(2))
    model = load_safely(file)
    assert not model.compiled
    np.testing.assert_array_equal(model(X), keras.saving.load_model(file)(X))


def test_a_model_with_code_in_its_file_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, keras.layers.Lambda(lambda x: x + 1))
    with pytest.raises(StudyError, match=r"(?s)safe mode, and that failed: .*--folder with its st"):
        load_safely(file)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_text("no")
    for name in ("model.keras", "other.keras"):
        with pytest.raises(StudyError, match=r"loaded from its file.*that failed: "):
            load_safely(tmp_path / name)


UNSAFE = """
import sys
from pathlib import Path
import keras
from hpsearch.errors import SpaceError
from hpsearch.predict import load_safely
keras.config.enable_unsafe_deserialization()
try:
    load_safely(Path(sys.argv[1]))
except SpaceError as error:
    print(error)
"""


def test_a_space_file_cannot_turn_the_safe_mode_off(tmp_path: Path) -> None:
    file = saved(tmp_path, keras.layers.Lambda(lambda x: print("code of the file") or x))
    command = [sys.executable, "-W", "ignore", "-c", UNSAFE, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Take keras.config.enable_unsafe_deserialization() out of the space file" in done.stdout
    assert "code of the file" not in done.stdout


TWO_INPUTS = """
import numpy as np
from hpsearch import Data, Fit, Space, choice
from hpsearch.keras import Input, Model, layers

a = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
b = a[:, :2] * 2
left, right = Input((3,), name="left"), Input((2,), name="right")
out = layers.Dense(1)(layers.Concatenate()([layers.Dense(choice([2, 4]))(left), right]))
space = Space(
    data=Data(([a, b], a.sum(axis=1)), validation=0.25),
    model=Model([left, right], out),
    loss="mse",
    minimize="val_loss",
)
"""


def test_inputs_that_the_model_takes_as_a_list_are_given_by_name_or_in_order(
    study_folder: Path,
) -> None:
    (study_folder / "two.py").write_text(TWO_INPUTS)
    hpsearch.search("two.py", max_trials=1, seed=1, progress=False)
    winner = Winner("two.py", study_folder / "mlruns", None, study_folder)
    a, b, y = np.ones((5, 3), "float32"), np.ones((5, 2), "float32"), np.ones(5, "float32")
    np.savez("named.npz", right=b, left=a)
    np.savez("ordered.npz", first=a, second=b, y=y)
    expected = winner.model.predict([a, b], verbose=0)
    for name in ("named.npz", "ordered.npz"):
        x, _ = read_inputs(Path(name))
        np.testing.assert_allclose(winner.predict(x), expected)
    assert set(winner.score(*read_inputs(Path("ordered.npz")))) == {"loss"}
    with pytest.raises(
        DataError, match="The file has the arrays a, and the model takes left, right"
    ):
        winner.predict({"a": a})
