"""What a study's trials tell together: data in, plain data out, nothing printed."""

from __future__ import annotations

from .failures import Failures, Group, failures_of
from .regions import Condition, Region
from .repeats import Repeated, repeats_of

__all__ = ["Condition", "Failures", "Group", "Region", "Repeated", "failures_of", "repeats_of"]
