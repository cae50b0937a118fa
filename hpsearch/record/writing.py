"""How runs are written: in requests that MLflow takes, and around what makes them slow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["Writer", "folder_at_hand", "local_folder", "metric", "milliseconds"]

METRICS = 900  # per request; MLflow takes 1000 metrics, 100 params and 100 tags
WORDS = 90


@final
class Writer:
    """Writes runs through one `MlflowClient` at `uri`."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri
        self._homes: dict[str, Path] = {}  # artifact folders of runs that are on this machine

    def create(self, experiment_id: str, name: str, tags: dict[str, str], started: float) -> str:
        """Make a run that began `started` seconds since 1970, and return its id."""
        run = self._client.create_run(
            experiment_id, start_time=milliseconds(started), tags=tags, run_name=name
        )
        run_id: str = run.info.run_id
        home = local_folder(run.info.artifact_uri)
        if home is not None and not self._uri.startswith("http"):
            self._homes[run_id] = home
        return run_id

    def batch(
        self, run_id: str, metrics: list[Any], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Write all this to a run, in as few requests as MLflow allows."""
        from mlflow.entities import Param, RunTag

        some = [Param(key, value) for key, value in params.items()]
        words = [RunTag(key, value) for key, value in tags.items()]
        parts = max(len(metrics) / METRICS, len(some) / WORDS, len(words) / WORDS, 1)
        for part in range(math.ceil(parts)):
            few = slice(part * WORDS, (part + 1) * WORDS)
            many = slice(part * METRICS, (part + 1) * METRICS)
            self._client.log_batch(run_id, metrics[many], some[few], words[few])

    def file(self, run_id: str, name: str, text: str) -> None:
        """Write an artifact; `name` may have folders in it."""
        home = self._homes.get(run_id)
        if home is None:
            self._client.log_text(run_id, text, name)
        else:  # as MLflow does, without its asking the database where that is (5 ms)
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text, encoding="utf-8")

    def end(self, run_id: str, status: str, ended: float) -> None:
        """End a run as it stood `ended` seconds since 1970; no more of its files will come."""
        self._client.set_terminated(run_id, status, milliseconds(ended))
        self._homes.pop(run_id, None)


def metric(key: str, value: float | None, when: float, step: int) -> Any:
    """One number of MLflow's, at `when` seconds since 1970."""
    from mlflow.entities import Metric

    return Metric(key, 0.0 if value is None else value, milliseconds(when), step)


def milliseconds(seconds: float) -> int:
    """A time as MLflow has it."""
    return round(seconds * 1000)


def local_folder(uri: str) -> Path | None:
    """The folder that a ``file:`` URI names, None for another URI."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def folder_at_hand(location: str, uri: str, depth: int) -> Path | None:
    """The folder of artifacts that `location` names, as this machine has it; None if it is elsewhere.

    A SQLite store that was copied with its folder still names the place that it came from.

    Args:
        uri: of the store.
        depth: how many of its last names lie below ``artifacts/`` beside the database.
    """
    home, store = local_folder(location), urlsplit(uri)
    if home is None or home.exists() or store.scheme != "sqlite":
        return home
    moved = Path(store.path[1:]).parent.joinpath("artifacts", *home.parts[-depth:])
    return moved if moved.exists() else home
