"""The study store: every trial of a study in one SQLite file, committed before anything else.

A study lives in a folder of its own with its database, its lock and the files of its trials. The
database is the truth about the study; MLflow is its projection, so the database also holds an
outbox: references to what MLflow has not been told yet (see `hpsearch.record`).

One driver writes to a study at a time: it holds an operating-system lock that dies with its
process. Reading needs no lock. A `Store` may be used from several threads; each of them gets a
connection of its own, so that the logger never makes the driver wait for its reads.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..errors import StudyError, nearest
from ..trial import Key, Outcome, Status, Trial
from ..wire import from_json, to_json
from .database import Database
from .passwords import without_passwords
from .rows import COLUMNS, MARKS, checksum, row_of, trial_of

__all__ = ["PARENT", "Parcel", "Store", "check_name", "studies"]

PARENT = (-1, -1)
"""Stands for the study itself where a trial's (number, attempt) is asked."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something that MLflow has not been told yet; the content is read from the store.

    Attributes:
        kind: ``"start"`` or ``"end"`` of a trial; for the study itself (number and attempt -1)
            ``"study"`` (its settings changed), ``"check"`` (make MLflow's runs equal to the
            trials of the store) or ``"finish"``.
    """

    id: int
    kind: str
    number: int
    attempt: int


def check_name(name: str) -> str:
    """Return `name` if it can name a study, which is also the name of its folder.

    Raises:
        StudyError: it is not 1 to 100 of the letters a-z, digits, ``.``, ``_`` and ``-``,
            beginning with a letter or digit.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    came = ascii(name) if len(ascii(name)) <= 60 else f"{ascii(name)[:50]}... ({len(name)} long)"
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", str(name)).strip("-._")[:40]
    raise StudyError(
        "A study's name has 1 to 100 characters out of letters a-z, digits, '.', '_' and '-', "
        f"and begins with a letter or digit; got {came}. Write, say, {safe or 'study-1'!r}."
    )


