"""A trial as a plain Keras script: calls are recorded, so printing them is one more use of the walk."""

from __future__ import annotations

from .script import plain_keras

__all__ = ["plain_keras"]
