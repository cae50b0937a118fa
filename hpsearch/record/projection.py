"""What MLflow holds of one study, and every call that changes it.

Everything here can be done twice without harm: runs are found by their tags before they are made,
and numbers carry the times of the trial, not of the call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

from ..store import PARENT, Parcel, Store, json_without_passwords, without_passwords
from ..trial import Status, Trial, finite
from . import content
from .content import Settings
from .runs import Pair, began, pages, pair_of
from .tracking import open_experiment
from .view import share
from .writing import Writer, metric, milliseconds

__all__ = ["Epochs", "Projection"]

Epochs: TypeAlias = dict[int, tuple[float, dict[str, float]]]
"""``{epoch: (seconds since 1970, metrics)}``, as they were reported."""

TELL = 5.0  # seconds between writes to the study's own run


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
        self._writer = Writer(client, uri)
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
        self._inputs = _inputs(self._settings)
        self._baselines: list[Trial] | None = None  # that have ended, as the note has them

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
        self._ended = {}  # written again, if it is to a run that is not there any more

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
        self._writer.batch(run_id, [], content.child_params(trial.point), {})
        self._writer.file(run_id, "trial.json", content.trial_json(trial))
        self._done.append(parcel.id)

    def end(self, parcel: Parcel, trial: Trial, reports: Epochs) -> None:
        """Write all that is to be said of an ended trial in one batch, then end its run."""
        outcome = trial.outcome
        pair = (trial.number, trial.attempt)
        if outcome is None:
            return
        if outcome.status is Status.REJECTED:
            self._reject(trial)
            self._done.append(parcel.id)
            return
        known = pair in self._runs
        run_id = self._run(trial)
        ended = trial.ended or trial.started
        labels = self._settings.get("labels", [])
        metrics = [
            metric(key, value, ended, 0)
            for key, value in content.child_metrics(trial, labels).items()
        ]
        metrics += self._curve_metrics(trial, reports)
        tags = self._child_tags(trial) if known else {}  # a new run was made with them
        self._writer.batch(run_id, metrics, content.child_params(trial.point), tags)
        self._writer.file(run_id, "trial.json", content.trial_json(trial))
        if outcome.error:
            text = outcome.traceback or outcome.error
            self._writer.file(run_id, "error.txt", without_passwords(text))
        self._writer.end(run_id, content.run_status(outcome.status), ended)
        self._sent.pop(pair, None)
        self._ended[parcel.id] = trial

    def _reject(self, trial: Trial) -> None:
        """A rejected trial has no run, but algorithms learn from it: the study's run keeps it."""
        run_id = self._runs.pop((trial.number, trial.attempt), None)
        if run_id is not None:
            self._client.delete_run(run_id)
        name = f"rejected/{trial.number}-{trial.attempt}.json"
        self._writer.file(self._parent(), name, content.trial_json(trial))

    def curve(self, pair: Pair, epochs: Epochs) -> None:
        """Send those epochs of a running trial that were not sent before."""
        run_id = self._runs.get(pair)
        sent = self._sent.setdefault(pair, set())
        fresh = {epoch: epochs[epoch] for epoch in sorted(epochs) if epoch not in sent}
        if run_id is None or not fresh:
            return
        metrics = [
            metric(content.legal(key), value, when, epoch)
            for epoch, (when, values) in fresh.items()
            for key, value in values.items()
            if finite(value)
        ]
        self._writer.batch(run_id, metrics, {}, {})
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
                metrics += [metric(k, v, when, epoch) for k, v in values.items()]
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
        return content.child_tags(self._store.id, self._settings, trial)

    # The study

    def study(self, parcel: Parcel) -> None:
        """Write the settings of the study as they stand; with ``"finish"`` also its end."""
        if parcel.kind == "check":
            self._doubt = True
            self._find()
        else:
            fresh = PARENT not in self._runs
            run_id = self._parent()
            if not fresh:
                self._describe(run_id)
            if parcel.kind == "finish":
                self._finish(run_id)
            elif not fresh:
                self._client.update_run(run_id, status="RUNNING")
        self._done.append(parcel.id)

    def _parent(self) -> str:
        if PARENT not in self._runs:
            tags = content.parent_tags(self._store.id, self._settings, "running")
            started = min((trial.started for trial in self._store.trials()), default=time.time())
            run_id = self._create(PARENT, self._store.name, tags, started)
            self._store.set_run_id(*PARENT, run_id)
            children = [child for pair, child in self._runs.items() if pair != PARENT]
            for child in children:  # of a parent that someone deleted
                self._client.set_tag(child, "mlflow.parentRunId", run_id)
            if children:
                ended = [trial for trial in self._store.trials() if trial.ended is not None]
                self._writer.batch(run_id, self._best_so_far(ended), {}, {})
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
        self._writer.batch(run_id, self._test_metrics(), params, tags)
        text = settings.get("source_text")
        others = {key: value for key, value in settings.items() if key != "source_text"}
        documents = {
            "space.json": settings.get("description"),
            "study.json": {"id": self._store.id, "name": self._store.name, **others},
        }
        for name, document in documents.items():
            self._writer.file(run_id, name, json_without_passwords(document))
        if text is not None:  # as it is searched, whatever has become of the file
            name = Path(settings.get("source") or "space.py").name
            self._writer.file(run_id, name, without_passwords(text))
        self.link = share(self._client, self._experiment_id(), self._store.id, settings)

    def _test_metrics(self) -> list[Any]:
        """Those of the best trial, if it was tested: an earlier best's would be taken for them."""
        best = self._best()
        test = {} if best is None else content.test_of(self._settings, best.number)
        now = time.time()
        return [
            metric(content.legal(f"test.{key}"), value, now, 0)
            for key, value in test.items()
            if finite(value)
        ]

    def _finish(self, run_id: str) -> None:
        trials = self._store.trials()
        table = content.trials_csv(trials, self._settings.get("labels", []))
        self._writer.file(run_id, "trials.csv", table)
        state = self._settings.get("state", "finished")
        self._client.set_tag(run_id, "hpsearch.state", state)
        ended = max((trial.ended or trial.started for trial in trials), default=time.time())
        status = "KILLED" if state in ("interrupted", "killed") else "FINISHED"
        self._writer.end(run_id, status, ended)

    def _tell_parent(self) -> None:
        """One batch for all trials that ended in this visit: the best so far, and the note."""
        metrics = self._best_so_far(self._ended.values())
        self._writer.batch(self._parent(), metrics, {}, {"mlflow.note.content": self._note()})

    def _best_so_far(self, ended: Iterable[Trial]) -> list[Any]:
        direction = self._settings.get("direction", "minimize")
        return [
            metric("best_so_far", best.value, trial.ended or 0.0, trial.number)
            for trial in ended
            for best in self._store.best(direction, until=trial.ended)
        ]

    def _note(self) -> str:
        counts = self._store.counts()
        return content.note(self._settings, counts, self._best(), self._ended_baselines())

    def _ended_baselines(self) -> list[Trial]:
        """Found again only once another has ended: the whole table has to be gone through."""
        ended = (trial.source for trial in self._ended.values())
        if self._baselines is None or "baseline" in ended:
            self._baselines = [each for each in self._store.trials("baseline") if each.ended]
        return self._baselines

    def _best(self) -> Trial | None:
        found = self._store.best(self._settings.get("direction", "minimize"))
        return found[0] if found else None

    # MLflow

    def _find(self) -> None:
        """Learn which runs MLflow has of this study, and put right what is wrong with them.

        Runs that the store knows are believed, unless there is reason for doubt: then only those
        that are found count, and what is missing is owed again.
        """
        self._experiment = None
        there: dict[Pair, list[Any]] = {}  # the newest first
        since = self._unsure_since()
        for page in pages(self._client, self._experiment_id(), self._store.id):
            for run in page:
                there.setdefault(pair_of(run), []).append(run)
            new = [run for run in page if self._runs.get(pair_of(run)) != run.info.run_id]
            since = min([since, *map(began, new)])
            if not self._doubt and not new and page and began(page[-1]) < since:
                break
        found: dict[Pair, str] = {}
        for pair, runs in there.items():
            ids: list[str] = [run.info.run_id for run in runs]
            known = self._runs.get(pair, "")
            found[pair] = known if known in ids else ids[-1]
        self._new |= {pair: run for pair, run in found.items() if self._runs.get(pair) != run}
        self._runs = found if self._doubt else self._runs | found
        again = self._put_right(there)
        if self._doubt:
            again |= self._missing(found)
        self._store.queue_again(again)
        self._sure, self._doubt = True, False

    def _missing(self, found: dict[Pair, str]) -> set[Pair]:
        """The trials that MLflow has lost, whose models it is owed again as well."""
        missing = {
            (trial.number, trial.attempt)
            for trial in self._store.trials()
            if trial.ended is not None and trial.status is not Status.REJECTED
        }.difference(found)
        logged = self._settings.get("logged", [])
        left = [pair for pair in logged if (pair[0], pair[1]) not in missing]
        if left != logged:
            self._store.update(logged=left)
        return missing

    def _unsure_since(self) -> float:
        """When the first trial began whose run may be there unknown, in milliseconds since 1970.

        A run becomes known with the delivery that it was made for: one that was made just before a
        driver was killed is that of a trial that is still owed, which may have begun long ago.
        """
        if PARENT not in self._runs:
            return -math.inf
        owed = {(each.number, each.attempt) for each in self._store.owed(1_000_000)}
        trials = (self._store.trial(*pair) for pair in owed.difference(self._runs))
        return min((milliseconds(trial.started) for trial in trials if trial), default=math.inf)

    def _put_right(self, there: dict[Pair, list[Any]]) -> set[Pair]:
        """Delete runs made twice, close those that nobody runs; return the trials to tell again."""
        owed = {(each.number, each.attempt) for each in self._store.owed(1_000_000)}
        again: set[Pair] = set()
        for pair, runs in there.items():
            for run in runs:
                run_id, runs_on = run.info.run_id, run.info.status == "RUNNING"
                if run_id != self._runs[pair]:  # made by a call whose answer was lost
                    if runs_on or self._shows(run, pair):
                        self._client.delete_run(run_id)
                elif runs_on and pair != PARENT and pair not in owed:
                    trial = self._store.trial(*pair)
                    if trial is None:
                        self._client.set_tag(run_id, "hpsearch.state", "lost")
                        self._client.set_terminated(run_id, "KILLED")
                    elif trial.status is not Status.RUNNING:
                        again.add(pair)
        return again

    def _shows(self, run: Any, pair: Pair) -> bool:
        """Whether an ended run shows this very attempt, not that of a copy of the study elsewhere."""
        trial = self._store.trial(*pair)
        return trial is not None and began(run) == milliseconds(trial.started)

    def _experiment_id(self) -> str:
        if self._experiment is None:
            root = self._store.folder.parent.parent
            self._experiment = open_experiment(self._client, self._uri, self._settings, root)
        return self._experiment

    def _create(self, pair: Pair, name: str, tags: dict[str, str], started: float) -> str:
        run_id = self._writer.create(self._experiment_id(), name, tags, started)
        self._runs[pair] = self._new[pair] = run_id
        return run_id


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
