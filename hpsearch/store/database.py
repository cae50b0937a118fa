"""The file a study lives in: its folder, its lock, its connections, and what can go wrong with it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import StudyBusy, StudyError
from .rows import checksum

__all__ = ["Database"]

APPLICATION = 0x68707331  # "hps1" in the file's header, so that tools can tell what it is
VERSION = 3
OLDER = 2  # without `why`; read as it is, and given that column when it is opened for writing
WAIT = 10.0  # seconds to wait for another connection's write
TRIES = 3  # at the lock: a reader who asks whether it is taken has it for a moment
MOMENT = 0.02  # seconds between them
_held: set[tuple[int, int, int]] = set()  # the locks of studies that this process has
SCHEMA = """
CREATE TABLE study (id TEXT NOT NULL, settings TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE trials (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL,
    value REAL,
    started REAL NOT NULL,
    ended REAL,
    source TEXT NOT NULL,
    name TEXT,
    seed INTEGER NOT NULL,
    point TEXT NOT NULL,
    outcome TEXT,
    checksum INTEGER NOT NULL,
    why TEXT,
    PRIMARY KEY (number, attempt)
);
CREATE INDEX trials_by_value ON trials (status, value);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL
);
CREATE TABLE runs (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (number, attempt)
);
"""


class Database:
    """The SQLite file of one study, open for one writing process or for reading.

    Every thread gets a connection of its own. What SQLite and the file system raise becomes
    StudyError, with what to do about it.

    Attributes:
        ended: how many ended trials the lock file speaks of; see `remember`.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.file = folder / "study.db"
        self.ended = 0
        self._folder = folder
        self._name = folder.name
        self._write = write
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._guard = threading.Lock()
        self._lock: int | None = None
        self._closed = False

    def create(
        self,
        settings: str,
        *,
        id: str | None = None,
        fill: Callable[[sqlite3.Connection], int] | None = None,
    ) -> None:
        """Make the folder and in it a new study with these settings, as JSON; then as `open`.

        Args:
            id: the study's; a new one where it is None.
            fill: writes the trials that the study begins with, and returns how many have ended.
        """
        with self.translated(), self._closed_on_error():
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._refuse_existing()
            self._take_lock()
            self._refuse_existing()  # another process may have made it in between
            self._make(settings, id or uuid.uuid4().hex, fill)
            self._check()

    def open(self) -> None:
        """Take the lock, if it is to be written, and refuse a file that is damaged or not ours.

        What is to be written gets the format of this version.
        """
        with self.translated(), self._closed_on_error():
            if self._write:
                self._take_lock()
            self.ended = self._remembered()  # before the trials are counted: a driver may run
            if self._check() == OLDER and self._write:
                self._upgrade()
            self.remember(self.ended)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise StudyError(
                f"A study is used until it is closed, and {self._name!r} is closed. Open it again."
            )
        if connection is None:
            connection = sqlite3.connect(
                f"{self.file.absolute().as_uri()}?{self._mode()}",
                uri=True,
                timeout=WAIT,
                isolation_level=None,  # transactions are written out, below
                check_same_thread=False,  # `close` may come from another thread
            )
            with self._guard:  # first, so that `close` finds it whatever comes
                self._connections.append(connection)
            connection.execute("PRAGMA synchronous = FULL")
            self._local.connection = connection
        return connection

    def _mode(self) -> str:
        """How SQLite opens the file. Even to read it makes files beside it, where it may."""
        if self._write:
            return "mode=rw"
        journal = self.file.with_name(f"{self.file.name}-wal")
        if os.access(self._folder, os.W_OK) or journal.exists():
            return "mode=ro"
        return "mode=ro&immutable=1"  # no driver has it open, and no file can be made beside it

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block does as a whole, or nothing of it."""
        if not self._write:
            raise StudyError(
                f"Study {self._name!r} was opened for reading, and this would change it. "
                "Open it with write=True."
            )
        with self.translated(writing=True):
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have rolled it back already
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def translated(self, *, writing: bool = False) -> Iterator[None]:
        """Turn the errors of the database and of the file system into StudyError.

        Args:
            writing: the block commits something, which is lost where it cannot be written.
        """
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(str(error), writing) from error
        except OSError as error:
            raise self._explain(error.strerror or str(error), writing) from error
        except ValueError as error:  # a checksum, or text that is none
            raise self._damaged(str(error)) from error

    def _explain(self, reason: str, writing: bool) -> StudyError:
        where = f"study {self._name!r} ({self.file})"
        reason = reason.rstrip(".")
        low = reason.lower()
        if "full" in low or "no space" in low:
            return StudyError(
                f"A trial is stored before the search goes on, and there is no space left to write "
                f"{where}: {reason}. Free some, then `hpsearch resume {self._name}`."
            )
        if "readonly" in low or "read-only" in low or "permission" in low:
            return StudyError(
                f"A study's folder must be writable, and {where} is not: {reason}. "
                "Change its permissions, or choose another folder."
            )
        if any(word in low for word in ("malformed", "not a database", "no such", "decode")):
            return self._damaged(reason)
        if writing:
            return StudyError(
                f"A trial is stored before the search goes on, and {where} cannot be written: "
                f"{reason}. What was stored before is kept; a trial whose end could not be stored "
                f"runs again. See to that, then `hpsearch resume {self._name}`."
            )
        return StudyError(f"Cannot use {where}: {reason}. Nothing was changed; try again.")

    def _damaged(self, reason: str) -> StudyError:
        return StudyError(
            f"A study is used only if it is whole, and the database of study {self._name!r} "
            f"({self.file}) is damaged: {reason}. Nothing was changed. Restore the file from a "
            "copy, or move the folder away and start a new study."
        )

    def remember(self, ended: int) -> None:
        """Write beside the database how many trials have ended, so that a loss is noticed.

        SQLite drops whatever follows a damaged place in its write-ahead log without a word. The
        time of this file is also when the study was last run: nothing else tells, as readers
        make and remove the journal files of the database.
        """
        self.ended = ended
        if self._lock is not None:
            os.pwrite(self._lock, f"{ended:<20d}\n".encode(), 0)

    def close(self) -> None:
        """Close every connection and let go of the lock. May be called twice."""
        with self._guard:
            self._closed = True
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        if self._lock is not None:
            _held.discard(_identity(self._lock))
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        """Hold the study until this process ends, however it ends."""
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(TRIES):
            if _flock(self._lock, fcntl.LOCK_EX):
                _held.add(_identity(self._lock))
                return
            time.sleep(MOMENT)
        lock, self._lock = self._lock, None
        here = _identity(lock) in _held
        os.close(lock)
        if here:
            raise StudyBusy(
                f"This program has the study {self._name!r} open already. End that first: "
                "study.close() in Python, or leave its `with` block."
            )
        raise StudyBusy(
            f"One process at a time runs a study, and another one is running {self._name!r}. "
            f"Wait for it or stop it; `hpsearch show {self._name}` works meanwhile."
        )

    def is_run(self) -> bool:
        """Whether a process, this one or another, has the study open for writing."""
        if self._lock is not None:
            return True
        try:
            lock = os.open(self._folder / "lock", os.O_RDONLY)
        except OSError:  # it may be deleted
            return False
        try:
            with self.translated():
                return not _flock(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)

    def _remembered(self) -> int:
        """What `remember` wrote last, 0 if nothing."""
        try:
            text = (self._folder / "lock").read_bytes()[:32].strip()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() else 0

    def _refuse_existing(self) -> None:
        if self.file.exists():
            raise StudyError(
                f"A new study needs a new name; {self._name!r} exists in {self._folder.parent}. "
                f"Write `hpsearch resume {self._name}` to go on with it, or choose another name."
            )

    def _make(
        self, settings: str, id: str, fill: Callable[[sqlite3.Connection], int] | None
    ) -> None:
        # Built under another name: a crash in the middle leaves no half-made study. The journal
        # files get the permissions of the database.
        draft = self._folder / f"study.db.{uuid.uuid4().hex}"
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO study VALUES (?, ?, ?)", (id, settings, checksum(settings))
            )
            ended = 0 if fill is None else fill(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        draft.rename(self.file)
        _sync(self._folder)
        self.remember(ended)

    def _check(self) -> int:
        """Return the format of the database; refuse one that is damaged, shortened, or not ours."""
        connection = self.connection()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application == APPLICATION and version not in (OLDER, VERSION):
            raise StudyError(
                f"This hpsearch reads studies of formats {OLDER} and {VERSION}; {self.file} has "
                f"format {version}. Use the version of hpsearch that made it, or start a new study."
            )
        if application != APPLICATION:
            raise self._damaged("its header has no mark of a study")
        found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise self._damaged(found[0].replace("*** in database main ***\n", "").rstrip("."))
        self._refuse_shortened(connection)
        return int(version)

    def _upgrade(self) -> None:
        """From format 2 to 3; no row is rewritten. Readers that have the file open read on."""
        with self.transaction() as connection:
            connection.execute("ALTER TABLE trials ADD COLUMN why TEXT")
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _refuse_shortened(self, connection: sqlite3.Connection) -> None:
        (ended,) = connection.execute("SELECT count(ended) FROM trials").fetchone()
        if ended < self.ended:
            raise StudyError(
                f"The database of study {self._name!r} is damaged: it has {ended} of the "
                f"{self.ended} trials that ended. Restore {self.file} and {self.file.name}-wal, "
                f"or delete {self._folder / 'lock'} to go on without the others."
            )
        self.ended = ended


def _identity(lock: int) -> tuple[int, int, int]:
    """Of an open file, and of this process: a fork has what its parent held in its memory too."""
    found = os.fstat(lock)
    return (os.getpid(), found.st_dev, found.st_ino)


def _flock(lock: int, how: int) -> bool:
    """Take a lock, if nobody has it."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _sync(folder: Path) -> None:
    """Make a rename in `folder` last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
