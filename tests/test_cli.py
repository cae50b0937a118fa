"""The command line, as its user meets it: output, exit codes, messages."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from hpsearch.cli import main
from hpsearch.cli.main import COMMANDS
from hpsearch.space import load
from hpsearch.store import Store
from hpsearch.study import DEFAULT_TRIALS
from hpsearch.trial import Status, Trial

TINY = """
'''Two classes of points, told apart by a line.'''
import numpy as np
from hpsearch import Data, Fit, Space, choice, loguniform, maybe, uniform
from hpsearch.keras import Sequential, layers, optimizers

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
print("a print of the user's own")
space = Space(
    data=Data((x, y), validation=0.25, test=(x[:16], y[:16])),
    model=Sequential([
        layers.Input((4,)),
        layers.Dense(choice([2, 4]), activation="relu"),
        maybe(layers.Dropout(uniform(0, 0.5))),
        layers.Dense(2, activation="softmax"),
    ]),
    optimizer=optimizers.Adam(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=2, batch_size=16),
    maximize="val_accuracy",
    baselines={"plain": {"units": 2, "dropout": False, "learning_rate": 0.01}},
)
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def hpsearch(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command line in this process, in a folder of its own that holds tiny.py."""
    (study_folder / "tiny.py").write_text(TINY)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hpsearch", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        return Ended(code, *capfd.readouterr())

    return run


@pytest.fixture
def studied(hpsearch: Callable[..., Ended]) -> Callable[..., Ended]:
    """The same, after a search of four trials."""
    ended = hpsearch("run", "tiny.py", "-n", "4", "--seed", "1", "--json")
    assert ended.code == 0, ended.err
    return hpsearch


def test_json_is_the_only_thing_on_standard_output(hpsearch: Callable[..., Ended]) -> None:
    ended = hpsearch("run", "tiny.py", "--max-trials", "3", "--seed", "1", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert list(found) == ["study", "direction", "best", "trials", "seconds"]
    assert list(found["best"]) == ["number", "value", "point", "run_id", "test"]
    assert found["study"] == "tiny-1"
    assert found["direction"] == "maximize"
    assert found["trials"] == {"finished": 3, "failed": 0, "pruned": 0, "total": 3}
    assert set(found["best"]["test"]) == {"accuracy", "loss"}
    assert "a print of the user's own" in ended.err
    assert "trial 0 (plain)" in ended.err


def test_a_run_ends_with_what_it_found_and_where_to_look(hpsearch: Callable[..., Ended]) -> None:
    ended = hpsearch("run", "tiny.py", "--max-trials", "2", "--seed", "1")
    told = r"(; baseline plain [\d.]+|, the baseline plain: nothing has beaten it yet)\."
    assert re.search(r"Found val_accuracy [\d.]+ in trial \d" + told, ended.out)
    assert "On the test data: accuracy" in ended.out
    assert "hpsearch ui" in ended.out
    assert "mlflow ui --backend-store-uri sqlite:///" in ended.out


def test_the_default_budget_is_said(
    hpsearch: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"[default: {DEFAULT_TRIALS} where no budget is given]" in " ".join(
        hpsearch("run", "--help").out.split()
    )
    monkeypatch.setattr("hpsearch.study.options.DEFAULT_TRIALS", 2)  # 50 trials take a minute
    ended = hpsearch("run", "tiny.py", "-n", "1")
    assert "No budget was given" not in ended.err
    ended = hpsearch("run", "tiny.py", "--seed", "1")
    assert "No budget was given: 2 trials. Others: --max-trials, --timeout." in ended.err
    assert "2 trials in" in ended.out


def test_the_algorithms_are_named_alike_everywhere(hpsearch: Callable[..., Ended]) -> None:
    from hpsearch.study import ALGORITHMS
    from hpsearch.suggest import NAMES

    assert set(ALGORITHMS) == set(NAMES)
    told = " ".join(hpsearch("run", "--help").out.split())
    assert f"{', '.join(ALGORITHMS[:-1])} or {ALGORITHMS[-1]}." in told


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "typo.py"], "There is no file typo.py"),
        (["run", "digits_mlp", "--study", "here"], "There is a study 'here' already."),
    ],
)
def test_what_keras_is_not_needed_for_is_found_before_it_is_imported(
    study_folder: Path, words: list[str], text: str
) -> None:
    Store.create(study_folder / "mlruns" / "studies", "here", {}).close()
    code = (
        f"import sys; sys.argv = ['hpsearch', *{words}]\n"
        "from hpsearch.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('keras' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "False"
    assert text in ended.stderr


def test_a_backend_that_is_not_there_is_one_message(study_folder: Path) -> None:
    command = [sys.executable, "-m", "hpsearch", "run", "digits_mlp", "-n", "1"]
    environment = {**os.environ, "KERAS_BACKEND": "nope"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 2
    assert "Models are Keras's, and it cannot be imported: Unable to import" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(study_folder.glob("mlruns/studies/*"))


def test_the_commands_that_are_named_find_the_studies_of_another_folder(
    hpsearch: Callable[..., Ended], study_folder: Path
) -> None:
    shutil.copytree(study_folder / "mlruns", study_folder / "my runs")
    (study_folder / "tiny.py").write_text(TINY.replace("epochs=2", "epochs=1"))
    ended = hpsearch("run", "tiny.py", "-n", "1", "--folder", "my runs", "--offline")
    assert ended.code == 0, ended.err
    assert "MLflow" not in ended.out
    named = re.findall(r"hpsearch (.*)", ended.out + ended.err)
    assert [line.split()[0] for line in named] == ["best", "show", "sync"]
    for line in named[:2]:
        again = hpsearch(*shlex.split(line))
        assert again.code == 0, again.err
    (name,) = (each.name for each in (study_folder / "my runs" / "studies").glob("tiny-*"))
    more = hpsearch("resume", name, "--folder", "my runs", "-n", "2")
    assert more.code == 0 and "as --offline asks" in more.err, more.err
    online = hpsearch("resume", name, "--folder", "my runs", "-n", "3", "--online")
    assert online.code == 0 and "as --offline asks" not in online.err, online.err
    assert "not delivered" not in hpsearch("show", name, "0", "--folder", "my runs").out


def test_a_damaged_study_does_not_hide_the_others(
    studied: Callable[..., Ended], study_folder: Path
) -> None:
    broken = study_folder / "mlruns" / "studies" / "broken"
    broken.mkdir()
    (broken / "study.db").write_bytes(b"not a database at all" * 500)
    ended = studied("list")
    assert ended.code == 0
    assert "tiny-1" in ended.out
    assert "broken:" in ended.err


def test_the_cause_of_a_stop_can_be_mended_and_the_study_resumed(
    hpsearch: Callable[..., Ended], study_folder: Path
) -> None:
    (study_folder / "tiny.py").write_text(
        re.sub(r"    baselines=.*\n", "", TINY)
        .replace("epochs=2", "epochs=1, prepare=broken")
        .replace("space =", "def broken(model):\n    raise RuntimeError('no disk')\n\nspace =")
    )
    stopped = hpsearch("run", "tiny.py", "-n", "9", "--max-consecutive-failures", "2", "--json")
    assert stopped.code == 3
    assert "The last 2 trials failed, the latest with: tiny.py:" in stopped.err
    text = (study_folder / "tiny.py").read_text()
    (study_folder / "tiny.py").write_text(text.replace("raise RuntimeError('no disk')", "pass"))
    again = hpsearch("resume", "-n", "5", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["trials"] == {"finished": 3, "failed": 2, "pruned": 0, "total": 5}


def test_resume_goes_on_with_the_latest_study(studied: Callable[..., Ended]) -> None:
    ended = studied("resume", "--max-trials", "6", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["trials"]["total"] == 6
    again = studied("resume", "tiny-1", "--json")
    assert json.loads(again.out)["best"] == json.loads(ended.out)["best"]


def test_a_search_starts_from_an_earlier_one_and_says_so(
    studied: Callable[..., Ended], study_folder: Path
) -> None:
    start = ("run", "tiny.py", "--warm-start", "tiny-1", "--no-baselines")
    ended = studied(*start, "-n", "3", "--study", "second", "--json")
    assert ended.code == 0, ended.err
    assert "Starting from 4 finished trials of tiny-1: 4 labels in common." in ended.err
    assert "did well in tiny-1" in studied("show", "second", "0").out
    with Store.open(study_folder / "mlruns" / "studies", "tiny-1", write=False) as store:
        (best,) = store.best("maximize")
    assert json.loads(studied("show", "second", "0", "--json").out)["point"] == pytest.approx(
        best.point
    )
    refused = studied(*start, "--algo", "grid")
    assert refused.code == 2 and "grid cannot start from an earlier study" in refused.err


def test_resume_keeps_the_number_of_workers(
    hpsearch: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another number the search would propose other points."""
    monkeypatch.delenv("HPSEARCH_WORKERS")
    first = hpsearch("run", "tiny.py", "-n", "1", "--workers", "1", "--study", "mine")
    assert "1 worker of" in first.err
    for again in (
        ("resume", "mine", "-n", "2"),
        ("run", "tiny.py", "--study", "mine", "--resume", "-n", "3"),
    ):
        assert "1 worker of" in hpsearch(*again).err
    inside = hpsearch("resume", "mine", "-n", "4", "--workers", "0")
    assert inside.code == 0 and "worker" not in inside.err


def test_a_space_file_that_has_moved_is_found_from_then_on(
    studied: Callable[..., Ended], study_folder: Path
) -> None:
    (study_folder / "new").mkdir()
    (study_folder / "tiny.py").rename(study_folder / "new" / "tiny.py")
    moved = studied("run", "new/tiny.py", "--study", "tiny-1", "--resume", "-n", "5")
    assert moved.code == 0, moved.err
    again = studied("resume", "tiny-1", "-n", "6", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["trials"]["total"] == 6


def test_an_existing_name_is_refused_without_resume(studied: Callable[..., Ended]) -> None:
    ended = studied("run", "tiny.py", "--study", "tiny-1")
    assert ended.code == 2
    assert "There is a study 'tiny-1' already" in ended.err
    assert studied("run", "tiny.py", "--study", "tiny-1", "--resume", "-n", "4").code == 0


def test_a_resumed_study_whose_space_changed_is_refused(
    studied: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "tiny.py").write_text(TINY.replace("choice([2, 4])", "choice([2, 4, 8])"))
    ended = studied("resume", "--max-trials", "6")
    assert ended.code == 2
    assert "changed: model.dense.units" in ended.err


def test_a_changed_file_with_the_same_space_is_a_warning(
    studied: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "tiny.py").write_text(TINY + "\n# a comment\n")
    ended = studied("resume", "--max-trials", "5")
    assert ended.code == 0, ended.err
    assert "Warning: the space file has changed, but not its parameters" in ended.err


def test_list_shows_each_study_with_its_best(studied: Callable[..., Ended]) -> None:
    ended = studied("list")
    assert "tiny-1" in ended.out and "maximize val_accuracy" in ended.out
    rows = json.loads(studied("list", "--json").out)
    assert rows[0]["study"] == "tiny-1" and rows[0]["trials"] == 4
    assert rows[0]["state"] == "finished" and "finished" in ended.out


def test_a_study_whose_driver_was_killed_is_told_from_one_that_runs(
    studied: Callable[..., Ended],
) -> None:
    """Neither has ended; the trial that the one that was killed left behind runs no more."""
    root = Path("mlruns/studies")
    with Store.open(root, "tiny-1", write=True) as driver:
        driver.start(Trial(4, driver.trial(0).point, 1, time.time()))
        driver.update(state="running")
        assert json.loads(studied("list", "--json").out)[0]["state"] == "running"
        assert re.search(r"^ *4 +none +running", studied("show").out, re.MULTILINE)
    (row,) = json.loads(studied("list", "--json").out)
    assert (row["state"], row["trials"]) == ("killed", 4)
    shown = studied("show").out
    assert ", killed, 4 of 4 trials\n" in shown
    assert "Go on with tiny-1: hpsearch resume tiny-1\n" in shown
    assert "Go on with tiny-1: hpsearch resume tiny-1\n" in studied("list").out
    assert not re.search(r"^ *4 +none +cancelled +0.0", shown, re.MULTILINE)
    with Store.open(root, "tiny-1", write=True) as driver:
        driver.update(source=None, fast_from=3, fix={"a": 1, "b": "x"})
    for command in ("show", "list"):
        said = "Go on with tiny-1: run its script with study='tiny-1', resume=True\n"
        assert said in studied(command).out
    assert "\nFixed: a=1, b=x\n" in studied("show").out
    assert "\nSuggestions are fast from trial 3 on: trials were short.\n" in studied("show").out
    assert re.search(r"^ *4 +none +cancelled", studied("show").out, re.MULTILINE)
    assert "cancelled" in studied("show", "tiny-1", "4").out
    with Store.open(root, "tiny-1", write=False) as store:
        assert store.trial(4).status is Status.RUNNING, "reading changes nothing"


def test_limits_are_announced_kept_and_taken_off(
    hpsearch: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ("--trial-timeout", "2m", "--trial-memory", "3GB", "--no-check", "-w", "1")
    begun = hpsearch("run", "tiny.py", "-n", "1", "--timeout", "1h", "--study", "s", *limits)
    assert begun.code == 0, begun.err
    assert ", each trial at most 2 min 00 s and 3 GB.\n" in begun.err
    monkeypatch.delenv("HPSEARCH_WORKERS")
    again = hpsearch("resume", "s", "-n", "2", "--trial-memory", "none", "--timeout", "none")
    assert again.code == 0, again.err
    assert ", each trial at most 2 min 00 s.\n" in again.err
    assert "2 trials, 1 of them now, in " in again.out
    with Store.open(Path("mlruns/studies"), "s", write=False) as store:
        assert store.settings["trial_memory"] is None
        assert store.settings["budget"]["timeout"] is None
        workers = [trial.outcome.facts["worker"] for trial in store.trials()]
    assert workers == [0, 0]
    log = Path("mlruns/studies/s/logs/worker-0.log")
    assert f"printed in  {log}" in hpsearch("show", "s", "1").out
    heads = re.findall(r"^--- (.*) ---$", log.read_text(), re.MULTILINE)
    assert heads[:3] == ["trial 0", "trial 0, test", "trial 1"]


def test_resume_says_that_what_is_not_given_is_as_recorded(
    hpsearch: Callable[..., Ended],
) -> None:
    defaults = re.findall(r"\[default:\s+([^\]]*)\]", hpsearch("resume", "--help").out)
    assert {" ".join(text.split()) for text in defaults} == {"as recorded", "mlruns", "as before"}
    assert "[default: auto]" in hpsearch("run", "--help").out


def test_a_space_file_that_was_moved_is_said_to_be_and_the_way_on_works(
    studied: Callable[..., Ended],
) -> None:
    Path("tiny.py").rename("moved.py")
    ended = studied("resume", "-n", "5")
    assert ended.code == 2
    way = "hpsearch run FILE --study tiny-1 --resume"
    assert "tiny.py, which is not there any more. If it was moved" in ended.err
    assert way in ended.err
    words = way.replace("FILE", "moved.py").split()[1:]
    ended = studied(*words, "-n", "5", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["trials"]["total"] == 5


def test_a_folder_that_may_only_be_read_is_read_and_not_searched_in(
    studied: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, so what the system is asked is answered for it.
    monkeypatch.setattr(os, "access", lambda path, mode, **more: mode != os.W_OK)
    ended = studied("run", "tiny.py")
    assert ended.code == 2
    assert "mlruns cannot be written. Change its permissions, or give another" in ended.err
    assert "tiny-1" in studied("list").out


def test_show_tells_a_study_and_a_trial(studied: Callable[..., Ended]) -> None:
    ended = studied("show")
    assert "Study tiny-1: maximize val_accuracy" in ended.out
    assert "plain:" in ended.out
    ended = studied("show", "tiny-1", "0")
    assert "Trial 0 of tiny-1: ok" in ended.out
    assert "baseline plain" in ended.out
    assert "val_loss" in ended.out
    assert studied("show", "0").out == ended.out
    assert json.loads(studied("show", "tiny-1", "0", "--json").out)["number"] == 0
    missing = studied("show", "tiny-1", "9")
    assert missing.code == 2 and "has no trial 9; its last is 3" in missing.err


def test_best_prints_saves_and_is_json(studied: Callable[..., Ended], tmp_path: Path) -> None:
    ended = studied("best")
    assert "tiny-1: val_accuracy" in ended.out
    assert json.loads(studied("best", "--json").out)["study"] == "tiny-1"
    ended = studied("best", "--save", "winner.keras")
    assert ended.code == 0, ended.err
    import keras

    model = keras.saving.load_model(tmp_path / "winner.keras")
    assert model.input_shape == (None, 4)
    refused = studied("best", "--save", "winner.h5")
    assert refused.code == 2 and "Keras saves models as .keras files" in refused.err


def test_the_code_of_the_best_is_plain_keras(studied: Callable[..., Ended]) -> None:
    ended = studied("best", "--code")
    assert ended.code == 0, ended.err
    compile(ended.out, "winner.py", "exec")
    assert "import keras" in ended.out
    assert not re.search(r"^(import|from) hpsearch", ended.out, re.M)


def test_export_writes_every_trial(studied: Callable[..., Ended], tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(studied("export").out)))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[0]["model.dense.units"] == "2"
    assert studied("export", "-o", "trials.json").code == 0
    assert len(json.loads((tmp_path / "trials.json").read_text())["trials"]) == 4
    refused = studied("export", "-o", "trials.xlsx")
    assert refused.code == 2 and "export writes .csv or .json files" in refused.err


def test_the_champion_predicts_and_scores(studied: Callable[..., Ended], tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    np.save("x.npy", x[:5])
    np.savez("xy.npz", x=x[:16], y=y[:16])
    ended = studied("predict", "tiny.py", "x.npy")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert np.allclose(np.sum(rows, axis=1), 1, atol=1e-5) and len(rows) == 5
    scored = json.loads(studied("predict", "tiny.py", "xy.npz").out)
    test = json.loads(studied("best", "--json").out)["test"]
    assert scored["accuracy"] == pytest.approx(test["accuracy"], abs=1e-6)
    assert studied("predict", "tiny.py", "x.npy", "-o", "p.npy").code == 0
    assert np.load("p.npy").shape == (5, 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: None, "There is no file in.npy"),
        (lambda: Path("in.npy").write_text("no"), "in.npy is not a .npy or .npz file of numbers"),
        (
            lambda: np.save("in.npy", np.array([{}], dtype=object), allow_pickle=True),
            "is not a .npy",
        ),
        (
            lambda: np.save("in.npy", np.zeros((2, 9), "float32")),
            "The model does not take these inputs",
        ),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    studied: Callable[..., Ended], make: Callable[[], Any], text: str
) -> None:
    make()
    ended = studied("predict", "tiny.py", "in.npy")
    assert ended.code == 2
    assert text in ended.err


def test_a_space_without_a_champion_is_refused(hpsearch: Callable[..., Ended]) -> None:
    np.save("x.npy", np.zeros((2, 4), "float32"))
    ended = hpsearch("predict", "tiny.py", "x.npy")
    assert ended.code == 2
    assert "champion" in ended.err
    Path("mlruns/mlflow.db").unlink()
    again = hpsearch("predict", "tiny.py", "x.npy")
    assert (again.code, again.err) == (2, ended.err)
    assert not Path("mlruns/mlflow.db").exists(), "to read a record is to make none"


def test_check_shows_labels_weights_and_metrics(hpsearch: Callable[..., Ended]) -> None:
    ended = hpsearch("check", "tiny.py")
    assert ended.code == 0, ended.err
    assert "model.dense.units" in ended.out
    assert "if model.dropout = True" in ended.out
    assert "16 to 30 weights" in ended.out
    found = json.loads(hpsearch("check", "tiny.py", "--json").out)
    assert found["params"] == [16, 30] and "val_accuracy" in found["metrics"]
    assert not list(Path("mlruns").glob("studies/*"))


def test_check_finds_the_option_that_cannot_be_built(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    text = TINY.replace("choice([2, 4])", "choice([2, -4])").replace('"units": 2', '"units": 2')
    (tmp_path / "tiny.py").write_text(text)
    ended = hpsearch("check", "tiny.py")
    assert ended.code == 2
    assert "model.dense: layers.Dense(" in ended.err
    assert "units" in ended.err


def test_check_names_a_branch_that_is_never_reached(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    text = (
        TINY.replace(
            "maybe(layers.Dropout(uniform(0, 0.5)))",
            "when((width == 2) & (width == 4), layers.Dropout(uniform(0, 0.5)))",
        )
        .replace("choice([2, 4]),", "width,")
        .replace("space =", "width = choice([2, 4], name='w')\nspace =")
    )
    text = re.sub(r"    baselines=.*\n", "", text).replace("maybe,", "when,")
    (tmp_path / "tiny.py").write_text(text)
    ended = hpsearch("check", "tiny.py")
    assert ended.code == 0, ended.err
    assert "Never active: model.dropout.rate" in ended.out


def test_new_writes_a_space_that_runs(hpsearch: Callable[..., Ended]) -> None:
    assert hpsearch("new", "mine.py").code == 0
    assert hpsearch("check", "mine.py").code == 0
    ended = hpsearch("run", "mine.py", "-n", "1", "--json")
    assert json.loads(ended.out)["trials"]["finished"] == 1
    again = hpsearch("new", "mine.py")
    assert again.code == 2 and "mine.py is there already" in again.err
    assert "A space is a Python file" in hpsearch("new", "mine.txt").err
    assert "cannot be written" in hpsearch("new", "no/such/mine.py").err


def test_new_copies_a_ready_space(hpsearch: Callable[..., Ended], tmp_path: Path) -> None:
    made = hpsearch("new", "long.py", "--from", "digits_mlp:long")
    assert made.code == 0 and "hpsearch check long.py:long, then" in made.out
    typo = hpsearch("new", "other.py", "--from", "digits_mlp:lang")
    assert typo.code == 2 and "no ready space 'digits_mlp:lang'. Did you mean" in typo.err
    assert hpsearch("new", "mine.py", "--from", "moons").code == 0
    ready = Path(__file__).parent.parent / "spaces" / "moons.py"
    assert (tmp_path / "mine.py").read_text() == ready.read_text()
    unknown = hpsearch("new", "other.py", "--from", "moon")
    assert unknown.code == 2 and "no ready space 'moon'. Did you mean 'moons'?" in unknown.err
    assert not (tmp_path / "other.py").exists()


def test_a_trial_is_shown_with_what_evaluate_gave_and_not_every_epoch(
    hpsearch: Callable[..., Ended],
) -> None:
    fix = ["--fix", "epochs=30", "--fix", "adam.learning_rate=0.05", "--fix", "optimizer=adam"]
    ended = hpsearch("run", "xor", "-n", "1", "--seed", "1", "--no-baselines", *fix)
    assert re.search(r"\n1 trial in .*: 1 finished", ended.out), ended.err
    shown = hpsearch("show", "xor-1", "0").out
    assert re.search(r"evaluate: squared_error [\d.e-]+, right [0-4]", shown)
    assert "… 10 more" in shown and len(shown.splitlines()) < 45
    assert re.search(r"^ *30 ", shown, re.MULTILINE), shown  # epochs count from 1, as in Keras
    assert not re.search(r"^ *0 ", shown, re.MULTILINE), shown
    assert re.search(r"kept epoch +([1-9]|[12]\d|30)\n", shown), shown


def test_a_baseline_that_nothing_has_beaten_is_said_to_be_the_best(
    hpsearch: Callable[..., Ended],
) -> None:
    ended = hpsearch("run", "tiny.py", "-n", "1", "--seed", "1")
    assert re.search(r"in trial 0, the baseline plain: nothing has beaten it yet\.", ended.out), (
        ended.out
    )


def test_spaces_lists_the_ready_ones(hpsearch: Callable[..., Ended]) -> None:
    ended = hpsearch("spaces")
    assert "digits_mlp" in ended.out and "mnist_mlp" in ended.out
    others = re.findall(r"^(\w+:\w+) +\S", ended.out, re.MULTILINE)
    assert others == ["digits_mlp:long", "gaussian_precision:wide", "gaussian_precision:narrow"]
    assert all(load(other).space for other in others)


def test_conditions_on_a_named_word_show_its_name(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    text = TINY.replace("maybe(", "when(choice(['three', 'four'], name='how_many') == 'four', ")
    text = re.sub(r"    baselines=.*\n", "", text).replace("maybe,", "when,")
    (tmp_path / "tiny.py").write_text(text)
    ended = hpsearch("check", "tiny.py")
    assert "if (how_many == 'four')" in ended.out, ended.err


def test_no_trial_that_succeeds_is_exit_code_3(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    text = TINY.replace("loguniform(1e-3, 1e-1)", "1e30")
    text = re.sub(r"    baselines=.*\n", "", text)
    (tmp_path / "tiny.py").write_text(text)
    ended = hpsearch("run", "tiny.py", "-n", "2", "--json")
    assert ended.code == 3, ended.err
    found = json.loads(ended.out)
    assert found["best"] is None
    assert found["trials"] == {"finished": 0, "failed": 2, "pruned": 0, "total": 2}
    assert "the training loss became nan" in ended.err or "is nan" in ended.err
    shown = hpsearch("best")
    assert shown.code == 3 and "No trial of tiny-1 has succeeded" in shown.err


BAD_FILES = {
    "missing.py": (None, "There is no file missing.py"),
    "empty.py": ("", "empty.py is empty"),
    "broken.py": ("x = (", "broken.py:1: not Python:"),
    "nospace.py": ("x = 1", "nospace.py has no variable `space`"),
    "wrong.py": ("space = 3", "wrong.py: `space` must be a Space, got int"),
    "raising.py": ("x = 1\nraise RuntimeError('no luck')", "raising.py:2: RuntimeError: no luck"),
    "exits.py": ("import sys\nsys.exit(7)", "exits.py:2: SystemExit: 7"),
    "bounds.py": (
        "from hpsearch import uniform\nuniform(1, 0)",
        "bounds.py:2: uniform needs low < high, got low=1, high=0",
    ),
    "logs.py": (
        "from hpsearch import loguniform\nloguniform(-9, -4)",
        "Give the bounds themselves, not their logarithms",
    ),
    "metric.py": (
        TINY.replace('maximize="val_accuracy"', 'maximize="val_acuracy"'),
        "val_acuracy",
    ),
    "direction.py": (
        TINY.replace('maximize="val_accuracy"', 'minimize="val_accuracy"'),
        "looks for the worst model",
    ),
    "unvalidated.py": (
        TINY.replace("validation=0.25, ", ""),
        "There is no validation part",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_message_and_no_study(
    hpsearch: Callable[..., Ended], tmp_path: Path, name: str
) -> None:
    text, message = BAD_FILES[name]
    if text is not None:
        (tmp_path / name).write_text(text)
    ended = hpsearch("run", name, "-n", "1")
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    told = ended.err[ended.err.index("Error:") :]
    assert len(told.strip().splitlines()) <= 6
    assert not list(tmp_path.glob("mlruns/studies/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "tiny.py", "--max-evals", "5"], "--max-evals is --max-trials here"),
        (["run", "tiny.py", "--n-trials", "5"], "--n-trials is --max-trials here"),
        (["run", "tiny.py", "--timeout", "soon"], "A duration is seconds or 90s, 30m, 2h, 1d"),
        (["run", "tiny.py", "--algo", "tpa"], "There is no algorithm 'tpa'. Did you mean 'tpe'"),
        (["run", "tiny.py", "--fix", "unit=2"], "The space has no label 'unit'"),
        (["run", "tiny.py", "--fix", "units"], "write label=value, got 'units'"),
        (["run", "tiny.py", "--fix", "units=3"], "model.dense.units: 3 is no option"),
        (["run", "tiny.py", "--enqueue", "{broken"], "is not JSON"),
        (["run", "tiny.py", "--enqueue", '{"unit": 2}'], "The space has no label 'unit'"),
        (["run", "tiny.py", "--study", "a/b"], "a/b"),
        (["run", "tiny.py", "--study", ".."], ".."),
        (["run", "tiny.py", "--study", "x" * 300], "100"),
        (["run", "tiny.py", "-n", "0"], "max_trials needs a whole number from 1, got 0"),
        (["run", "tiny.py", "-n", "many"], "many"),
        (["run"], "Missing argument 'SPACE'"),
        (["rnu", "tiny.py"], "There is no command 'rnu'. Did you mean 'run'"),
        (["resume"], "There is no study in "),
        (["show", "nothing"], "There is no study in "),
        (["ui", "--host", "0.0.0.0"], "listens on this machine only"),
    ],
)
def test_bad_options_are_exit_code_2_with_one_message(
    hpsearch: Callable[..., Ended], tmp_path: Path, arguments: list[str], message: str
) -> None:
    ended = hpsearch(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not list(tmp_path.glob("mlruns/studies/*"))


def test_a_tracking_server_that_does_not_answer_is_found_before_the_search(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = hpsearch("run", "tiny.py", "-n", "1", "--tracking-uri", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "127.0.0.1:9" in ended.err
    assert not list(tmp_path.glob("mlruns/studies/*"))


def test_an_mlruns_folder_in_the_old_format_names_the_way_out(
    hpsearch: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    ended = hpsearch("run", "tiny.py", "-n", "1")
    assert ended.code == 2
    assert "migrate-filestore" in ended.err


def test_debug_shows_the_traceback(hpsearch: Callable[..., Ended]) -> None:
    assert "Traceback" in hpsearch("run", "missing.py", "--debug").err


def test_every_command_has_an_example_in_its_help(hpsearch: Callable[..., Ended]) -> None:
    for command in COMMANDS:
        ended = hpsearch(command, "--help")
        assert ended.code == 0
        assert "Example" in ended.out and f"hpsearch {command}" in ended.out


def test_help_loads_none_of_the_heavy_libraries() -> None:
    heavy = {"tensorflow", "keras", "mlflow", "hyperopt", "pandas", "scipy", "numpy"}
    for arguments in (["--help"], ["run", "--help"]):
        code = (
            f"import sys; sys.argv = ['hpsearch', *{arguments!r}]\n"
            "from hpsearch.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            f"print(sorted(set(sys.modules) & {heavy!r}), file=sys.stderr)"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ended.stderr.strip() == "[]"


def test_the_installed_command_runs_and_its_signals_end_in_130(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY.replace("epochs=2", "epochs=2000"))
    command = [sys.executable, "-m", "hpsearch", "run", "tiny.py", "--no-check", "--study", "s"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("Study s"):
                break
        time.sleep(3)
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
        assert running.wait(60) == 130
    assert "Go on with: hpsearch resume s" in told
    with Store.open(tmp_path / "mlruns" / "studies", "s", write=False) as store:
        assert [trial.status.value for trial in store.trials()] == ["cancelled"]


def test_ui_serves_the_study_on_this_machine_only(
    studied: Callable[..., Ended], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hpsearch", "ui", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert f"http://127.0.0.1:{port}/#/experiments/" in line
            assert "viewStateShareKey=" in line
            assert answers(f"http://127.0.0.1:{port}/health")
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            running.stdout.read()
            running.wait(30)


def answers(url: str) -> bool:
    """Whether a server answers within a minute and a half."""
    for _ in range(180):
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.5)
    return False
