"""A whole search through worker processes: with Keras, from files and scripts, and what is retried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import uniform
from hpsearch.errors import SearchStopped, StudyError
from hpsearch.store import Store
from hpsearch.trial import Status, Trial

SPACE = """
import os, pathlib
import numpy as np
from hpsearch import Data, Fit, Space, choice, delayed, loguniform
from hpsearch.keras import Sequential, layers, optimizers

HERE = pathlib.Path(__file__).parent

@delayed
def data():
    with open(HERE / "loaded", "a") as file:
        file.write(f"{os.getpid()}\\n")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    return Data((x, (x.sum(axis=1) > 0).astype("int32")), validation=0.25, test=(x[:8], (x[:8, 0] > 0) * 1))

space = Space(
    data=data(),
    model=Sequential([layers.Dense(choice([2, 4]), activation="relu"), layers.Dense(2, activation="softmax")]),
    optimizer=optimizers.Adam(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=2, batch_size=16),
    maximize="val_accuracy",
)
"""


@pytest.fixture
def space(study_folder: Path) -> Path:
    path = study_folder / "small.py"
    path.write_text(SPACE)
    return path


def search(space: Any, *more: Any, **options: Any) -> Any:
    given = {"seed": 1, "algo": "qmc", "max_trials": 6, "progress": False} | options
    return hpsearch.search(space, *more, **given)


def attempts(study: str) -> list[Trial]:
    with Store.open(Path("mlruns/studies"), study, write=False) as store:
        return store.trials()


def test_workers_find_what_this_process_finds_and_load_the_data_once_each(space: Path) -> None:
    alone = search(str(space), study="alone")
    (space.parent / "loaded").unlink()
    beside = search(str(space), study="beside", workers=2)
    assert [t.point for t in beside.trials] == [t.point for t in alone.trials]
    assert [t.value for t in beside.trials] == pytest.approx([t.value for t in alone.trials])
    loaded = [int(line) for line in (space.parent / "loaded").read_text().split()]
    assert sorted(set(loaded)) == sorted(loaded), "a process loaded the data twice"
    assert len(set(loaded) - {os.getpid()}) == 3, "the look before the search, and two workers"
    assert beside.best.test == pytest.approx(alone.best.test)
    assert beside.best.model().count_params() > 0


def test_the_script_that_searches_is_not_run_again(study_folder: Path) -> None:
    script = study_folder / "mine.py"
    script.write_text(
        textwrap.dedent("""
        import hpsearch
        from hpsearch import uniform
        print("once")
        SHIFT = 0.25
        class Bowl:
            def __call__(self, values):
                return (values["x"] - SHIFT) ** 2
        found = hpsearch.search({"x": uniform(-1, 1)}, Bowl(), max_trials=6, seed=1, workers=2, progress=False)
        print(found.counts["finished"], min(t.value for t in found.trials) == found.best.value)
        """)
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120
    )
    assert ended.stdout.split("\n") == ["once", "6 True", ""], ended.stderr


def test_a_file_that_is_edited_meanwhile_is_searched_as_it_was(space: Path) -> None:
    class Editing:
        """Breaks the file once the first trial has ended."""

        def __getattr__(self, name: str) -> Any:
            return lambda *args: None

        def ended(self, trial: Trial) -> None:
            space.write_text("this is no longer Python")
            for folder in Path("mlruns").glob("studies/*/logs"):
                assert folder.is_dir()

    text = space.read_text()
    found = search(str(space), workers=1, max_trials=3, progress=Editing())
    assert found.counts["finished"] == 3
    (logged,) = Path("mlruns").glob(f"artifacts/**/{space.name}")
    assert logged.read_text() == text, "MLflow has what was searched"


def test_a_module_of_the_space_that_has_changed_is_refused(space: Path) -> None:
    (space.parent / "widths.py").write_text("import os\nWIDTHS = [2, 4 + os.getpid() % 1000]\n")
    space.write_text(SPACE.replace("choice([2, 4])", "choice(widths.WIDTHS)").replace(
        "import numpy", "import widths\nimport numpy"
    ))  # fmt: skip
    with pytest.raises(SearchStopped, match="has become another space since the search began"):
        search(str(space), workers=1)


def test_a_trial_whose_worker_was_lost_runs_again_and_counts_once(space: Path) -> None:
    text = SPACE.replace("def data():\n", "def data():\n    lose_the_first()\n").replace(
        "HERE = ", LOSE_THE_FIRST + "\nHERE = "
    )
    space.write_text(text)
    found = search(str(space), workers=1, max_trials=2, study="mine", check=False)
    assert found.counts == {"finished": 2, "failed": 0, "pruned": 0, "total": 2}
    assert [(t.number, t.attempt, t.status) for t in attempts("mine")] == [
        (0, 0, Status.LOST),
        (0, 1, Status.OK),
        (1, 0, Status.OK),
    ]


LOSE_THE_FIRST = """
def lose_the_first():
    marker = HERE / "lost"
    if not marker.exists():
        marker.write_text("")
        os._exit(5)
