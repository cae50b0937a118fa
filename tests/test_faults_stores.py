"""Faults of the study store, for real: the fast ones. All of them: python scripts/faults.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.stores import FAST, FAULTS


@pytest.mark.parametrize("name", FAST)
def test_nothing_is_lost_without_a_word_when(name: str, tmp_path: Path) -> None:
    FAULTS[name](tmp_path)
