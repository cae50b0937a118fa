"""The best models of a study in MLflow: logged with their trial, and fetched again.

Everything goes through `MlflowClient`, so that no run of MLflow's fluent interface is opened, ended
or left active.
"""

from __future__ import annotations

import contextlib
import functools
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from ..errors import HpsearchError, TrackingError
from ..store import Store
from ..trial import Trial, digest_of
from . import content, registry
from .content import Settings
from .registry import MODEL, Registered
from .tracking import PATIENT, connect, explained, first_line
from .writing import folder_at_hand

__all__ = ["fetch_model", "log_model"]


def log_model(
    uri: str,
    store: Store,
    trial: Trial,
    load: Callable[[], Any],
    sample: Any,
    *,
    file: Path | None = None,
    register: bool = True,
    metrics: Mapping[str, float] | None = None,
) -> Registered:
    """Log the model of an ended trial whose run was delivered, and register it.

    What was done before, for this study or before it was resumed, is not done again, but test
    metrics that were missing are added. The study's version of an earlier trial is deleted, unless
    someone has given it an alias of their own.

    Args:
        load: returns the uncompiled Keras model; called only if it has to be logged.
        sample: inputs as the model takes them: an array ``(n, ...)``, or a dict or list of them.
        file: the `.keras` file of the model, logged as it is, so that its digest stays what the
            trial's outcome says; None has Keras write another.
        register: False for the second best and following ones.
        metrics: its metrics on the test data; shown as ``test.accuracy`` and the like.

    Raises:
        TrackingError: the trial's run is not in MLflow, the model cannot be made, described or
            saved, or MLflow does not answer.
    """
    settings, run_id = cast(Settings, store.settings), _run_of(store, trial)
    facts = _facts(store, settings, trial)
    with PATIENT, explained(uri):
        client = connect(uri)
        run = client.get_run(run_id)
        logged = _logged(client, run)
    if logged is None:
        logged = _log_anew(
            uri, client, run, trial, facts, functools.partial(_save, load, sample, file)
        )
    model_id: str = logged.model_id
    there = {each.key for each in logged.metrics or ()}
    missing = [m for m in _metrics(trial, metrics or {}, run_id, model_id) if m.key not in there]
    with PATIENT, explained(uri):
        if missing:
            client.log_batch(run_id, missing)
        if not register:
            return Registered(model_id, run_id)
        return registry.register(client, run_id, model_id, settings, facts)


def _run_of(store: Store, trial: Trial) -> str:
    run_id = store.run_ids().get((trial.number, trial.attempt))
    if run_id is None:
        raise TrackingError(
            f"A model is logged with the run of its trial, and trial {trial.number} of study "
            f"{store.name!r} has none yet. Call Recorder.flush first, and see Recorder.trouble."
        )
    return run_id


def _log_anew(
    uri: str,
    client: Any,
    run: Any,
    trial: Trial,
    facts: dict[str, str],
    save: Callable[[Path], None],
) -> Any:
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
        folder = Path(scratch) / "model"
        with _described(trial):
            save(folder)
        with PATIENT, explained(uri):
            return client.get_logged_model(_log(client, run, folder, facts))


def fetch_model(uri: str, run_id: str, trial: Trial, file: Path) -> bool:
    """Copy the model that was logged with the run of a trial into `file`; nothing of it is loaded.

    Returns:
        Whether there was one.

    Raises:
        TrackingError: it cannot be read, is not what the trial wrote, or MLflow does not answer.
    """
    written = None if trial.outcome is None else trial.outcome.digest
    with PATIENT, explained(uri):
        client = connect(uri)
        logged = _logged(client, client.get_run(run_id))
        if logged is None:
            return False
        from mlflow.artifacts import download_artifacts

        home = folder_at_hand(logged.artifact_location, uri, 4)
        # Not `models:/ID`, which is looked up in the store of the fluent interface.
        source = f"{home or logged.artifact_location}/{MODEL}"
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
            path = Path(download_artifacts(source, dst_path=scratch, tracking_uri=uri))
            if written is not None and digest_of(path) != written:
                raise TrackingError(f"somebody has replaced {source}, which the trial wrote")
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(".part")
            shutil.copyfile(path, draft)
            draft.replace(file)
    return True