"""


def test_a_trial_that_is_lost_three_times_is_a_failure(space: Path) -> None:
    space.write_text(SPACE.replace("def data():\n", "def data():\n    os._exit(5)\n"))
    found = search(str(space), workers=1, max_trials=1, study="mine", check=False)
    assert found.counts == {"finished": 0, "failed": 1, "pruned": 0, "total": 1}
    assert [t.attempt for t in attempts("mine")] == [0, 1, 2]


def test_a_trial_past_its_time_is_a_failure_and_not_tried_again(study_folder: Path) -> None:
    def slow(values: Any) -> float:
        import time

        time.sleep(60 if values["x"] > 0 else 0)
        return float(values["x"])

    words = {"x": uniform(-1, 1)}
    found = search(words, slow, workers=2, max_trials=4, trial_timeout=0.5, study="mine")
    late = [t for t in found.trials if t.point["x"] > 0]
    assert late and all(t.status is Status.TIMEOUT for t in late)
    assert all(t.attempt == 0 for t in attempts("mine"))
    assert all(t.status is Status.OK for t in found.trials if t.point["x"] <= 0)


def test_running_trials_are_known_to_the_algorithm_as_pending(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpsearch import suggest

    asked: list[tuple[int, set[int], set[int]]] = []
    make = suggest.make

    def recording(*args: Any, **kwargs: Any) -> Any:
        algorithm = make(*args, **kwargs)

        def ask(history: Any, pending: Any, number: int, seed: int) -> Any:
            asked.append((number, {o.number for o in history}, {o.number for o in pending}))
            return algorithm(history, pending, number, seed)

        return ask

    monkeypatch.setattr(suggest, "make", recording)
    search({"x": uniform(-1, 1)}, _slowly, workers=2, max_trials=8, algo="tpe")
    assert [number for number, _, _ in asked] == list(range(8))
    assert all(history | pending == set(range(number)) for number, history, pending in asked)
    assert max(len(pending) for _, _, pending in asked) == 1, "two run side by side"


def _slowly(values: Any) -> float:
    import time

    time.sleep(0.2)
    return float(values["x"])


def test_limits_need_processes_of_their_own(study_folder: Path) -> None:
    for name, value in [("trial_timeout", 5), ("trial_memory", "2GB"), ("gpus_per_trial", 1)]:
        with pytest.raises(StudyError, match=f"{name} needs trials in processes of their own"):
            search({"x": uniform(0, 1)}, lambda v: 0.0, **{name: value})
    with pytest.raises(StudyError, match=r"trial_memory needs at least 100MB, .* got 5 bytes\."):
        search({"x": uniform(0, 1)}, lambda v: 0.0, workers=1, trial_memory=5)
    with pytest.raises(
        StudyError, match="An amount of memory is 500MB, 2GB or 2GiB, got '2 pounds'"
    ):
        search({"x": uniform(0, 1)}, lambda v: 0.0, workers=1, trial_memory="2 pounds")


def test_the_command_line_uses_workers_and_says_so(space: Path) -> None:
    command = [sys.executable, "-m", "hpsearch", "run", "small.py", "-n", "3", "--seed", "1"]
    outer = {name: value for name, value in os.environ.items() if name != "HPSEARCH_WORKERS"}
    ended = subprocess.run(
        [*command, "--workers", "2", "--trial-timeout", "5m", "--trial-memory", "4GB", "--json"],
        capture_output=True, text=True, timeout=200, env=outer,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["trials"]["finished"] == 3
    assert "2 workers of 1 thread" in ended.stderr
    study = next(Path("mlruns/studies").glob("small-*"))
    assert {t.status for t in attempts(study.name)} == {Status.OK}
    assert sorted(file.name for file in (study / "logs").iterdir()) == [
        "worker-0.log",
        "worker-1.log",
    ]
    refused = subprocess.run(
        [*command, "--workers", "0", "--trial-timeout", "5m"],
        capture_output=True,
        text=True,
        env=outer,
    )
    assert refused.returncode == 2
    assert "trial_timeout needs trials in processes of their own" in refused.stderr
    refused = subprocess.run(
        [*command, "--gpus-per-trial", "1"], capture_output=True, text=True, env=outer
    )
    assert refused.returncode == 2
    assert "--gpus-per-trial 1 needs as many GPUs, and there are 0" in refused.stderr


def test_ask_and_tell_have_no_workers(study_folder: Path) -> None:
    with pytest.raises(StudyError, match="are run by the caller, so they have no workers"):
        hpsearch.Study({"x": uniform(0, 1)}, workers=2)
