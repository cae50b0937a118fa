"""The study store: every trial of a study in one SQLite file, committed before anything else."""

from .passwords import json_without_passwords, without_passwords
from .study import PARENT, Parcel, Store, check_name, studies

__all__ = [
    "PARENT",
    "Parcel",
    "Store",
    "check_name",
    "json_without_passwords",
    "studies",
    "without_passwords",
]
