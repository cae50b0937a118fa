"""Faults of the driver, for real: the fast ones. All of them: python scripts/faults.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.driver import FAST


@pytest.mark.parametrize("name", FAST)
def test_nothing_is_lost_when(name: str, tmp_path: Path) -> None:
    FAST[name](tmp_path)
