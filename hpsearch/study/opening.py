"""Opening a study: everything is checked and tried before the study is made or changed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ..errors import HpsearchError, StudyError, TrackingError
from ..preflight import first_look
from ..store import Store, check_name, json_without_passwords, studies, without_passwords
from ..trial import Algorithm, Engine, Trial
from .looking import looks_at
from .options import WHERE, Options, resumed
from .pace import Paced
from .problem import Problem, agreed
from .rebuilding import rebuild
from .resuming import check_same, what_changes, what_is_recorded
from .tally import latest
from .warm import Warm, earlier_of, warm_start
from .watch import Watcher

if TYPE_CHECKING:
    from ..execute.plan import Plan

__all__ = ["Opened", "Wanted", "check_new", "make_folder", "open_study"]

MOST_NAMES = 1000
NO_CHECK = "Seen before the search, which did not begin; --no-check begins without a look."


@final
@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Wanted:
    """A study that is to be opened.

    Attributes:
        command: how the search was started, for the record.
        plan: the workers, one of which tries the first point; None for this process.
    """

    problem: Problem
    options: Options
    watcher: Watcher
    command: str = ""
    plan: Plan | None = None


@final
@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """A study open for writing, with what runs it.

    Attributes:
        options: those given, completed by the recorded ones of a study that goes on.
        uri: MLflow's store.
        attempts: every attempt that it had at a trial: reading them is most of what opening costs.
    """

    store: Store
    options: Options
    engine: Engine
    algorithm: Algorithm
    uri: str
    attempts: Sequence[Trial] = ()


def open_study(wanted: Wanted) -> Opened:
    """Begin a study, or go on with it where `resume` says so.

    Raises:
        StudyError: if the name is taken, the study runs elsewhere, or it searched something else.
        TrackingError: if MLflow's store does not answer.
        SpaceError, PointError, DataError: if the first point cannot be built, or labels are wrong.
    """
    options = wanted.options
    root = options.folder / "studies"
    make_folder(options.folder)
    check_new(options)
    if options.from_mlflow is not None:
        return _rebuilt(wanted)
    if options.study is None or check_name(options.study) not in studies(root):
        return _begin(root, wanted)
    return _opened(Store.open(root, options.study, write=True), wanted)


def check_new(options: Options) -> None:
    """Refuse the name of a study that is there, unless the search is to go on with it.

    Raises:
        StudyError: it is there, or it is not a name.
    """
    name = options.study
    if name is None or options.resume or options.from_mlflow is not None:
        return
    if check_name(name) in studies(options.folder / "studies"):
        raise StudyError(
            f"There is a study {name!r} already. Go on with it: resume=True in Python, "
            f"`hpsearch resume {name}` or --resume; or give another name (study=, --study)."
        )


def make_folder(folder: Path) -> None:
    """Make the folder for studies.

    Raises:
        StudyError: if it cannot be made, or not be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"Studies are kept in a folder, and {folder} cannot be made: {error.strerror}. "
            "Give another (--folder, folder=)."
        ) from None
    if not os.access(folder, os.W_OK):
        raise StudyError(
            f"Studies are kept in a folder, and {folder} cannot be written. Change its "
            "permissions, or give another (--folder, folder=)."
        )


def _begin(root: Path, wanted: Wanted) -> Opened:
    problem, options = wanted.problem, wanted.options
    warm = warm_start(problem, options, {}, wanted.watcher.note)
    algorithm, uri, experiment = _ready(wanted, options, {}, warm)
    settings = _settings(problem, options, wanted.command, uri, experiment)
    if warm is not None:
        settings["warm_start"] = warm
    engine = problem.engine(settings["seed"])
    about = _tried(wanted, engine, settings["seed"])
    store = _created(root, problem, options, settings | about)
    store.queue("study")
    return Opened(store, options, engine, algorithm, uri)


def _rebuilt(wanted: Wanted) -> Opened:
    """Go on with a study that only MLflow has, once it is known to have searched the same."""
    from ..record import read_study, tracking_uri

    problem, options, watcher = wanted.problem, wanted.options, wanted.watcher
    assert options.from_mlflow is not None
    recorded = read_study(tracking_uri(options.tracking_uri, options.folder), options.from_mlflow)
    check_same(recorded.name, recorded.settings, problem, options, watcher.note)
    store = rebuild(recorded, problem, options, watcher, _source_of(problem))
    return _opened(store, wanted)


def _opened(store: Store, wanted: Wanted) -> Opened:
    try:
        return _go_on(store, wanted)
    except BaseException:
        store.close()
        raise


def _go_on(store: Store, wanted: Wanted) -> Opened:
    settings, problem, watcher = store.settings, wanted.problem, wanted.watcher
    attempts = store.trials()  # before anything is changed: they may be damaged
    check_same(store.name, settings, problem, wanted.options, watcher.note)
    options = resumed(wanted.options, settings)
    warm = warm_start(problem, options, settings, watcher.note)
    trials = [*latest(attempts).values()]
    algorithm, uri, experiment = _ready(wanted, options, settings, warm)
    engine = problem.engine(settings["seed"])
    about = _tried(dataclasses.replace(wanted, options=options), engine, settings["seed"])
    before, now = (item.get("data", {}).get("digest") for item in (settings, about))
    if before and now and before != now:
        watcher.note("Warning: the data is not what it was; earlier values may not compare.")
    for text in what_changes(trials, settings, options, problem):
        watcher.note(text)
    changed = _changeable(problem, options, uri, experiment)
    changed |= what_is_recorded(trials, settings, options, problem)
    changed |= _source_of(problem)
    store.update(state="running", **changed, **about)
    store.queue("study")
    return Opened(store, options, engine, algorithm, uri, attempts)


