"""The study store: every trial of a study in one SQLite file, committed before anything else."""

from hpsearch.store.study import PARENT, Parcel, Store, check_name, studies

__all__ = ["PARENT", "Parcel", "Store", "check_name", "studies"]