class Store:
    """One study on disk. Made by `create` and `open`; close it, or use it in a ``with``.

    Every method but `close` raises StudyError where the database cannot be read or written (disk
    full, no permission, damaged); what was committed before stays.

    Attributes:
        folder: the study's folder; files of its trials may be put beside the database.
        name: the study's name.
        id: 32 hexadecimal digits, drawn when the study was created.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.folder = folder
        self.name = folder.name
        self.id = ""
        self._database = Database(folder, write=write)

    @classmethod
    def create(cls, root: Path, name: str, settings: Mapping[str, Any]) -> Store:
        """Create the study `name` in ``root/name`` and open it for writing.

        Args:
            settings: JSON values; see `hpsearch.record.Settings` for those that MLflow shows.

        Raises:
            StudyError: the name is not legal, the study exists, or it cannot be written.
        """
        store = cls(Path(root) / check_name(name), write=True)
        store._database.create(to_json(settings))
        store._learn_id()
        return store

    @classmethod
    def open(cls, root: Path, name: str, *, write: bool) -> Store:
        """Open an existing study, for one writer or for any number of readers.

        Raises:
            StudyError: there is no such study, another driver runs it, or it is damaged or of
                another version of hpsearch.
        """
        store = cls(Path(root) / check_name(name), write=write)
        if not store._database.file.is_file():
            raise StudyError(
                f"There is no study {name!r} in {root}. {nearest(name, studies(Path(root)))}"
            )
        store._database.open()
        store._learn_id()
        return store

    @classmethod
    def rebuild(
        cls,
        root: Path,
        name: str,
        settings: Mapping[str, Any],
        *,
        id: str,
        trials: Sequence[Trial],
        runs: Mapping[tuple[int, int], str],
    ) -> Store:
        """Create the study `name` with what is known of it from elsewhere, all of it or nothing.

        Args:
            trials: every attempt at every trial.
            runs: the MLflow runs that have them already; see `run_ids`. The outbox is empty.

        Raises:
            StudyError: the name is not legal, the study exists, or it cannot be written.
        """

        def fill(connection: sqlite3.Connection) -> int:
            rows = [row_of(trial) for trial in trials]
            connection.executemany(f"INSERT INTO trials ({COLUMNS}) VALUES ({MARKS})", rows)
            pairs = [(*pair, run_id) for pair, run_id in runs.items()]
            connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", pairs)
            return sum(trial.ended is not None for trial in trials)

        store = cls(Path(root) / check_name(name), write=True)
        store._database.create(to_json(settings), id=id, fill=fill)
        store._learn_id()
        return store

    def _learn_id(self) -> None:
        with self._database.translated():
            row = self._database.connection().execute("SELECT id FROM study").fetchone()
        (self.id,) = row

    # What the study is

    @property
    def settings(self) -> dict[str, Any]:
        """The study's settings as they stand on disk."""
        with self._database.translated():
            row = self._database.connection().execute("SELECT settings, checksum FROM study")
            text, written = row.fetchone()
            if checksum(text) != written:
                raise ValueError("its settings are not what was written")
        settings: dict[str, Any] = from_json(text)
        return settings

    def update(self, **settings: Any) -> None:
        """Replace or add these top-level settings."""
        with self._database.transaction() as connection:
            text = to_json({**self.settings, **settings})
            connection.execute(
                "UPDATE study SET settings = ?, checksum = ?", (text, checksum(text))
            )

    # Trials

    def start(self, trial: Trial) -> None:
        """Commit the start of an attempt at a trial, before it is given to an executor.

        Raises:
            StudyError: this attempt at this trial was started before.
        """
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    f"INSERT INTO trials ({COLUMNS}) VALUES ({MARKS})", row_of(trial)
                )
            except sqlite3.IntegrityError as error:
                raise StudyError(
                    f"An attempt at a trial starts once; trial {trial.number} of study "
                    f"{self.name!r} has an attempt {trial.attempt} already. Start it as attempt "
                    f"{trial.attempt + 1}, or take the next number."
                ) from error
            _post(connection, "start", trial.number, trial.attempt)
        self._database.remember(self._database.ended)

    def end(self, outcome: Outcome, ended: float) -> Trial | None:
        """Commit the end of a running attempt, its error without passwords; return the trial.

        Args:
            ended: seconds since the epoch (UTC).

        Returns:
            None where that attempt was never started or has ended: a late or second report of
            the same end changes nothing.
        """
        number, attempt = outcome.key.number, outcome.key.attempt
        outcome = replace(
            outcome,
            error=outcome.error and without_passwords(outcome.error),
            traceback=outcome.traceback and without_passwords(outcome.traceback),
        )
        with self._database.transaction() as connection:
            trial = self.trial(number, attempt)
            if trial is None or trial.status is not Status.RUNNING:
                return None
            trial = replace(trial, ended=ended, outcome=outcome)
            connection.execute(
                f"INSERT OR REPLACE INTO trials ({COLUMNS}) VALUES ({MARKS})", row_of(trial)
            )
            _post(connection, "end", number, attempt)
        self._database.remember(self._database.ended + 1)
        return trial

    def abandon(self) -> list[Trial]:
        """End as cancelled what an earlier driver, which is no more, left running.

        The time of their end is the last at which that driver is known to have lived: the latest
        start or end of any trial.

        Returns:
            Those trials, ended.
        """
        with self._database.translated():
            connection = self._database.connection()
            running = connection.execute(
                "SELECT number, attempt FROM trials WHERE status = 'running'"
                " ORDER BY number, attempt"
            ).fetchall()
            if not running:
                return []
            row = connection.execute("SELECT max(coalesce(ended, started)) FROM trials")
            (last,) = row.fetchone()
        text = "the driver ended before this trial did"
        keys = [Key(self.name, number, attempt) for number, attempt in running]
        ended = [self.end(Outcome(key, Status.CANCELLED, error=text), last) for key in keys]
        return [trial for trial in ended if trial is not None]

    def trials(self, source: str | None = None) -> list[Trial]:
        """Every attempt at every trial (of this source), ordered by (number, attempt)."""
        with self._database.translated():
            rows = self._database.connection().execute(
                "SELECT * FROM trials WHERE ?1 IS NULL OR source = ?1 ORDER BY number, attempt",
                (source,),
            )
            return [trial_of(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many attempts stand how: ``{"ok": 12, "failed": 1}``."""
        with self._database.translated():
            rows = self._database.connection().execute(
                "SELECT status, count(*) FROM trials GROUP BY status"
            )
            return dict(rows.fetchall())

    def trial(self, number: int, attempt: int = 0) -> Trial | None:
        """One attempt at a trial, None where it was never started."""
        with self._database.translated():
            row = (
                self._database.connection()
                .execute(
                    "SELECT * FROM trials WHERE number = ? AND attempt = ?",
                    (number, attempt),
                )
                .fetchone()
            )
        return None if row is None else trial_of(row)

    def best(self, direction: str, *, count: int = 1, until: float | None = None) -> list[Trial]:
        """The `count` best trials that ended well, best first; of equals the earlier one.

        Args:
            direction: ``"maximize"`` or ``"minimize"``.
            until: only trials that ended up to then, in seconds since the epoch.
        """
        order = {"maximize": "DESC", "minimize": "ASC"}[direction]
        with self._database.translated():
            rows = self._database.connection().execute(
                "SELECT * FROM trials WHERE status = 'ok' AND value IS NOT NULL"
                f" AND ended <= ? ORDER BY value {order}, number, attempt LIMIT ?",
                (9e99 if until is None else until, count),
            )
            return [trial_of(row) for row in rows]

    # The outbox

    def queue(self, kind: str) -> None:
        """Put a parcel about the study itself into the outbox; see `Parcel` for the kinds."""
        with self._database.transaction() as connection:
            _post(connection, kind, *PARENT)

    def queue_again(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Owe the ends of these (number, attempt) again, but for those that are owed already."""
        with self._database.transaction() as connection:
            owed = set(connection.execute("SELECT number, attempt FROM outbox WHERE kind = 'end'"))
            for number, attempt in sorted(set(pairs) - owed):
                _post(connection, "end", number, attempt)

    def owed(self, limit: int = 100) -> list[Parcel]:
        """What is still to be delivered, oldest first."""
        with self._database.translated():
            rows = self._database.connection().execute(
                "SELECT id, kind, number, attempt FROM outbox ORDER BY id LIMIT ?",
                (limit,),
            )
            return [Parcel(*row) for row in rows]

    def owing(self) -> int:
        """How many parcels are still to be delivered."""
        with self._database.translated():
            row = self._database.connection().execute("SELECT count(*) FROM outbox").fetchone()
        return int(row[0])

    def delivered(
        self, ids: Iterable[int], runs: Mapping[tuple[int, int], str] | None = None
    ) -> None:
        """Take parcels out of the outbox, and remember the MLflow runs they went to."""
        with self._database.transaction() as connection:
            for (number, attempt), run_id in (runs or {}).items():
                connection.execute("REPLACE INTO runs VALUES (?, ?, ?)", (number, attempt, run_id))
            connection.executemany("DELETE FROM outbox WHERE id = ?", [(item,) for item in ids])

    def run_ids(self) -> dict[tuple[int, int], str]:
        """The MLflow run of each (number, attempt); that of the study is under `PARENT`."""
        with self._database.translated():
            rows = self._database.connection().execute("SELECT number, attempt, run_id FROM runs")
            return {(number, attempt): run_id for number, attempt, run_id in rows}

    def set_run_id(self, number: int, attempt: int, run_id: str) -> None:
        """Remember the MLflow run of a trial, or with `PARENT` that of the study."""
        with self._database.transaction() as connection:
            connection.execute("REPLACE INTO runs VALUES (?, ?, ?)", (number, attempt, run_id))

    def is_run(self) -> bool:
        """Whether a process, this one or another, has the study open for writing."""
        return self._database.is_run()

    def close(self) -> None:
        """Close every connection and let go of the lock. May be called twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def studies(root: Path) -> list[str]:
    """The names of the studies in the folder `root`, the one that was last run first.

    A study is run when it is made, opened for writing, and when a trial starts or ends. Reading it
    changes nothing.
    """
    found = []
    for file in Path(root).glob("*/study.db"):
        if NAME.fullmatch(file.parent.name):
            found.append((_last_run(file), file.parent.name))
    return [name for _, name in sorted(found, reverse=True)]


def _last_run(file: Path) -> int:
    """When the study with this database was last run, in nanoseconds since the epoch."""
    for each in (file.with_name("lock"), file):  # the lock may be deleted: see `Database`
        try:
            return each.stat().st_mtime_ns
        except OSError:
            continue
    return 0


def _post(connection: sqlite3.Connection, kind: str, number: int, attempt: int) -> None:
    connection.execute(
        "INSERT INTO outbox (kind, number, attempt) VALUES (?, ?, ?)",
        (kind, number, attempt),
    )
