"""What is checked after a fault is noticed where it is broken, and the script says so."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.invariants import Broken, Program, check, marked
from faults.trials import waits_of

from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

ROOT = Path(__file__).parent.parent


def study(folder: Path, *ends: tuple[int, Status]) -> None:
    """A study whose attempts ended so; the attempts of a trial in their order."""
    counts: Counter[int] = Counter()
    with Store.create(folder / "mlruns" / "studies", "mine", {}) as store:
        for number, status in ends:
            attempt = counts[number]
            counts[number] += 1
            store.start(Trial(number, {"x": 1.0}, 1, 100.0, attempt))
            if status is not Status.RUNNING:
                store.end(Outcome(Key("mine", number, attempt), status), 101.0)


OK, LOST, CANCELLED = Status.OK, Status.LOST, Status.CANCELLED


@pytest.mark.parametrize(
    "ends",
    [
        [(0, OK), (1, Status.DIED)],
        [(0, LOST), (0, CANCELLED), (0, OK), (1, Status.FAILED)],
        [(0, LOST), (0, LOST), (0, LOST), (1, Status.REJECTED)],
    ],
)
def test_a_study_that_is_whole_holds(tmp_path: Path, ends: list[tuple[int, Status]]) -> None:
    study(tmp_path, *ends)
    check(tmp_path, 2, mlflow=False)


@pytest.mark.parametrize(
    ("ends", "kind"),
    [
        ([(0, OK), (0, OK), (1, OK)], "duplicated"),
        ([(0, Status.DIED), (0, OK), (1, OK)], "duplicated"),
        ([(0, Status.TIMEOUT), (0, Status.FAILED), (1, OK)], "duplicated"),
        ([(0, Status.REJECTED), (0, CANCELLED), (1, OK)], "duplicated"),
        ([(0, OK), (1, Status.RUNNING)], "stuck"),
        ([(0, OK)], "lost"),
        ([(0, OK), (1, CANCELLED)], "lost"),
        ([(0, OK), (1, OK), (2, OK)], "lost"),
    ],
)
def test_what_must_not_be_is_noticed(
    tmp_path: Path, ends: list[tuple[int, Status]], kind: str
) -> None:
    study(tmp_path, *ends)
    with pytest.raises(Broken) as broken:
        check(tmp_path, 2, mlflow=False)
    assert broken.value.kind == kind


def test_an_end_that_was_told_and_is_not_there_is_noticed(tmp_path: Path) -> None:
    study(tmp_path, (0, OK))
    (tmp_path / "witnessed-mine").write_text('[0, 0, "ok", 0.5]\n')
    with pytest.raises(Broken, match="lost: 0 was lost or changed"):
        check(tmp_path, 1, mlflow=False)


HANGS = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("word", flush=True)
time.sleep({seconds})
"""


def test_a_program_that_hangs_is_stuck_and_is_ended_with_all_it_started(tmp_path: Path) -> None:
    program = Program(tmp_path, "-c", HANGS.format(seconds=600), script=None)
    with pytest.raises(Broken, match=r"stuck: no end after 2 s:\nword"):
        program.wait(2)
    assert marked(program.mark) == []
    program = Program(tmp_path, "-c", HANGS.format(seconds=600), script=None)
    with pytest.raises(Broken, match="stuck: 0 of 1 trials ended"):
        program.until(1, seconds=0.5)
    assert marked(program.mark) == []


def test_what_outlives_its_driver_is_an_orphan_and_is_ended(tmp_path: Path) -> None:
    program = Program(tmp_path, "-c", HANGS.format(seconds=0), script=None)
    program.process.wait(30)
    with pytest.raises(Broken, match="orphans: 1 processes outlived their driver"):
        program.alone(seconds=0.2)
    assert marked(program.mark) == []
    program.wait()


def test_the_wait_between_trials_is_from_an_end_to_the_start_that_follows() -> None:
    times = [(0.0, 1.0), (0.0, 2.0), (1.25, 3.0), (2.5, 4.0)]
    trials = [Trial(n, {}, 1, began, ended=ended) for n, (began, ended) in enumerate(times)]
    assert waits_of(trials, 2) == [0.25, 0.5]


# The script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("faults_script", ROOT / "scripts" / "faults.py")
    assert spec and spec.loader
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(
    script: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the script with these faults and arguments: its exit code and last line."""

    def run(faults: dict[str, Callable[[Path], object]], *words: str) -> tuple[int, str]:
        monkeypatch.setattr(script, "_faults", lambda: faults)
        monkeypatch.setattr(sys, "argv", ["faults.py", *words])
        code = script.main()
        return code, capsys.readouterr().out.splitlines()[-1]

    return run


def hang(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2, check=True)


def lose(folder: Path) -> None:
    raise Broken("lost", "one of two")


def fail(folder: Path) -> None:
    raise AssertionError("no such word")


def test_a_load_that_was_not_held_is_a_fault_of_its_kind(
    script: types.ModuleType, run: Callable[..., tuple[int, str]]
) -> None:
    code, line = run({script.LOAD: lose}, "--only", "load")
    assert code == 1
    assert line.startswith("load held 0 trials / faults survived 0 of 1 / ")
    assert line.endswith("/ lost 1, duplicated 0, stuck 0, orphans 0")
    code, line = run({script.LOAD: lambda folder: "fast"}, "--only", "load")
    assert code == 0
    assert line.startswith("load held 2000 trials / faults survived 1 of 1 / ")


def test_every_kind_is_counted_and_a_hang_is_stuck(run: Callable[..., tuple[int, str]]) -> None:
    faults = {"fault 1": hang, "fault 2": lose, "fault 3": fail, "fault 4": lambda folder: None}
    code, line = run(faults, "--only", "fault ")
    assert code == 1
    assert "faults survived 1 of 4" in line
    assert line.endswith("/ lost 1, duplicated 0, stuck 1, orphans 0, broken 1")


def test_a_word_that_is_in_no_name_is_refused_with_the_names(
    run: Callable[..., tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        run({"disk full": lose}, "--only", "disc")
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert "no fault has 'disc' in its name. There are:\n  disk full\n  bad inputs\n" in said
