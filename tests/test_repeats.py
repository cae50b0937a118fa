"""Points that were tried several times: their means, and what `hpsearch show` says of them."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any

import pytest

import hpsearch
from hpsearch import choice, integer, uniform
from hpsearch.cli import main
from hpsearch.report import repeats_of
from hpsearch.trial import Key, Outcome, Status, Trial


def trial(number: int, point: dict[str, Any], value: float | None) -> Trial:
    status = Status.FAILED if value is None else Status.OK
    outcome = Outcome(Key("study", number), status, value=value)
    return Trial(number, point, 0, 0.0, outcome=outcome)


def test_points_with_two_values_are_told_by_their_means_the_best_first() -> None:
    one, two, three = {"a": 1, "b": "x"}, {"a": 2}, {"a": 3}
    trials = [
        trial(0, one, 1.0),
        trial(1, two, 0.5),
        trial(2, {"b": "x", "a": 1}, 3.0),  # the order of labels says nothing
        trial(3, three, 0.0),
        trial(4, two, 0.5),
        trial(5, two, None),  # a failure has no value
        trial(6, three, None),
    ]
    found = repeats_of(trials, maximize=False)
    assert [(each.point, each.numbers, each.mean) for each in found] == [
        (two, (1, 4), 0.5),
        (one, (0, 2), 2.0),
    ]
    assert [each.error for each in found] == [0.0, 1.0]
    assert [each.point for each in repeats_of(trials, maximize=True)] == [one, two]


@pytest.fixture
def shown(
    study_folder: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """The lines of `hpsearch show`, or of another command."""

    def lines(command: str = "show") -> list[str]:
        monkeypatch.setattr(sys, "argv", ["hpsearch", command])
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main()
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


def test_show_lists_what_was_tried_more_than_once(shown: Callable[..., list[str]]) -> None:
    values = iter([0.4, 0.6, 0.1, 0.5, 0.3])
    points = [{"n": 1, "k": "a"}, {"n": 2, "k": "b"}]
    words = {"n": integer(1, 3), "k": choice(["a", "b"])}
    hpsearch.search(
        words,
        lambda _: next(values),
        enqueue=[points[i] for i in (0, 1, 1, 0, 1)],
        max_trials=5,
        study="noisy",
        progress=False,
        offline=True,
    )
    said = shown()
    at = said.index("Tried more than once: 2 points")
    assert said[at + 1].split() == ["mean", "its", "error", "trials", "point"]
    assert said[at + 2].split() == ["0.33333", "0.1453", "3", "n=2,", "k=b"]
    assert said[at + 3].split()[0] == "0.45"
    assert shown("best")[-1] == (
        "Its point was tried 3 times: 0.33333 ± 0.1453 on average. Others by their means: "
        "hpsearch show noisy"
    )
    assert statistics.stdev([0.6, 0.1, 0.3]) / 3**0.5 == pytest.approx(0.1453, abs=1e-4)


def test_show_says_nothing_of_repeats_where_there_are_none(
    shown: Callable[..., list[str]],
) -> None:
    words = {"x": uniform(0, 1)}
    hpsearch.search(words, lambda v: v["x"], max_trials=3, progress=False, offline=True)
    assert not any("more than once" in line for line in shown())
    assert not any("tried" in line for line in shown("best"))


def test_show_says_of_how_many_more_points_there_are_repeats(
    shown: Callable[..., list[str]],
) -> None:
    points = [{"n": n} for n in range(1, 8)] * 2
    given = {"enqueue": points, "max_trials": 14, "progress": False, "offline": True}
    hpsearch.search({"n": integer(1, 9)}, lambda v: v["n"], **given)
    said = shown()
    at = said.index("Tried more than once: 7 points")
    assert said[at + 7] == "… and 2 more"
