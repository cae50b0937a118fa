"""What MLflow is still owed when no search runs: trials, the study's end, and models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..errors import HpsearchError, StudyError
from ..store import Store, studies, without_passwords
from . import kept
from .problem import digest, problem_of

__all__ = ["Delivered", "owing", "sync"]

LONGEST = 86_400.0  # seconds
IDLE = 60.0  # seconds without a delivery: a locked database answers after 20


@final
@dataclass(frozen=True, slots=True)
class Delivered:
    """What one study got into MLflow.

    Attributes:
        trials: how many attempts at trials.
        models: the numbers of the trials whose models were logged.
        owing: how many parcels and models are still owed; `trouble` says why.
        uri: where to.
    """

    study: str
    trials: int
    models: tuple[int, ...]
    owing: int
    uri: str
    trouble: str | None = None


def owing(folder: Path) -> list[str]:
    """The studies in `folder` that owe something to MLflow, the one that was last run first.

    One whose driver was killed is among them, one that runs, and one whose MLflow database is gone.
    """
    found = []
    for name in studies(folder / "studies"):
        try:
            with Store.open(folder / "studies", name, write=False) as store:
                if store.owing() or not _ended(store) or kept.owed(store) or _lost(store, folder):
                    found.append(name)
        except StudyError:
            continue  # damaged: whoever asks for it by name is told
    return found


def _lost(store: Store, folder: Path) -> bool:
    """Whether MLflow's store was a file that is not there any more."""
    from .. import record

    uri = record.tracking_uri(store.settings.get("tracking_uri"), folder)
    return record.missing_file(uri) is not None


def sync(
    folder: Path, name: str, tracking_uri: str | None, prepare: Callable[[], None]
) -> Delivered:
    """Deliver what a study owes to MLflow, in order, each thing once; run no trial.

    A study that was killed is ended as such; it can be resumed afterwards.

    Args:
        tracking_uri: where to; by default where the study recorded before.
        prepare: called before the space is loaded, only if a model has to be logged.

    Raises:
        StudyError: there is no such study, it is damaged, or a search runs on it.
        TrackingError: MLflow does not answer, or its experiment was deleted.
    """
    from .. import record

    with Store.open(folder / "studies", name, write=True) as store:
        settings = store.settings
        uri = record.tracking_uri(tracking_uri or settings.get("tracking_uri"), folder)
        record.check(uri, settings["experiment"])
        if tracking_uri is not None:
            store.update(tracking_uri=uri if without_passwords(uri) == uri else None)
        finish = _close(store)
        recorder = record.Recorder(store, uri, hold=0.0)
        try:
            models, trouble = _deliver(store, recorder, uri, finish, prepare)
        finally:
            recorder.close()
        return Delivered(
            name,
            len({number for number, _ in recorder.told - _ends(store)}),
            models,
            store.owing() + len(kept.owed(store)),
            without_passwords(uri),
            trouble,
        )


def _deliver(
    store: Store, recorder: Any, uri: str, finish: bool, prepare: Callable[[], None]
) -> tuple[tuple[int, ...], str | None]:
    """Trials, then models, then the study's end; the models logged, and what went wrong."""
    if not recorder.flush(LONGEST, idle=IDLE):
        return (), recorder.trouble or "MLflow does not answer"
    models, trouble = _log_models(store, uri, prepare)
    if finish:
        store.queue("finish")
        if not recorder.flush(LONGEST, idle=IDLE):
            return models, recorder.trouble or "MLflow does not answer"
    if recorder.link is not None:
        store.update(link=recorder.link)
    return models, trouble


def _close(store: Store) -> bool:
    """End the record of a study that was killed, and have MLflow's runs compared with the trials.

    Returns:
        Whether the study's end is to be told once that is done. Where it is owed already, it is
        delivered with the rest; otherwise the run that it ends may have to be made again.
    """
    owed = {parcel.kind for parcel in store.owed(1_000_000)}
    if not _ended(store):
        store.abandon()
        store.update(state="killed")
    if "check" not in owed:
        store.queue("check")
    return "finish" not in owed


def _ended(store: Store) -> bool:
    """Whether the last search on this study came to an end of its own."""
    return store.settings.get("state") in ("finished", "interrupted", "killed")


def _ends(store: Store) -> set[tuple[int, int]]:
    """The attempts whose ends are owed."""
    owed = store.owed(1_000_000)
    return {(each.number, each.attempt) for each in owed if each.kind == "end"}


def _log_models(
    store: Store, uri: str, prepare: Callable[[], None]
) -> tuple[tuple[int, ...], str | None]:
    owed = kept.owed(store)
    if not owed:
        return (), None
    told: list[str] = []
    try:
        engine = _engine(store, prepare)
    except HpsearchError as error:
        first = str(error).splitlines()[0]
        return (), f"The model of trial {owed[0].number} is not in MLflow: {first}"
    logged = {trial.number for trial in kept.log_models(store, uri, engine, told.append)}
    models = tuple(trial.number for trial in owed if trial.number in logged)
    return models, told[0] if told else None


def _engine(store: Store, prepare: Callable[[], None]) -> Any:
    """The engine of the space file that the study searched, if that is unchanged.

    Raises:
        StudyError: it is not there any more, has changed, or never was in a file.
        SpaceError: it cannot be loaded.
    """
    settings = store.settings
    source = settings.get("source")
    if source is None:
        raise StudyError(
            "its space was made in a script or notebook. Run that again with "
            f"study={store.name!r}, resume=True."
        )
    text = None
    if Path(source).is_file():
        text = Path(source).read_text(encoding="utf-8-sig", errors="replace")
    if text is None or digest(text) != settings["source_digest"]:
        raise StudyError(
            f"{source} is not the file that was searched any more. Put it back, or "
            f"`hpsearch resume {store.name}` if only its wording has changed."
        )
    prepare()
    problem = problem_of(settings["target"])
    if problem.fingerprint != settings["fingerprint"]:
        raise StudyError(f"a module that {source} imports has changed, and the space with it.")
    return problem.engine(int(settings["seed"]))
