"""From a hyperas file to a space module: it is parsed, never run.

`templates` finds the ``{{…}}``, `reading` what is what, `declared` and `kept` are the two ways of
conversion, `convert` puts the module and its report together.
"""

from __future__ import annotations

from .convert import Conversion, Row, convert
from .listing import read_file
from .notes import Note

__all__ = ["Conversion", "Note", "Row", "convert", "read_file"]
