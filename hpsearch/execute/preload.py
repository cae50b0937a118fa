"""Imported by the fork server before any worker: what every worker needs, and takes seconds.

Imported, never run: a process that has used TensorFlow's threads or a GPU cannot be forked.
"""

from __future__ import annotations

import importlib
import os

__all__ = ()

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

for name in ("keras", "sklearn.datasets", "hpsearch.train"):
    importlib.import_module(name)
