"""Bad inputs to the command line: all in this process, some as processes of their own.

All as processes of their own: python scripts/faults.py --only "bad inputs".
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from faults.inputs import CASES, Case, Ended, count, judged, mutations, prepared, ran

from hpsearch.cli import main
from hpsearch.cli.main import END, WIDTH, printable
from hpsearch.errors import PointError, SpaceError, StudyError
from hpsearch.space import glance
from hpsearch.study import options_from, read_points
from hpsearch.study.written import strict_json

INSIDE = {name: case for name, case in CASES.items() if case.inside and not case.powerless}
REAL = (
    "random bytes",
    "minus signs",
    "a pipe",
    "a file that must not be read",
    "bytes that are no text",
    "enqueue: a pipe",
    "enqueue: a key twice",
    "fix: a wrong label",
    "study name: a parent folder",
    "--start-method fork",
    "--workers 1 --gpus-per-trial 9",
    "a folder that must not be written",
    "best bad, studies there",
)


@pytest.mark.parametrize("name", INSIDE)
def test_a_bad_input_is_refused_with_one_clear_message(
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = INSIDE[name]
    prepared(case, folder)
    studies = sorted(folder.glob("mlruns/studies/*"))
    ended = _here(case, monkeypatch, capfd)
    assert judged(case, ended) == [], ended.err
    assert sorted(folder.glob("mlruns/studies/*")) == studies


def _here(case: Case, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ended:
    """Run a command line in this process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in case.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["hpsearch", *case.arguments])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ending:
        main()
    return Ended(int(ending.value.code or 0), *capfd.readouterr())


@pytest.mark.parametrize("name", REAL)
def test_a_refused_command_leaves_no_file_and_no_process(name: str, tmp_path: Path) -> None:
    ended, left = ran(CASES[name], tmp_path / "case")
    assert judged(CASES[name], ended) == [], ended.err
    assert left == []


def test_what_was_good_before_it_was_changed_at_random_is_refused_clearly(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, case in mutations(300, seed=11):
        prepared(case, folder)
        ended = _here(case, monkeypatch, capfd)
        assert judged(case, ended) == [], (name, case.arguments, ended.err)
    assert not list(folder.glob("mlruns/studies/*"))


@pytest.mark.slow
def test_every_bad_input_is_refused_clearly_by_a_process_of_its_own() -> None:
    found = count()
    assert found["tried"] == found["refused"] > 300


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(0, "", "Error: no\n"), "exit code 0, not 2"),
        (Ended(1, "", "Error: no\n"), "exit code 1 is none of ours"),
        (Ended(2, "", ""), "0 messages"),
        (Ended(2, "", "Error: no\nError: no\n"), "2 messages"),
        (Ended(2, "", "Error: no\n" + "  more\n" * 6), "7 lines"),
        (Ended(2, "", "Error: no" + "o" * 2000), "a line of 2009 characters"),
        (Ended(2, "", "Traceback (most recent call last):\nError: no\n"), "a traceback"),
        (Ended(2, "well", "Error: no\n"), "standard output 'well'"),
        (Ended(2, "", "Error: \x1b[2J no\n"), "a control character"),
        (Ended(2, "", "Error: yes\n"), "no word of 'no'"),
    ],
)
def test_what_is_not_clear_is_noticed(ended: Ended, fault: str) -> None:
    assert fault in judged(Case(("run",), "no"), ended)


def test_a_line_for_a_terminal_has_no_commands_to_it_and_keeps_both_ends() -> None:
    assert printable("a\x1b[31m\0\udcff\nü🦊") == "a\\x1b[31m\\x00\\udcff\\nü🦊"
    cut = printable("<" + "x" * 5000 + ">")
    assert len(cut) == WIDTH and cut.startswith("<x") and cut.endswith("x" * (END - 1) + ">")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice in an object"),
        ("[NaN]", "'NaN' is no number of JSON, which has finite ones only"),
        ("-Infinity", "'-Infinity' is no number of JSON"),
        ("1e999", "'1e999' is no number of JSON"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_json_is_read_strictly(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        strict_json(text)
    assert message in str(refused.value)


def test_what_is_json_is_read_as_python_reads_it() -> None:
    for text in ('{"a": [1, 2.5, null, true, "NaN", 1e-3]}', "0", '"1e999"'):
        assert strict_json(text) == json.loads(text)


def test_points_come_whole_and_a_line_each(tmp_path: Path) -> None:
    file = tmp_path / "points.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert read_points(str(file)) == [{"a": 1}, {"a": 2}]
    file.write_text('[{"a": 1},\n {"a": 3}]')
    assert read_points(str(file)) == [{"a": 1}, {"a": 3}]
    file.write_text('{"a": 1}\n{"a": NaN}\n')
    with pytest.raises(PointError, match="is not JSON: 'NaN' is no number"):
        read_points(str(file))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_trials": 10**5000}, "max_trials needs a whole number from 1, got a int too large"),
        ({"seed": 2**63}, "seed needs a whole number from 0, got 9223372036854775808"),
        ({"study": "../x"}, "A study's name has 1 to 100 characters"),
        ({"timeout": "9" * 400}, "A duration is seconds or 90s, 30m, 2h, 1d, got '999"),
        ({"trial_memory": "1" * 400 + "GB"}, "An amount of memory is 500MB, 2GB or 2GiB, got '111"),
    ],
)
def test_options_out_of_every_range_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError) as refused:
        options_from(given)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_file_is_glanced_at_without_being_run(folder: Path) -> None:
    Path("s.py").write_text("raise RuntimeError('it was run')")
    glance("s.py")
    glance("s.py:other")
    with pytest.raises(SpaceError, match=r"There is no file typo\.py"):
        glance("typo.py")


def test_numbers_and_lists_beyond_all_bounds_are_points_that_are_refused() -> None:
    from hpsearch import choice, integer, uniform
    from hpsearch.space import space_of

    parameters, *_ = space_of({"x": uniform(0, 1), "n": integer(1, 3), "c": choice([1, [2]])})
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for label, value in (("x", 10**400), ("n", 10**400), ("x", math.inf), ("c", 10**400)):
        with pytest.raises(PointError, match=f"^{label}: "):
            parameters.check_reachable({label: value})
    with pytest.raises(PointError, match="c: the value is nested more deeply than any option"):
        parameters.check_reachable({"c": deep})
    with pytest.raises(SpaceError, match="uniform needs a finite number for high"):
        uniform(0, 10**400)
