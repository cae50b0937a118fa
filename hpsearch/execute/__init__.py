"""Where trials run: behind one protocol, `hpsearch.trial.Executor`."""

from __future__ import annotations

from .inline import Engine, Inline

__all__ = ["Engine", "Inline"]