def _facts(store: Store, settings: Settings, trial: Trial) -> dict[str, str]:
    """The tags of the version, by which two models are compared."""
    return {
        "hpsearch.study": store.name,
        "hpsearch.study_id": store.id,
        "hpsearch.number": str(trial.number),
        "hpsearch.attempt": str(trial.attempt),
        "hpsearch.digest": (trial.outcome and trial.outcome.digest) or "",
        "hpsearch.value": repr(trial.value),
        "hpsearch.objective": content.objective(settings),
        "hpsearch.data": str(settings.get("data", {}).get("digest") or ""),
        "hpsearch.fingerprint": settings.get("fingerprint", ""),
        "hpsearch.source": settings.get("source_digest") or "",
    }


def _metrics(trial: Trial, more: Mapping[str, float], run_id: str, model_id: str) -> list[Any]:
    """The model's own numbers; with the trial's time, so that its run gets none of them twice."""
    from mlflow.entities import Metric

    when = round((trial.ended or 0.0) * 1000)
    numbers = {"objective": content.rounded(trial.value)} | {
        f"test.{key}": value for key, value in more.items()
    }
    return [
        Metric(content.legal(key), float(value), when, 0, model_id=model_id, run_id=run_id)
        for key, value in numbers.items()
        if value is not None and math.isfinite(value)
    ]


def _logged(client: Any, run: Any) -> Any | None:
    """The model that was logged with this run, and is still there."""
    from mlflow.exceptions import MlflowException

    for each in run.outputs.model_outputs if run.outputs else ():
        try:
            return client.get_logged_model(each.model_id)
        except MlflowException as error:  # someone deleted it
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return None


@contextlib.contextmanager
def _described(trial: Trial) -> Iterator[None]:
    """Turn what a user's model, Keras and MLflow raise while a model is saved into TrackingError."""
    try:
        yield
    except HpsearchError:
        raise
    except Exception as error:  # the code of the user's layers runs here
        raise TrackingError(
            f"A model is logged with the shapes of its inputs and outputs, and that of trial "
            f"{trial.number} could not be made or described: {first_line(error)}.\n"
            "The search and its weights are kept; give the model plain arrays, or a dict or list "
            "of them, as inputs and outputs."
        ) from error


def _save(load: Callable[[], Any], sample: Any, file: Path | None, folder: Path) -> None:
    """Write a model as MLflow's Keras flavour does, with its signature."""
    import mlflow.keras
    import numpy as np
    from mlflow.models import infer_signature

    model = load()
    inputs, outputs = _in_and_out(model, sample)
    # The requirements are given, as working them out takes MLflow a subprocess and 6 s.
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=infer_signature(inputs, outputs),
        pip_requirements=_requirements(),
    )
    if file is not None:
        shutil.copyfile(file, folder / MODEL)
    # Not as `input_example`, which crashes for a Keras model in MLflow 3.17.2.
    np.savez(folder / "sample.npz", **(inputs if isinstance(inputs, dict) else {"x": inputs}))


def _log(client: Any, run: Any, folder: Path, facts: Mapping[str, str]) -> str:
    """Log a saved model under its trial's run and return its id."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    logged = client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, tags=dict(facts), model_type="keras"
    )
    model_id: str = logged.model_id
    described = Model.load(str(folder))
    described.run_id, described.model_id = run_id, model_id
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _in_and_out(model: Any, sample: Any) -> tuple[Any, Any]:
    """The first rows of the sample and what the model makes of them, as MLflow describes them.

    MLflow describes arrays and dicts of arrays; those of a list go by Keras's names for them, or by
    their place in a subclassed model, which has no names: ``input_0``, ``output_1``.
    """
    import keras
    import numpy as np

    inputs = keras.tree.map_structure(lambda part: np.asarray(part)[:2], sample)
    outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
    if isinstance(inputs, list | tuple):
        names = [part.name for part in getattr(model, "inputs", None) or ()]
        inputs = _named(names or [f"input_{i}" for i in range(len(inputs))], inputs)
    if isinstance(outputs, list | tuple):
        names = list(getattr(model, "output_names", None) or ())
        outputs = _named(names or [f"output_{i}" for i in range(len(outputs))], outputs)
    return inputs, outputs


def _named(names: Sequence[str], arrays: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, arrays, strict=True))


def _requirements() -> list[str]:
    import keras

    backend = keras.backend.backend()
    wanted = ["keras", "numpy", *([backend] if backend in ("tensorflow", "jax", "torch") else [])]
    return [f"{name}=={metadata.version(name)}" for name in wanted]
