"""The logger thread: carries parcels from a study's outbox to MLflow, each of them once.

It never makes the driver wait. What MLflow does not accept stays owed and is tried again, now and
when the study is next opened. Everything it writes can be written twice without harm: runs are
found by their tags before they are made, and numbers carry the times of the trial, not of the call.
"""

from __future__ import annotations

import threading
import time

from ..errors import HpsearchError
from ..store import PARENT, Parcel, Store
from ..trial import Report, Status
from .projection import Epochs, Projection
from .runs import Pair
from .tracking import PATIENT, connect, explained, first_line

__all__ = ["Recorder"]

TICK = 0.25  # seconds between looks into the outbox
VISIT = 2.0  # seconds after which what was delivered is noted down
LONGEST_PAUSE = 60.0
FIRST_WORD = 120.0  # for MLflow to be imported and to make its tables, where others do so too
LONGEST_REFUSAL = 15.0  # between tries where MLflow takes other things meanwhile


class Recorder:
    """Projects one study, opened for writing, into MLflow at `uri` until it is closed.

    Args:
        hold: seconds for which the start of a trial is held back, so that short trials cost one
            visit and rejected ones none.
        curves: seconds between the points of a running trial's curves.
        offline: leave MLflow alone; everything stays owed.

    Attributes:
        told: the attempts at trials whose ends MLflow was told.
    """

    def __init__(
        self,
        store: Store,
        uri: str,
        *,
        hold: float = 3.0,
        curves: float = 10.0,
        offline: bool = False,
    ) -> None:
        self._store = store
        self._uri = uri
        self._hold = hold
        self._curves = curves
        self._offline = offline
        self._projection: Projection | None = None
        self._trouble: str | None = None
        self.told: set[Pair] = set()
        self._reports: dict[tuple[int, int], Epochs] = {}
        self._seen: dict[
            tuple[int, int], float
        ] = {}  # when starts were first seen, by no wall clock
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._connected = threading.Event()  # or it was tried once
        self._done = threading.Condition()
        # A daemon: a server that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="hpsearch-record", daemon=True)
        if not offline:
            self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why MLflow does not get its parcels at the moment, in one line."""
        return self._trouble

    @property
    def link(self) -> str | None:
        """The page of this study, from the ``#`` on; None until the study has been delivered."""
        return None if self._projection is None else self._projection.link

    @property
    def connected(self) -> bool:
        """Whether MLflow is at hand: its store has been opened."""
        return self._projection is not None

    @property
    def at_work(self) -> bool:
        """Whether it is this thread that delivers."""
        return self._thread is threading.current_thread()

    def progress(self, report: Report) -> None:
        """Take note of the end of an epoch of a running trial; does not block."""
        if report.fraction >= 1 and not self._offline:
            pair = (report.key.number, report.key.attempt)
            with self._guard:
                self._reports.setdefault(pair, {})[report.epoch] = (time.time(), report.metrics)

    def flush(self, timeout: float, *, idle: float | None = None) -> bool:
        """Wait until nothing is owed; False where something still is after `timeout` seconds.

        The start of a trial that runs for less than `hold` seconds counts as owed.

        Args:
            idle: wait no longer either once nothing was delivered for so many seconds; MLflow is
                given longer for its first word, as it has to be imported and may make its tables.
        """
        end = time.monotonic() + timeout
        before, since = (-1, False), time.monotonic()
        while (owing := self._store.owing()) > 0:
            connected = self._connected.is_set()
            if (owing, connected) != before:
                before, since = (owing, connected), time.monotonic()
            left = end - time.monotonic()
            if idle is not None:
                patience = idle if connected else max(idle, FIRST_WORD)
                left = min(left, since + patience - time.monotonic())
            if left <= 0 or not self._thread.is_alive():
                return False
            with self._done:
                self._hurry.set()
                self._wake.set()
                self._done.wait(min(left, LONGEST_PAUSE))
            if self._trouble is not None:  # where it fails at once, do not try without pause
                self._stop.wait(max(0.0, min(0.5, end - time.monotonic())))
        return True

    def close(self, timeout: float = 2.0) -> None:
        """Stop after the parcel that is under way; what is owed stays owed."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive() and not self.at_work:
            self._thread.join(timeout)

    def _work(self) -> None:
        pause = TICK
        curves = time.monotonic()
        while not self._stop.is_set():
            if self._wake.wait(pause):
                self._wake.clear()
            try:
                self._pass()
                if time.monotonic() - curves >= self._curves:
                    curves = time.monotonic()
                    self._running_curves()
                pause = TICK if self._trouble is None else min(max(1.0, 2 * pause), LONGEST_REFUSAL)
            except Exception as error:  # nothing of MLflow may hurt the search
                self._trouble = _line(error)
                pause = min(max(1.0, 2 * pause), LONGEST_PAUSE)
                if self._projection is not None:
                    self._projection.doubt()
            with self._done:
                self._done.notify_all()

    def _pass(self) -> None:
        """Deliver what can be delivered now; raise where MLflow as a whole does not answer."""
        parcels = self._store.owed(1000)
        if not parcels:
            self._trouble = None
        if not parcels or self._stop.is_set():
            return
        until = time.monotonic() + VISIT
        with PATIENT:
            if self._projection is None:
                self._projection = self._connect()
            trouble = None
            self._projection.hurry = self._hurry.is_set()
            self._hurry.clear()
            with self._projection as projection:
                for parcel in parcels:
                    if self._stop.is_set() or time.monotonic() > until:
                        break
                    try:
                        self._deliver(projection, parcel)
                    except Exception as error:
                        if not _refused(error):
                            raise
                        projection.doubt()
                        trouble = _line(error)
            self._trouble = trouble

    def _connect(self) -> Projection:
        try:
            with explained(self._uri):
                return Projection(self._store, self._uri, connect(self._uri))
        finally:
            self._connected.set()

    def _deliver(self, projection: Projection, parcel: Parcel) -> None:
        pair = (parcel.number, parcel.attempt)
        if pair == PARENT:
            projection.study(parcel)
            return
        if projection.has(parcel):
            return
        trial = self._store.trial(*pair)
        if trial is None or (parcel.kind == "start" and trial.status is not Status.RUNNING):
            projection.delivered(parcel)  # its end, which follows, tells it all
        elif parcel.kind == "end":
            with self._guard:
                reports = dict(self._reports.get(pair, {}))
            projection.end(parcel, trial, reports)
            self.told.add(pair)
            self._seen.pop(pair, None)
            with self._guard:
                self._reports.pop(pair, None)
        elif time.monotonic() - self._seen.setdefault(pair, time.monotonic()) >= self._hold:
            projection.start(parcel, trial)

    def _running_curves(self) -> None:
        projection = self._projection
        if projection is None:
            return
        with self._guard:
            reports = {pair: dict(epochs) for pair, epochs in self._reports.items()}
        with PATIENT:
            for pair, epochs in reports.items():
                projection.curve(pair, epochs)


def _refused(error: Exception) -> bool:
    """Whether MLflow understood a call and said no, so that other calls may still succeed."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    code = int(error.get_http_status_code())
    return 400 <= code < 500 and code not in (401, 403, 408, 429)


def _line(error: Exception) -> str:
    if isinstance(error, HpsearchError):
        return str(error).split("\n", 1)[0]
    return f"MLflow: {first_line(error)}"
