"""What MLflow holds of one study, and every call that changes it.

Everything here can be done twice without harm: runs are found by their tags before they are made,
and numbers carry the times of the trial, not of the call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..store import PARENT, Parcel, Store, json_without_passwords, without_passwords
from ..trial import Status, Trial, finite
from . import content
from .content import Settings
from .tracking import open_experiment
from .view import share

__all__ = ["Epochs", "Projection"]

Epochs: TypeAlias = dict[int, tuple[float, dict[str, float]]]
"""``{epoch: (seconds since 1970, metrics)}``, as they were reported."""

Pair: TypeAlias = tuple[int, int]
"""(number, attempt) of a trial, or `PARENT`."""

TELL = 5.0  # seconds between writes to the study's own run
PAGE = 500  # runs per search
METRICS = 900  # per request; MLflow takes 1000 metrics, 100 params and 100 tags
WORDS = 90


class Projection:
    """The runs of one study; used by the logger thread alone.

    As a context it is one visit to MLflow. What ended trials mean for the study's own run is
    gathered over some seconds, and only when that is written are they taken out of the outbox.

    Attributes:
        link: the page of the study in MLflow, from the ``#`` on.
        hurry: write to the study's own run in this visit, however short the last one is ago.
    """

    def __init__(self, store: Store, uri: str, client: Any) -> None:
        self.link: str | None = None
        self.hurry = False
        self._store = store
        self._uri = uri
        self._client = client
        self._settings = cast(Settings, store.settings)
        self._experiment: str | None = None
        self._runs: dict[Pair, str] = store.run_ids()
        self._new: dict[Pair, str] = {}
        self._sure = False  # whether `_runs` has all that MLflow has
        self._doubt = False  # whether MLflow may have lost some of `_runs`
        self._done: list[int] = []
        self._ended: dict[int, Trial] = {}
        self._told = -math.inf  # when the study's own run was last written to
        self._sent: dict[Pair, set[int]] = {}  # epochs of running trials
        self._homes: dict[str, Path] = {}  # artifact folders of runs that are on this machine
        self._inputs = _inputs(self._settings)

    def __enter__(self) -> Self:
        self._done = []
        self._settings = cast(Settings, self._store.settings)
        self._inputs = _inputs(self._settings)
        if not self._sure:
            self._find()
        return self

    def __exit__(self, *_: object) -> None:
        # Also where a call has failed: what came before it need not be sent again.
        try:
            if self._ended and (self.hurry or time.monotonic() - self._told >= TELL):
                self._tell_parent()
                self._done += self._ended
                self._ended = {}
                self._told = time.monotonic()
        finally:
            if self._done:
                self._store.delivered(self._done, self._new)
                self._new = {}

    def doubt(self) -> None:
        """After a failed call: look again at what MLflow has before anything is made."""
        self._sure, self._doubt = False, True

    def has(self, parcel: Parcel) -> bool:
        """Whether this end of a trial is written and only waits for the study's own run."""
        return parcel.id in self._ended

    def delivered(self, parcel: Parcel) -> None:
        """Take this parcel as delivered."""
        self._done.append(parcel.id)

    # Trials

    def start(self, parcel: Parcel, trial: Trial) -> None:
        """Make the run of a trial that goes on for a while."""
        run_id = self._run(trial)
        self._batch(run_id, [], content.child_params(trial.point), {})
        self._done.append(parcel.id)

    def end(self, parcel: Parcel, trial: Trial, reports: Epochs) -> None:
        """Write all that is to be said of an ended trial in one batch, then end its run."""
        outcome = trial.outcome
        pair = (trial.number, trial.attempt)
        if outcome is None:
            return
        if outcome.status is Status.REJECTED:
            if pair in self._runs:
                self._client.delete_run(self._runs.pop(pair))
            self._done.append(parcel.id)
            return
        known = pair in self._runs
        run_id = self._run(trial)
        ended = _ms(trial.ended or trial.started)
        labels = self._settings.get("labels", [])
        metrics = [
            self._metric(key, value, ended, 0)
            for key, value in content.child_metrics(trial, labels).items()
        ]
        metrics += self._curve_metrics(trial, reports)
        tags = self._child_tags(trial) if known else {}  # a new run was made with them
        self._batch(run_id, metrics, content.child_params(trial.point), tags)
        self._write(run_id, "trial.json", content.trial_json(trial))
        if outcome.error:
            text = outcome.traceback or outcome.error
            self._write(run_id, "error.txt", without_passwords(text))
        self._client.set_terminated(run_id, content.run_status(outcome.status), ended)
        self._sent.pop(pair, None)
        self._homes.pop(run_id, None)
        self._ended[parcel.id] = trial

    def curve(self, pair: Pair, epochs: Epochs) -> None:
        """Send those epochs of a running trial that were not sent before."""
        run_id = self._runs.get(pair)
        sent = self._sent.setdefault(pair, set())
        fresh = {epoch: epochs[epoch] for epoch in sorted(epochs) if epoch not in sent}
        if run_id is None or not fresh:
            return
        metrics = [
            self._metric(content.legal(key), value, _ms(when), epoch)
            for epoch, (when, values) in fresh.items()
            for key, value in values.items()
            if finite(value)
        ]
        self._batch(run_id, metrics, {}, {})
        sent.update(fresh)

    def _curve_metrics(self, trial: Trial, reports: Epochs) -> list[Any]:
        outcome = trial.outcome
        assert outcome is not None
        sent = self._sent.get((trial.number, trial.attempt), set())
        step = ((trial.ended or trial.started) - trial.started) / max(len(outcome.history), 1)
        metrics = []
        for epoch, values in content.curve(outcome):
            if epoch not in sent:
                # The same time at each try, so that a second try writes nothing new.
                when = reports[epoch][0] if epoch in reports else trial.started + step * (epoch + 1)
                metrics += [self._metric(k, v, _ms(when), epoch) for k, v in values.items()]
        return metrics

    def _run(self, trial: Trial) -> str:
        """The run of a trial, made if there is none."""
        pair = (trial.number, trial.attempt)
        if pair not in self._runs:
            tags = self._child_tags(trial) | content.source_tags(self._settings)
            tags["mlflow.parentRunId"] = self._parent()
            name = content.child_name(self._store.name, trial)
            run_id = self._create(pair, name, tags, trial.started)
            if self._inputs:
                self._client.log_inputs(run_id, datasets=self._inputs)
        return self._runs[pair]

    def _child_tags(self, trial: Trial) -> dict[str, str]:
        return content.child_tags(self._store.id, self._settings.get("space", ""), trial)

    # The study

    def study(self, parcel: Parcel) -> None:
        """Write the settings of the study as they stand; with ``"finish"`` also its end."""
        fresh = PARENT not in self._runs
        run_id = self._parent()
        if not fresh:
            self._describe(run_id)
        if parcel.kind == "finish":
            self._finish(run_id)
        self._done.append(parcel.id)

    def _parent(self) -> str:
        if PARENT not in self._runs:
            tags = content.parent_tags(self._store.id, self._settings, "running")
            started = min((trial.started for trial in self._store.trials()), default=time.time())
            run_id = self._create(PARENT, self._store.name, tags, started)
            self._store.set_run_id(*PARENT, run_id)
            for pair, child in self._runs.items():  # of a parent that someone deleted
                if pair != PARENT:
                    self._client.set_tag(child, "mlflow.parentRunId", run_id)
            self._describe(run_id)
        return self._runs[PARENT]

    def _describe(self, run_id: str) -> None:
        settings = self._settings
        known = self._client.get_run(run_id).data.params
        params = {  # MLflow's params cannot change; what does, a larger budget, is in the note
            key: value for key, value in content.parent_params(settings).items() if key not in known
        }
        tags = content.parent_tags(self._store.id, settings, "running")
        tags["mlflow.note.content"] = self._note()
        self._batch(run_id, self._test_metrics(), params, tags)
        self._client.update_run(run_id, status="RUNNING")
        documents = {
            "space.json": settings.get("description"),
            "study.json": {"id": self._store.id, **settings},
        }
        for name, document in documents.items():
            self._client.log_text(run_id, json_without_passwords(document), name)
        source = settings.get("source")
        if source and Path(source).is_file():
            text = Path(source).read_text(encoding="utf-8", errors="replace")
            self._client.log_text(run_id, without_passwords(text), Path(source).name)
        self.link = share(self._client, self._experiment_id(), self._store.id, settings)

    def _test_metrics(self) -> list[Any]:
        """Those of the best trial, if it was tested: an earlier best's would be taken for them."""
        best = self._best()
        test = {} if best is None else content.test_of(self._settings, best.number)
        now = _ms(time.time())
        return [
            self._metric(content.legal(f"test.{key}"), value, now, 0)
            for key, value in test.items()
            if finite(value)
        ]

    def _finish(self, run_id: str) -> None:
        trials = self._store.trials()
        table = content.trials_csv(trials, self._settings.get("labels", []))
        self._client.log_text(run_id, table, "trials.csv")
        state = self._settings.get("state", "finished")
        self._client.set_tag(run_id, "hpsearch.state", state)
        ended = max((trial.ended or trial.started for trial in trials), default=time.time())
        status = "KILLED" if state == "interrupted" else "FINISHED"
        self._client.set_terminated(run_id, status, _ms(ended))

    def _tell_parent(self) -> None:
        """One batch for all trials that ended in this visit: the best so far, and the note."""
        direction = self._settings.get("direction", "minimize")
        metrics = [
            self._metric("best_so_far", best.value, _ms(trial.ended or 0.0), trial.number)
            for trial in self._ended.values()
            for best in self._store.best(direction, until=trial.ended)
        ]
        self._batch(self._parent(), metrics, {}, {"mlflow.note.content": self._note()})

    def _note(self) -> str:
        baselines = [each for each in self._store.trials("baseline") if each.ended]
        counts = self._store.counts()
        return content.note(self._settings, counts, self._best(), baselines)

    def _best(self) -> Trial | None:
        found = self._store.best(self._settings.get("direction", "minimize"))
        return found[0] if found else None

    # MLflow

    def _find(self) -> None:
        """Learn which runs MLflow has of this study, and close those that nobody runs any more.

        Runs that the store knows are believed, unless a failed call gave reason for doubt: then
        only those that are found count, and the others are made anew when they are needed.
        """
        self._experiment = None
        there: dict[Pair, list[Any]] = {}  # the newest first
        for page in self._pages():
            for run in page:
                there.setdefault(_pair(run), []).append(run)
            if not self._doubt and all(_pair(run) in self._runs for run in page):
                break
        found: dict[Pair, str] = {}
        for pair, runs in there.items():
            ids: list[str] = [run.info.run_id for run in runs]
            known = self._runs.get(pair, "")
            found[pair] = known if known in ids else ids[-1]
        self._new |= {pair: run for pair, run in found.items() if self._runs.get(pair) != run}
        self._runs = found if self._doubt else self._runs | found
        self._close_orphans(there)
        self._sure, self._doubt = True, False

    def _close_orphans(self, there: dict[Pair, list[Any]]) -> None:
        owed = {(each.number, each.attempt) for each in self._store.owed(1_000_000)}
        for pair, runs in there.items():
            trial = None if pair == PARENT else self._store.trial(*pair)
            alive = pair == PARENT or pair in owed or (trial and trial.status is Status.RUNNING)
            for run in runs:
                # A duplicate was made by a call whose answer was lost.
                state = "lost" if run.info.run_id == self._runs[pair] else "duplicate"
                if run.info.status == "RUNNING" and (state == "duplicate" or not alive):
                    self._client.set_tag(run.info.run_id, "hpsearch.state", state)
                    self._client.set_terminated(run.info.run_id, "KILLED")

    def _pages(self) -> Iterator[list[Any]]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id()],
                f"tags.`hpsearch.study_id` = '{self._store.id}'",
                max_results=PAGE,
                page_token=token,
            )
            yield list(page)
            token = page.token
            if not token:
                return

    def _experiment_id(self) -> str:
        if self._experiment is None:
            root = self._store.folder.parent.parent
            self._experiment = open_experiment(self._client, self._uri, self._settings, root)
        return self._experiment

    def _create(self, pair: Pair, name: str, tags: dict[str, str], started: float) -> str:
        run = self._client.create_run(
            self._experiment_id(), start_time=_ms(started), tags=tags, run_name=name
        )
        run_id: str = run.info.run_id
        home = urlsplit(run.info.artifact_uri)
        if home.scheme == "file" and not self._uri.startswith("http"):
            self._homes[run_id] = Path(url2pathname(home.path))
        self._runs[pair] = self._new[pair] = run_id
        return run_id

    def _write(self, run_id: str, name: str, text: str) -> None:
        home = self._homes.get(run_id)
        if home is None:
            self._client.log_text(run_id, text, name)
        else:  # as MLflow does, without its asking the database where that is (5 ms)
            home.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text, encoding="utf-8")

    def _batch(
        self, run_id: str, metrics: list[Any], params: dict[str, str], tags: dict[str, str]
    ) -> None:
        from mlflow.entities import Param, RunTag

        some = [Param(key, value) for key, value in params.items()]
        words = [RunTag(key, value) for key, value in tags.items()]
        parts = max(len(metrics) / METRICS, len(some) / WORDS, len(words) / WORDS, 1)
        for part in range(math.ceil(parts)):
            few = slice(part * WORDS, (part + 1) * WORDS)
            many = slice(part * METRICS, (part + 1) * METRICS)
            self._client.log_batch(run_id, metrics[many], some[few], words[few])

    @staticmethod
    def _metric(key: str, value: float | None, when: int, step: int) -> Any:
        from mlflow.entities import Metric

        return Metric(key, 0.0 if value is None else value, when, step)


def _inputs(settings: Settings) -> list[Any]:
    """The data of the study as MLflow shows it, from its facts alone."""
    data = settings.get("data")
    if not data:
        return []
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=without_passwords(str(data.get("name") or "data"))[:500],
        digest=str(data.get("digest") or "unknown")[:36],
        source_type="code",
        source=json_without_passwords({"space": settings.get("space", "")}),
        profile=json_without_passwords(data.get("shapes", {})),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]


def _pair(run: Any) -> Pair:
    tags = run.data.tags
    if "hpsearch.number" not in tags:
        return PARENT
    return int(tags["hpsearch.number"]), int(tags["hpsearch.attempt"])


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
