"""Using the champion of a space on a NumPy file: predictions, or scores where targets are given."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, final

import numpy as np

from .errors import DataError, HpsearchError, StudyError
from .record import models, tracking_uri
from .space import load
from .store import Store
from .train import KerasEngine
from .trial import Job, Key

__all__ = ["Winner", "read_inputs"]


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
    """

    def __init__(self, target: str, folder: Path, uri: str | None, scratch: Path) -> None:
        loaded = load(target)
        champion = models.champion(tracking_uri(uri, folder), loaded.name, scratch)
        self.version = champion.version
        self.model, self.compiled = self._restored(loaded.space, champion, folder)

    @staticmethod
    def _restored(space: Any, champion: Any, folder: Path) -> tuple[Any, bool]:
        """Rebuild it from its point where that is known; else load the file, without its metrics."""
        tags = champion.tags
        number, attempt = int(tags["hpsearch.number"]), int(tags["hpsearch.attempt"])
        same = tags.get("hpsearch.fingerprint") == space.fingerprint
        try:
            with Store.open(folder / "studies", tags["hpsearch.study"], write=False) as store:
                trial = (
                    store.trial(number, attempt) if store.id == tags["hpsearch.study_id"] else None
                )
                seed = int(store.settings["seed"])
        except StudyError:
            trial = None
        if trial is None or not same:
            import keras

            return keras.saving.load_model(champion.file, compile=False), False
        job = Job(Key(tags["hpsearch.study"], number, attempt), trial.point, trial.seed)
        return KerasEngine(space, seed).restored(job, str(champion.file), compiled=True), True

    def predict(self, x: Any) -> Any:
        """The model's outputs, ``(n, ...)``.

        Raises:
            DataError: if the model does not take inputs like these.
        """
        try:
            return self.model.predict(x, verbose=0)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"The model does not take these inputs: {_first_line(error)} "
                f"It takes {getattr(self.model, 'input_shape', 'other shapes')}."
            ) from error

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
        try:
            found = self.model.evaluate(x, y, verbose=0, return_dict=True)
        except (ValueError, TypeError) as error:
            raise DataError(f"The model cannot score these arrays: {_first_line(error)}") from error
        return {name: float(value) for name, value in found.items()}


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
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file.name} is not a .npy or .npz file of numbers: {error}.") from None
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
