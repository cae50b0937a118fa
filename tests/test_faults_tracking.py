"""MLflow cannot hurt a search: the faults of `faults.tracking`, fast ones always."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.tracking import FAST, FAULTS

# MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates.
pytestmark = [
    pytest.mark.usefixtures("study_folder"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in FAULTS]
)
def test_mlflow_cannot_hurt_a_search(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "fault"
    folder.mkdir()
    FAULTS[name](folder)
