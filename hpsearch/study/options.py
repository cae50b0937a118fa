"""The options of a search, shared by `hpsearch.search` and `hpsearch run`; checked in one place."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from ..errors import PointError, StudyError, nearest
from ..store import check_name
from ..trial import Point

__all__ = [
    "ALGORITHMS",
    "DEFAULT_TRIALS",
    "Options",
    "bytes_of",
    "options_from",
    "read_points",
    "resumed",
    "seconds_of",
    "strict_json",
]

ALGORITHMS = ("auto", "tpe", "random", "anneal", "qmc", "grid")
DEFAULT_TRIALS = 50
LARGEST_FILE = 10_000_000  # bytes of points to enqueue
LEAST_MEMORY = 100_000_000  # bytes: Python with Keras holds more
LARGEST = 2**63 - 1  # what a database holds as a whole number
LONGEST_TIME = 1e9  # seconds: thirty years
MOST_MEMORY = 1e15  # bytes
MEMORY_UNITS = {"M": 1e6, "G": 1e9}
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a search is told.

    Attributes:
        max_trials: the study's total of finished, failed and pruned trials; 50 where no budget
            is given at all.
        timeout: seconds after which no trial starts and the running one ends at its next report.
        target: stop when a trial reaches this value.
        no_progress: stop after so many trials without a better one.
        max_consecutive_failures: stop after so many failures in a row.
        seed: makes a sequential search repeatable; drawn and recorded if None.
        algo: one of `ALGORITHMS`; ``auto`` is ``tpe`` after 20 quasi-random trials, until hpsearch
            has an algorithm of its own.
        grid_steps: how many values ``grid`` takes from a range without steps.
        fix: ``{label: value}``; binds wherever the label is active.
        enqueue: points to run first; missing labels are suggested.
        baselines: run the space's baselines first.
        study: the study's name; by default the space's with the next free number.
        resume: go on with the study if it exists.
        keep_models: of how many best trials the model is kept on disk and logged.
        experiment, tracking_uri: MLflow's; by default MLflow's own variables, then the space's
            name and ``mlruns/mlflow.db``.
        folder: where studies and the default tracking store live.
        check: try one point before the search starts.
        offline: leave MLflow alone; what it is owed waits in the study for ``hpsearch sync``.
        from_mlflow: a study's run in MLflow: rebuild the study from it, here, and go on with it.
        workers: how many processes run trials side by side; 0 runs them in this one, None takes
            one for each share of a GPU or, without GPUs, for each core.
        gpus_per_trial: a whole number or a part of a GPU such as 0.5; None takes one where there
            are any, 0 none.
        trial_timeout: seconds that a trial may train before it is killed and counts as failed.
        trial_memory: bytes that the processes of a trial may hold before it is killed.
        start_method: ``forkserver``, or ``spawn`` for a new interpreter per worker.
        given: the names that the caller gave; on resume the others are as recorded.
    """

    max_trials: int | None = None
    timeout: float | None = None
    target: float | None = None
    no_progress: int | None = None
    max_consecutive_failures: int = 20
    seed: int | None = None
    algo: str = "auto"
    grid_steps: int = 5
    fix: Mapping[str, Any] = field(default_factory=dict)
    enqueue: Sequence[Mapping[str, Any]] = ()
    baselines: bool = True
    study: str | None = None
    resume: bool = False
    keep_models: int = 1
    experiment: str | None = None
    tracking_uri: str | None = None
    folder: Path = Path("mlruns")
    check: bool = True
    offline: bool = False
    from_mlflow: str | None = None
    workers: int | None = 0
    gpus_per_trial: float | None = None
    trial_timeout: float | None = None
    trial_memory: int | None = None
    start_method: str = "forkserver"
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("max_trials", "no_progress", "max_consecutive_failures", "grid_steps"):
            _check_count(name, getattr(self, name), 1)
        if self.study is not None:
            check_name(self.study)
        _check_count("keep_models", self.keep_models, 0)
        _check_count("seed", self.seed, 0)
        _check_count("workers", self.workers, 0)
        for name in ("timeout", "trial_timeout"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise StudyError(f"{name} needs seconds above 0, got {value!r}.")
        _check_count("trial_memory", self.trial_memory, LEAST_MEMORY)
        _check_in_process(self)
        if self.target is not None and not _is_number(self.target):
            raise StudyError(f"target needs a finite number, got {self.target!r}.")
        if self.algo not in ALGORITHMS:
            raise StudyError(
                f"There is no algorithm {self.algo!r}. {nearest(self.algo, ALGORITHMS)}"
            )

    @property
    def total(self) -> int | None:
        """The most trials, None where another budget ends the search."""
        if self.max_trials is not None:
            return self.max_trials
        other = (self.timeout, self.target, self.no_progress)
        if any(item is not None for item in other) or self.algo == "grid":
            return None
        return DEFAULT_TRIALS

    def budget(self) -> dict[str, Any]:
        """What ends the search, as it is recorded."""
        names = ("timeout", "target", "no_progress", "max_consecutive_failures")
        return {"max_trials": self.total} | {name: getattr(self, name) for name in names}


def options_from(given: Mapping[str, Any]) -> Options:
    """Make options from keywords; an unknown one is refused with the nearest known."""
    known = [item.name for item in dataclasses.fields(Options) if item.name != "given"]
    aliases = {"max_evals": "max_trials", "n_trials": "max_trials"}
    for name in given:
        if name in aliases:
            raise StudyError(f"search() has no option {name!r}; here it is {aliases[name]!r}.")
        if name not in known:
            raise StudyError(f"search() has no option {name!r}. {nearest(name, known)}")
    values = dict(given)
    values["folder"] = Path(values.get("folder", "mlruns")).absolute()  # a trial may change it
    for name in ("timeout", "trial_timeout"):
        if isinstance(values.get(name), str):
            values[name] = seconds_of(values[name])
    if isinstance(values.get("trial_memory"), str):
        values["trial_memory"] = bytes_of(values["trial_memory"])
    return Options(**values, given=frozenset(given))


def seconds_of(text: str) -> float:
    """Read a duration: ``90``, ``90s``, ``30m``, ``2h`` or ``1d`` in seconds.

    Raises:
        StudyError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    seconds = float(found[1]) * UNITS[found[2]] if found is not None else 0.0
    if not 0 < seconds <= LONGEST_TIME:
        raise StudyError(f"A duration is seconds or 90s, 30m, 2h, 1d, got {_short(text)}.")
    return seconds


def bytes_of(text: str) -> int:
    """Read an amount of memory: ``500MB``, ``2GB`` or ``1.5G``, in bytes (powers of 1000).

    Raises:
        StudyError: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG])B?\s*", text, re.IGNORECASE)
    amount = float(found[1]) * MEMORY_UNITS[found[2].upper()] if found is not None else math.inf
    if not amount <= MOST_MEMORY:
        raise StudyError(f"An amount of memory is 500MB or 2GB, got {_short(text)}.")
    return int(amount)


