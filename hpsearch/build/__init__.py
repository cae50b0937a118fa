"""Space and point to model, optimizer, loss and data; failures say where in the space."""

from __future__ import annotations

from .builder import Builder, where_raised
from .construct import COMPILE, Construction, Memory
from .data import Part, Parts, batches_of, digest, facts_of, resolve_parts

__all__ = [
    "COMPILE",
    "Builder",
    "Construction",
    "Memory",
    "Part",
    "Parts",
    "batches_of",
    "digest",
    "facts_of",
    "resolve_parts",
    "where_raised",
]
