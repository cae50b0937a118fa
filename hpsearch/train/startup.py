"""Importing Keras quietly: the backend's start-up lines go to a file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import StudyError

__all__ = ["import_keras", "standard_error_in"]


def import_keras(log: Path) -> None:
    """Import Keras and make its first tensor, writing what that prints to `log`.

    TensorFlow writes from C++ straight to the file descriptor, before its own settings are read,
    so the descriptor itself is turned away meanwhile.

    Raises:
        StudyError: if Keras or its backend cannot be imported.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with standard_error_in(log):
            import keras

            keras.ops.zeros(1)
    except (ImportError, ValueError) as error:  # ValueError is Keras's, of a backend that is none
        raise StudyError(
            f"Models are Keras's, and it cannot be imported: {error}.\nIts backend is what "
            "KERAS_BACKEND says, else ~/.keras/keras.json, else tensorflow; install that, or set "
            "KERAS_BACKEND to tensorflow, jax or torch, whichever is installed."
        ) from error
    # A model per trial is what TensorFlow warns of as retracing; here it is meant.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def standard_error_in(log: Path) -> Iterator[None]:
    """Turn file descriptor 2 to a file; a process that is started meanwhile keeps it so.

    Where that cannot be written, as in a study that is only read, what is said is lost.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
