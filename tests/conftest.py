"""What every test runs under: TensorFlow quiet and on few threads, and a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded by anything
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("HPSEARCH_WORKERS", "0")  # of the command line: test_workers has its own

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's `&` has Ctrl-C ignored, also by what the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and `nohup` a closed terminal


LONGEST = (
    *("test_cli", "test_plain_keras", "test_looking", "test_faults_driver", "test_search_keras"),
    *("test_workers", "test_record_models", "test_recipes", "test_search_workers"),
)
"""The files that take a minute and more: first, so that no process waits for another's last one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables, so they are made once and copied."""
    from hpsearch.record.tracking import connect

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def study_folder(folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with an empty MLflow store in ``mlruns/``, and none named by the environment."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    (folder / "mlruns").mkdir()
    shutil.copy(empty_database, folder / "mlruns" / "mlflow.db")
    return folder