def _ready(
    wanted: Wanted,
    options: Options,
    settings: Mapping[str, Any],
    warm: Warm | None,
) -> tuple[Algorithm, str, str]:
    """The algorithm, MLflow's store and experiment, after labels and store have been checked."""
    from .. import record, suggest

    problem = wanted.problem
    fixed = problem.parameters.with_fixed(options.fix)
    for label in fixed.idle():
        why = fixed.why_inactive(label, fixed.fixed, "what is fixed")
        wanted.watcher.note(f"Warning: {label} is fixed, and active at no point: {why}.")
    for point in options.enqueue:
        if dict(point) not in settings.get("enqueue", []):  # those may have run, or be left out
            agreed(fixed, point)
    make = functools.partial(
        suggest.make,
        parameters=fixed,
        grid_steps=options.grid_steps,
        repeats=options.repeats,
        earlier=earlier_of(warm),
    )
    algorithm = make(options.algo)
    if options.algo == "auto":
        algorithm = Paced(
            algorithm,
            make("fast"),
            workers=1 if wanted.plan is None else wanted.plan.count,
            fast_from=settings.get("fast_from"),
        )
    experiment = options.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or problem.name
    uri = record.tracking_uri(options.tracking_uri, options.folder)
    if not options.offline:
        try:
            record.check(uri, experiment)
        except TrackingError as error:
            raise TrackingError(
                f"{error}\nOr search without it: --offline, and `hpsearch sync` when it is back."
            ) from error
    return algorithm, uri, experiment


def _tried(wanted: Wanted, engine: Engine, seed: int) -> dict[str, Any]:
    """What a first look at one point tells of the data; what is odd but legal is a warning.

    Args:
        engine: of this process, which looks where there are no workers, and keeps the data.
        seed: the study's.

    Raises:
        BuildError, DataError: if neither it nor others can be built.
    """
    if wanted.problem.space is None or not wanted.options.check:
        return {}
    note = wanted.watcher.note
    hint = "--no-check leaves that out."
    given = (wanted.problem, wanted.options, wanted.plan, engine, seed, note)
    with looks_at(*given, hint=hint) as looks:
        try:
            seen = first_look(looks, note)
        except HpsearchError as error:
            raise type(error)(f"{error}\n{NO_CHECK}") from error
    for text in seen.warnings:
        note(f"Warning: {text}")
    return {"data": seen.data}


def _created(root: Path, problem: Problem, options: Options, settings: dict[str, Any]) -> Store:
    """A new study of the name asked for, else of the space's with the next free number."""
    if options.study is not None:
        return Store.create(root, options.study, settings)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", problem.name).strip("-._")[:90] or "study"
    for number in range(1, MOST_NAMES):
        name = f"{stem}-{number}"
        if name in studies(root):
            continue
        try:
            return Store.create(root, name, settings)
        except StudyError:
            if name not in studies(root):
                raise
            # Another search has taken it in between: the next number.
    raise StudyError(f"There are {MOST_NAMES} studies {stem}-N. Give a name (--study, study=).")


def _settings(
    problem: Problem, options: Options, command: str, uri: str, experiment: str
) -> dict[str, Any]:
    seed = secrets.randbits(31) if options.seed is None else options.seed
    return _changeable(problem, options, uri, experiment) | {
        "space": problem.name,
        "metric": problem.metric,
        "direction": problem.direction,
        "seed": seed,
        "algos": [[0, options.algo]],
        "budget": options.budget(),
        "command": without_passwords(command),
        "fingerprint": problem.fingerprint,
        "labels": [
            {"label": label, "number": not hasattr(p.word, "points"), "log": p.word.log}
            for label, p in problem.parameters.items()
        ],
        "words": {label: p.word.describe() for label, p in problem.parameters.items()},
        **_source_of(problem),
        "description": json.loads(json_without_passwords(problem.description)),
        "versions": _versions(),
    }


def _source_of(problem: Problem) -> dict[str, Any]:
    """Where the space came from, and its text: the file may be edited while it is searched."""
    text = problem.source
    return {
        "source": None if problem.path is None else str(problem.path),
        "target": problem.target,
        "source_digest": problem.source_digest,
        "source_text": None if text is None else without_passwords(text),
    }


def _changeable(problem: Problem, options: Options, uri: str, experiment: str) -> dict[str, Any]:
    """The settings that a resume may change."""
    return {
        "algo": options.algo,
        "grid_steps": options.grid_steps,
        "repeats": options.repeats,
        "fix": problem.parameters.with_fixed(options.fix).fixed,
        "require": problem.parameters.constraints,
        "enqueue": [dict(point) for point in options.enqueue],
        "baselines": options.baselines,
        "keep_models": options.keep_models,
        "trial_timeout": options.trial_timeout,
        "trial_memory": options.trial_memory,
        **{name: getattr(options, name) if name in options.given else None for name in WHERE},
        "experiment": experiment,
        "offline": options.offline,
        # A password is never recorded; without it the URI would lead nowhere.
        "tracking_uri": uri if without_passwords(uri) == uri else None,
    }


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in ("hpsearch", "keras", "tensorflow", "hyperopt", "mlflow", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
