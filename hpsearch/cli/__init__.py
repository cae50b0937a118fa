"""The command line: one module for each kind of command, `main` for what they share."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
