"""Faults of trials, for real: the fast ones. All of them: python scripts/faults.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.trials import FAST, load


@pytest.mark.parametrize("name", FAST)
def test_a_trial_hurts_no_other(name: str, study_folder: Path) -> None:
    FAST[name](study_folder)


def test_many_short_trials_are_all_kept(study_folder: Path) -> None:
    load(study_folder, total=150)
