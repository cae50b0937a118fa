"""The options of a search, shared by `hpsearch.search` and `hpsearch run`; checked in one place."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from ..errors import StudyError, nearest
from ..store import check_name
from .written import bytes_of, seconds_of, shortened

__all__ = [
    "ALGORITHMS",
    "DEFAULT_TRIALS",
    "OURS",
    "WHERE",
    "Options",
    "options_from",
    "resumed",
]

OURS = ("auto", "thorough", "fast")
ALGORITHMS = (*OURS, "tpe", "random", "anneal", "qmc", "grid")
DEFAULT_TRIALS = 50
LEAST_MEMORY = 100_000_000  # bytes: Python with Keras holds more
PREPARING = 600.0  # seconds beyond its own limit that a trial may take until its data is ready
LARGEST = 2**63 - 1  # what a database holds as a whole number


ELSEWHERE = {
    **dict.fromkeys(("max_evals", "n_trials", "num_samples"), "max_trials"),
    **dict.fromkeys(("direction", "mode", "minimize"), "maximize=True, or nothing to minimize"),
    **dict.fromkeys(("study_name", "project_name"), "study"),
    **dict.fromkeys(("load_if_exists", "trials"), "study= with resume=True to go on with one"),
    "overwrite": "study= with a new name: what was recorded stays",
    **dict.fromkeys(("executions_per_trial", "repeat"), "repeats=True, to try points again"),
    **dict.fromkeys(("sampler", "tuner", "algorithm"), "algo"),
    **dict.fromkeys(("storage", "directory"), "folder"),
    "n_jobs": "workers",
    **dict.fromkeys(("points_to_evaluate", "initial_points"), "enqueue=[{label: value}]"),
    "loss_threshold": "target",
    **dict.fromkeys(("rstate", "random_state"), "seed"),
    **dict.fromkeys(("fixed_params", "fixed_parameters"), "fix"),
    "catch": "max_consecutive_failures=, as trials that raise are failed trials",
    **dict.fromkeys(("constraints_func", "constraints"), "require=[condition on words]"),
    "pruner": "a callback of the Space, such as EarlyStopping: trials are not compared as they run",
    "callbacks": "progress= with a watcher, or Fit(callbacks=...) of a Space",
}
"""What rivals call these options."""


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
        algo: one of `ALGORITHMS`; ``auto`` is ``thorough``, and ``fast`` once suggestions would
            take a noticeable share of the trials' time.
        grid_steps: how many values ``grid`` takes from a range without steps.
        repeats: let ``auto``, ``thorough`` and ``fast`` try a point again, where scores are noisy.
        warm_start: the name of an earlier study in the same folder, whose trials tell ``auto``,
            ``thorough`` and ``fast`` where to begin; labels in common are used.
        fix: ``{label: value}``; binds wherever the label is active.
        enqueue: points to run first; missing labels are suggested.
        baselines: run the space's baselines first.
        study: the study's name; by default the space's with the next free number.
        resume: go on with the study of this name if it exists.
        keep_models: of how many best trials the model is kept on disk and logged.
        experiment, tracking_uri: MLflow's; by default MLflow's own variables, then the space's
            name and ``mlruns/mlflow.db``.
        folder: where studies and the default tracking store live.
        check: try one point before the search starts.
        offline: leave MLflow alone; what it is owed waits in the study for ``hpsearch sync``. A
            study that goes on stays so, unless it is told otherwise.
        from_mlflow: a study's run in MLflow: rebuild the study from it, here, and go on with it.
        workers: how many processes run trials side by side; 0 runs them in this one, None takes
            one for each share of a GPU or, without GPUs, for each core.
        gpus_per_trial: a whole number or a part of a GPU such as 0.5; None takes one where there
            are any, 0 none.
        trial_timeout: seconds that a trial may train before it is killed and counts as failed.
        trial_memory: bytes that the processes of a trial may hold, beyond what earlier trials left
            in its worker, before it is killed.
        start_method: ``forkserver`` (``spawn`` on macOS, if it is not given), or ``spawn`` for a
            new interpreter per worker.
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
    repeats: bool = False
    warm_start: str | None = None
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
        _check_points(self.fix, self.enqueue)
        for name in ("max_trials", "no_progress", "max_consecutive_failures", "grid_steps"):
            _check_count(name, getattr(self, name), 1)
        for name in ("repeats", "baselines", "resume", "check", "offline"):
            if not isinstance(getattr(self, name), bool):
                got = shortened(getattr(self, name))
                raise StudyError(f"{name} is True or False, got {got}.")
        for name in ("study", "warm_start"):
            study = getattr(self, name)
            if study is not None and not isinstance(study, str):
                raise StudyError(
                    f"{name} is the name of a study, such as result.study; got {shortened(study)}."
                )
            if study is not None:
                check_name(study)
        if self.resume and self.study is None and self.from_mlflow is None:
            raise StudyError(
                "resume goes on with a study of a name, and none is given. Say which (--study, "
                "study=), or leave resume out to begin one."
            )
        _check_count("keep_models", self.keep_models, 0)
        _check_count("seed", self.seed, 0)
        _check_count("workers", self.workers, 0)
        for name in ("timeout", "trial_timeout"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise StudyError(f"{name} needs seconds above 0, got {value!r}.")
        _check_memory(self.trial_memory)
        _check_in_process(self)
        if self.target is not None and not _is_number(self.target):
            raise StudyError(f"target needs a finite number, got {self.target!r}.")
        if not isinstance(self.algo, str):
            raise StudyError(
                f"algo is a name, one of {', '.join(ALGORITHMS)}; got {shortened(self.algo)}. "
                "Functions such as tpe.suggest and hyperopt_algo() are for hyperopt's fmin; here "
                "they are 'tpe' and 'thorough'."
            )
        if self.algo not in ALGORITHMS:
            raise StudyError(
                f"There is no algorithm {self.algo!r}. {nearest(self.algo, ALGORITHMS)}"
            )
        if self.algo not in OURS:
            _check_not_ours(self)

    @property
    def total(self) -> int | None:
        """The most trials, None where another budget ends the search."""
        if self.max_trials is not None:
            return self.max_trials
        other = (self.timeout, self.target, self.no_progress)
        if any(item is not None for item in other) or self.algo == "grid":
            return None
        return DEFAULT_TRIALS

    @property
    def preparing(self) -> float | None:
        """Seconds that a trial's data may take; None for no limit, where trials have none either."""
        return None if self.trial_timeout is None else PREPARING + self.trial_timeout

    def budget(self) -> dict[str, Any]:
        """What ends the search, as it is recorded."""
        names = ("timeout", "target", "no_progress", "max_consecutive_failures")
        return {"max_trials": self.total} | {name: getattr(self, name) for name in names}