def read_points(text: str) -> list[Point]:
    """Read points to enqueue: a JSON object, a JSON list of objects, or the path of such a file.

    Raises:
        PointError: if it is neither.
    """
    source = text if text.lstrip().startswith(("{", "[")) else _text_of_points(text)
    try:
        found = strict_json(source)
    except ValueError as whole:
        try:  # one object per line
            found = [strict_json(line) for line in source.splitlines() if line.strip()]
        except ValueError as error:
            reason = whole if source.count("\n") == 0 else error
            raise PointError(f"--enqueue: {_short(text)} is not JSON: {reason}.") from None
    points = found if isinstance(found, list) else [found]
    wrong = [point for point in points if not isinstance(point, dict)]
    if wrong or not points:
        came = _short(wrong[0]) if wrong else f"none in {_short(text)}"
        raise PointError(f'A point is an object like {{"model.dense.units": 64}}, got {came}.')
    return points


def _text_of_points(name: str) -> str:
    """What the file of points has in it."""
    try:
        path = Path(name)
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PointError(
            f"--enqueue needs a JSON object or a file of them, got {_short(name)}: {reason}."
        ) from None


def strict_json(text: str) -> Any:
    """Read JSON as its standard has it: no NaN, no infinity, no key twice in an object.

    Raises:
        ValueError: if it is not JSON.
    """

    def refuse(name: str) -> Any:
        raise ValueError(f"{_short(name)} is no number of JSON, which has finite ones only")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} stands twice in an object")
        return found

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _short(item: Any) -> str:
    """What came, for a message."""
    try:
        text = repr(item)
    except (ValueError, RecursionError):  # a whole number of more than 4,300 digits, deep lists
        text = f"a {type(item).__name__} too large to show"
    return text if len(text) <= 80 else f"{text[:80]}…"


RECORDED = (
    *("algo", "grid_steps", "fix", "baselines", "keep_models", "experiment"),
    *("trial_timeout", "trial_memory"),
)
"""What a resumed study takes from its record unless it is given again."""


def resumed(options: Options, settings: Mapping[str, Any]) -> Options:
    """The options of a study that goes on: those given now, the recorded ones, new points last."""
    kept = {
        name: settings[name] for name in RECORDED if name in settings and name not in options.given
    }
    before = [dict(point) for point in settings.get("enqueue", [])]
    new = [dict(point) for point in options.enqueue if dict(point) not in before]
    uri = options.tracking_uri or settings.get("tracking_uri")
    return dataclasses.replace(options, **kept, enqueue=[*before, *new], tracking_uri=uri)


def _check_in_process(options: Options) -> None:
    """Refuse limits that nothing can enforce where trials run in the caller's own process."""
    limits = ("gpus_per_trial", "trial_timeout", "trial_memory")
    given = [name for name in limits if getattr(options, name) is not None]
    if options.workers == 0 and given:
        raise StudyError(
            f"{given[0]} needs trials in processes of their own, which can be killed and given "
            "devices; write workers=1 or more (--workers)."
        )


def _check_count(name: str, value: Any, least: int) -> None:
    if value is None and name not in ("max_consecutive_failures", "grid_steps", "keep_models"):
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise StudyError(f"{name} needs a whole number from {least}, got {_short(value)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
