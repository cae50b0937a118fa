"""Where trials run: in the caller's process (`Inline`), or in worker processes (`workers.Workers`).

Only what is light is imported here: the parts for processes are imported where they are used.
"""

from __future__ import annotations

from .alone import run_alone
from .inline import Inline

__all__ = ["Inline", "run_alone"]