def options_from(given: Mapping[str, Any]) -> Options:
    """Make options from keywords; an unknown one is refused with the nearest known."""
    known = [item.name for item in dataclasses.fields(Options) if item.name != "given"]
    for name in given:
        if name in ELSEWHERE:
            raise StudyError(f"search() has no option {name!r}; here it is {ELSEWHERE[name]}.")
        if name not in known:
            raise StudyError(f"search() has no option {name!r}. {nearest(name, known)}")
    values = {name: _plain(value) for name, value in given.items()}
    folder = values.get("folder", "mlruns")
    if not isinstance(folder, str | os.PathLike):
        raise StudyError(f"folder is the path of a folder for studies, got {shortened(folder)}.")
    values["folder"] = Path(folder).absolute()  # a trial may change where we are
    for name in ("timeout", "trial_timeout"):
        if isinstance(values.get(name), str):
            values[name] = seconds_of(values[name])
    if isinstance(values.get("trial_memory"), str):
        values["trial_memory"] = bytes_of(values["trial_memory"])
    return Options(**values, given=frozenset(given))


RECORDED = (
    *("algo", "grid_steps", "repeats", "fix", "baselines", "keep_models", "experiment"),
    *("offline", "trial_timeout", "trial_memory"),
)
"""What a resumed study takes from its record unless it is given again."""

WHERE = ("workers", "gpus_per_trial", "start_method")
"""What `hpsearch resume` takes from the record as well: a script says these itself each time."""


def resumed(options: Options, settings: Mapping[str, Any]) -> Options:
    """The options of a study that goes on: those given now, the recorded ones, new points last."""
    recorded = {name: settings[name] for name in RECORDED if name in settings}
    recorded |= {n: value for n, value in settings["budget"].items() if value is not None}
    kept = {name: value for name, value in recorded.items() if name not in options.given}
    before = [dict(point) for point in settings.get("enqueue", [])]
    new = [dict(point) for point in options.enqueue if dict(point) not in before]
    uri = options.tracking_uri or settings.get("tracking_uri")
    return dataclasses.replace(options, **kept, enqueue=[*before, *new], tracking_uri=uri)


def _plain(item: Any) -> Any:
    """An option with numbers of NumPy as Python's, in points too; what can be read once as a list."""
    if isinstance(item, list | tuple | Iterator):
        return [_plain_point(each) for each in item]
    return _plain_point(item)


def _plain_point(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in item.items()}
    return item.item() if isinstance(item, np.generic) else item


def _check_points(fix: Any, enqueue: Any) -> None:
    """Refuse what is no point, and no list of points."""
    if not isinstance(fix, Mapping):
        raise StudyError(f"fix is a dict {{label: value}}, got {shortened(fix)}.")
    many = isinstance(enqueue, Iterable) and not isinstance(enqueue, Mapping | str)
    if not (many and all(isinstance(point, Mapping) for point in enqueue)):
        raise StudyError(
            "enqueue is a list of points [{label: value}, …], such as [result.best.point]; got "
            f"{shortened(enqueue)}."
        )


def _check_not_ours(options: Options) -> None:
    """Refuse what only our own search heeds."""
    ours = ", ".join(OURS)
    if options.warm_start is not None:
        raise StudyError(
            f"{options.algo} cannot start from an earlier study; {ours} can. Leave --warm-start "
            "(warm_start=) out, or give another algorithm."
        )
    if options.repeats and "repeats" in options.given:
        raise StudyError(
            f"{options.algo} takes no heed of repeats; {ours} do. Leave --repeats (repeats=) "
            "out, or give another algorithm."
        )


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
        raise StudyError(f"{name} needs a whole number from {least}, got {shortened(value)}.")


def _check_memory(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise StudyError(f"trial_memory is '2GB', or bytes, got {shortened(value)}.")
    if value < LEAST_MEMORY:
        got = f"{value / 1e6:g}MB" if value >= 1e6 else f"{value} bytes"
        raise StudyError(
            f"trial_memory needs at least {LEAST_MEMORY // 10**6}MB, as Python with Keras holds "
            f"more, got {got}. Write 1GB for small models."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
