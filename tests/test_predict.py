"""Loading a champion whose study is elsewhere: its file may come from anyone's store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import StudyError
from hpsearch.predict import load_safely

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
