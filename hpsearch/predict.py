"""Using the champion of a space on a NumPy file: predictions, or scores where targets are given."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from .errors import DataError, HpsearchError, SpaceError, StudyError
from .record import Champion, champion, tracking_uri
from .space import load
from .store import Store
from .train import KerasEngine
from .trial import Job, Key, Trial, digest_of

__all__ = ["Winner", "load_safely", "read_inputs"]


@final
class Winner:
    """The champion of a space, with its metrics where its study is on this machine.

    Args:
        target: the space's name or file.
        folder: where studies live.
        uri: MLflow's store, None for the default.
        scratch: a folder to download into; must outlive this object.

    Raises:
        TrackingError: if the space has no champion.
        StudyError: if the champion's study is not here and its file cannot be loaded safely.
        SpaceError: if the space file has turned off Keras's safe mode.
    """

    def __init__(self, target: str, folder: Path, uri: str | None, scratch: Path) -> None:
        loaded = load(target)
        found = champion(tracking_uri(uri, folder), loaded.name, scratch)
        self.version = found.version
        self.model, self.compiled = self._restored(loaded.space, found, folder)

    @staticmethod
    def _restored(space: Any, champion: Champion, folder: Path) -> tuple[Any, bool]:
        """Rebuild it from its point where that is known; else load the file, without its metrics."""
        found = _known_trial(champion.tags, folder)
        written = champion.tags.get("hpsearch.digest")
        if found is not None and found[0].outcome is not None:
            written = found[0].outcome.digest
        if written and digest_of(champion.file) != written:
            raise StudyError(
                "The champion's file is not the one that its trial wrote: somebody has replaced or "
                "damaged it.\nRestore it in MLflow's artifacts, or run the search again."
            )
        if found is None or champion.tags.get("hpsearch.fingerprint") != space.fingerprint:
            return load_safely(champion.file), False
        trial, seed = found
        key = Key(champion.tags["hpsearch.study"], trial.number, trial.attempt)
        job = Job(key, trial.point, trial.seed)
        try:
            return KerasEngine(space, seed).restored(job, str(champion.file), compiled=True), True
        except HpsearchError:
            raise
        except Exception as error:  # of h5py and zipfile, where the file is damaged
            raise StudyError(
                f"The champion's weights are put into the model of trial {trial.number}, and its "
                f"file does not fit: {_first_line(error)}\nRun the search again, or restore the "
                "file in MLflow's artifacts."
            ) from error

    def predict(self, x: Any) -> Any:
        """The model's outputs, ``(n, ...)``.

        Raises:
            DataError: if the model does not take inputs like these.
        """
        inputs = self._arranged(x)
        try:
            return self.model.predict(inputs, verbose=0)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"The model does not take these inputs: {_first_line(error)} "
                f"It takes {getattr(self.model, 'input_shape', 'other shapes')}."
            ) from error

    def _arranged(self, x: Any) -> Any:
        """Named arrays as the model takes them: by name, or for a list of inputs in their order.

        Raises:
            DataError: if there are not as many as the model has inputs.
        """
        wanted = getattr(self.model, "input", None)
        if not isinstance(x, dict) or wanted is None or isinstance(wanted, dict):
            return x
        inputs = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        if len(x) != len(inputs):
            raise DataError(
                f"The file has the arrays {', '.join(x)}, and the model takes "
                f"{_inputs_text(self.model)}. Give one array for each input."
            )
        names = [_name(tensor) for tensor in inputs]
        by_name = set(names) == set(x)
        ordered = [x[name] for name in names] if by_name else list(x.values())
        return ordered if isinstance(wanted, list | tuple) else ordered[0]

    def score(self, x: Any, y: Any) -> dict[str, float]:
        """The loss and metrics that the space names.

        Raises:
            StudyError: if the study is not on this machine, so that the metrics are not known.
        """
        if not self.compiled or not getattr(self.model, "compiled", False):
            raise StudyError(
                "Scores need the champion's study, which is not in this folder, or was made with "
                "another version of the space. Predict without y, or give --folder."
            )
        inputs = self._arranged(x)
        try:
            found = self.model.evaluate(inputs, y, verbose=0, return_dict=True)
        except (ValueError, TypeError) as error:
            raise DataError(f"The model cannot score these arrays: {_first_line(error)}") from error
        return {name: float(value) for name, value in found.items()}


def _name(tensor: Any) -> str:
    """The name of an input: that of its layer; Keras 3.15 gives the tensor itself a number."""
    history = getattr(tensor, "_keras_history", None)
    return str(getattr(getattr(history, "operation", tensor), "name", "x"))


def _inputs_text(model: Any) -> str:
    names = ", ".join(_name(tensor) for tensor in getattr(model, "inputs", None) or ())
    return f"{names or 'other inputs'}, of shapes {getattr(model, 'input_shape', 'unknown')}"


def load_safely(file: Path) -> Any:
    """Load a model that may come from a shared store: no code in the file is run.

    Raises:
        SpaceError: if Keras's safe mode is off in this process, whatever `load_model` is told.
        StudyError: if the file is none, or needs code to be loaded.
    """
    import keras

    _refuse_unsafe_mode()
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # of a file that anyone may have written: BadZipFile, IndexError, …
        raise StudyError(
            "Without its study the champion is loaded from its file, in Keras's safe mode, and "
            f"that failed: {_first_line(error)}\nGive --folder with its study, which rebuilds the "
            "model from the space."
        ) from error


def _refuse_unsafe_mode() -> None:
    """Try what the safe mode refuses: Keras 3.15 has no public name that tells whether it is on."""
    import keras

    with warnings.catch_warnings():  # of what this does on purpose
        warnings.simplefilter("ignore", UserWarning)
        harmless = keras.saving.serialize_keras_object(lambda x: x)
    try:
        keras.saving.deserialize_keras_object(harmless, safe_mode=True)
    except ValueError:
        return
    raise SpaceError(
        "A champion is loaded in Keras's safe mode, as its file may come from a shared store, and "
        "this mode is off. Take keras.config.enable_unsafe_deserialization() out of the space file."
    )


def _known_trial(tags: Mapping[str, str], folder: Path) -> tuple[Trial, int] | None:
    """The champion's trial and its study's seed, where that study is on this machine."""
    try:
        name, number = tags["hpsearch.study"], int(tags["hpsearch.number"])
        attempt = int(tags["hpsearch.attempt"])
        with Store.open(folder / "studies", name, write=False) as store:
            trial = store.trial(number, attempt)
            if trial is None or store.id != tags.get("hpsearch.study_id"):
                return None
            return trial, int(store.settings["seed"])
    except (StudyError, KeyError, ValueError):  # no such study, or a version of someone else's
        return None


def read_inputs(file: Path) -> tuple[Any, Any]:
    """Read x, and y where there is one, from a ``.npy`` or ``.npz`` file; never unpickles.

    Raises:
        DataError: if it is no such file, or an ``.npz`` without x.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}. Give a .npy of inputs, or a .npz with x and y.")
    try:
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return found, None
        arrays = {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):  # numpy's text speaks of pickles
        raise DataError(
            f"{file.name} is not a .npy or .npz file of numbers. "
            "Write one with numpy.save(file, x) or numpy.savez(file, x=x, y=y)."
        ) from None
    y = arrays.pop("y", None)
    if "x" in arrays:
        return arrays["x"], y
    if not arrays:
        raise DataError(f"{file.name} holds no inputs: name them x, or as the model names them.")
    return arrays, y


def _first_line(error: BaseException) -> str:
    if isinstance(error, HpsearchError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]
