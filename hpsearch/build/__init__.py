"""Space and point to model, optimizer, loss and data; failures say where in the space."""

from __future__ import annotations

from .arrays import leaves, named_leaves
from .builder import Builder, where_raised
from .construct import COMPILE, Construction, Memory
from .data import (
    Part,
    Parts,
    batches_of,
    digest,
    facts_of,
    holds_dataset,
    resolve_parts,
    stratified,
    unsplit,
)
from .make import Maker, Objects

__all__ = [
    "COMPILE",
    "Builder",
    "Construction",
    "Maker",
    "Memory",
    "Objects",
    "Part",
    "Parts",
    "batches_of",
    "digest",
    "facts_of",
    "holds_dataset",
    "leaves",
    "named_leaves",
    "resolve_parts",
    "stratified",
    "unsplit",
    "where_raised",
]
