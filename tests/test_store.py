"""The study store: what it keeps through crashes, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import StudyBusy, StudyError
from hpsearch.store import (
    PARENT,
    Parcel,
    Store,
    check_name,
    json_without_passwords,
    studies,
    without_passwords,
)
from hpsearch.store.rows import COLUMNS, MARKS, row_of
from hpsearch.trial import Key, Outcome, Status, Trial, Why
from hpsearch.wire import to_json


def trial(number: int, attempt: int = 0, **more: object) -> Trial:
    point = {"optimizer": "adam", "rate": 0.1, "layers": [64, None], "über": True}
    return Trial(number, point, 7 + number, 1000.5 + number, attempt, **more)  # type: ignore[arg-type]


def outcome(number: int, attempt: int = 0, status: Status = Status.OK, **more: object) -> Outcome:
    return Outcome(Key("study", number, attempt), status, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path, "digits-1", {"space": "digits", "seed": 1}) as made:
        yield made


def reopened(store: Store) -> Store:
    store.close()
    return Store.open(store.folder.parent, store.name, write=True)


# Names


@pytest.mark.parametrize("name", ["a", "digits_mlp-3", "A.b-c_9", "9", "x" * 100])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "came"),
    [
        ("", "''"),
        (".", "'.'"),
        ("..", "'..'"),
        ("../x", "'../x'"),
        ("a/b", "'a/b'"),
        ("a\n", r"'a\n'"),
        ("-n", "'-n'"),
        ("a\0b", r"'a\x00b'"),
        ("né", r"'n\xe9'"),
        ("x" * 300, "(300 long)"),
    ],
)
def test_a_name_that_is_no_plain_folder_is_refused_and_another_proposed(
    name: str, came: str
) -> None:
    with pytest.raises(StudyError, match=r"1 to 100 characters") as caught:
        check_name(name)
    assert came in str(caught.value)
    proposed = re.search(r"Write, say, '(.+)'", str(caught.value))
    assert proposed
    assert check_name(proposed[1])


@given(st.text(max_size=120))
def test_an_accepted_name_never_leaves_its_folder(name: str) -> None:
    try:
        check_name(name)
    except StudyError:
        return
    assert (Path("/root/studies") / name).resolve().parent == Path("/root/studies")


# Reading back


def test_why_a_point_was_suggested_is_kept_to_the_trials_end(store: Store) -> None:
    whys = [
        None,
        Why("start"),
        Why("local", -0.1 - 0.2, 1e-300, 0.0, 14, 1 / 3),
        Why("parzen", math.inf, None, 0.5),
    ]
    begun = [trial(number, why=why) for number, why in enumerate(whys)]
    for each in begun:
        store.start(each)
    assert store.trials() == begun
    for each in begun:
        store.end(outcome(each.number, value=0.5), 1002.0)
    again = reopened(store)
    assert [each.why for each in again.trials()] == whys
    assert [type(each.why.nearest) for each in again.trials() if each.why][1] is int
    again.close()


def test_a_study_is_read_back_as_it_was_written(store: Store) -> None:
    store.start(trial(0, source="baseline", name="notes"))
    ended = store.end(
        outcome(
            0,
            value=0.975,
            metrics={"val_accuracy": 0.975, "odd": math.inf},
            history=({"loss": 1.0}, {"loss": 0.5}),
            epoch=1,
            params=650,
            seconds=1.25,
            facts={"phases": [1, None]},
        ),
        1002.0,
    )
    again = reopened(store)
    (back,) = again.trials()
    assert back == ended
    assert back.point == trial(0).point
    assert back.outcome is not None
    assert back.outcome.history == ({"loss": 1.0}, {"loss": 0.5})
    assert back.outcome.metrics["odd"] == math.inf
    assert (back.source, back.name, back.ended, back.status) == ("baseline", "notes", 1002.0, "ok")
    assert again.id == store.id
    again.close()


def test_a_value_that_is_no_number_is_kept_and_never_the_best(store: Store) -> None:
    for number, value in enumerate([math.nan, math.inf, -math.inf, 0.5]):
        store.start(trial(number))
        store.end(outcome(number, value=value), 1.0)
    assert math.isnan(store.trials()[0].value or 0)
    for direction in ("minimize", "maximize"):
        assert [each.number for each in store.best(direction, count=9)] == [3]


def test_trials_come_in_the_order_of_number_and_attempt(store: Store) -> None:
    for number, attempt in [(2, 0), (0, 1), (1, 0), (0, 0)]:
        store.start(trial(number, attempt, source="baseline" if number == 1 else "suggested"))
    assert [(t.number, t.attempt) for t in store.trials()] == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert [t.number for t in store.trials("baseline")] == [1]
    assert store.trial(0, 1) is not None
    assert store.trial(9) is None
    assert store.counts() == {"running": 4}


def test_the_best_is_by_direction_and_the_earlier_of_equals(store: Store) -> None:
    for number, value in enumerate([0.2, 0.9, 0.9, 0.1]):
        store.start(trial(number))
        store.end(outcome(number, value=value), 10.0 + number)
    store.start(trial(4))
    store.end(outcome(4, status=Status.FAILED, error="no"), 20.0)
    assert [t.number for t in store.best("maximize", count=2)] == [1, 2]
    assert [t.number for t in store.best("minimize")] == [3]
    assert [t.number for t in store.best("maximize", until=10.5)] == [0]
    assert store.best("maximize", until=1.0) == []


def test_settings_are_merged_and_survive(store: Store) -> None:
    store.update(seed=2, budget={"max_trials": 5})
    again = reopened(store)
    assert again.settings == {"space": "digits", "seed": 2, "budget": {"max_trials": 5}}
    again.close()


def test_an_end_that_comes_twice_late_or_for_nothing_is_ignored(store: Store) -> None:
    store.start(trial(0))
    assert store.end(outcome(0, value=1.0), 2.0) is not None
    assert store.end(outcome(0, status=Status.FAILED), 3.0) is None
    assert store.end(outcome(1), 3.0) is None
    assert store.end(outcome(0, attempt=1), 3.0) is None
    assert [each.status for each in store.trials()] == ["ok"]
    assert [each.kind for each in store.owed()] == ["start", "end"]


def test_an_attempt_that_starts_twice_is_refused(store: Store) -> None:
    store.start(trial(3))
    with pytest.raises(
        StudyError, match=r"starts once; trial 3 of study 'digits-1' has an attempt"
    ):
        store.start(trial(3))
    store.start(trial(3, attempt=1))
    assert len(store.owed()) == 2


# The outbox


def test_the_outbox_hands_out_references_oldest_first_until_they_are_delivered(
    store: Store,
) -> None:
    store.queue("study")
    store.start(trial(0))
    store.end(outcome(0), 2.0)
    store.queue("finish")
    owed = store.owed()
    assert [(p.kind, p.number, p.attempt) for p in owed] == [
        ("study", -1, -1),
        ("start", 0, 0),
        ("end", 0, 0),
        ("finish", -1, -1),
    ]
    assert store.owed(1) == [Parcel(owed[0].id, "study", *PARENT)]
    store.delivered([owed[0].id, owed[2].id], {(0, 0): "run-a"})
    again = reopened(store)
    assert [p.kind for p in again.owed()] == ["start", "finish"]
    again.set_run_id(*PARENT, "run-p")
    assert again.run_ids() == {(0, 0): "run-a", PARENT: "run-p"}
    again.close()


# Passwords


def test_passwords_leave_every_uri() -> None:
    text = "see postgresql+psycopg2://me:p%40ss@db:5/x, http://token@h and http://h:80/a@b"
    assert without_passwords(text) == (
        "see postgresql+psycopg2://***@db:5/x, http://***@h and http://h:80/a@b"
    )


@pytest.mark.parametrize(
    "password", ["hunter2", "p@ss", "a/b", "a/b@c", "80s/x", "back\\slash", ""]
)
def test_a_password_leaves_whatever_signs_it_has(password: str) -> None:
    assert without_passwords(f"x mysql://me:{password}@host/db") == "x mysql://***@host/db"
    assert without_passwords(f"['mysql://me:{password}@host']") == "['mysql://***@host']"


def test_json_without_passwords_differs_in_nothing_else() -> None:
    item = {"a": ["s3://me:pw@h", 1.5, None, math.nan], "http://me:pw@h": {"b": True, "c": "x@y"}}
    assert json.loads(json_without_passwords(item)) == {
        "a": ["s3://***@h", 1.5, None, {"__float__": "nan"}],
        "http://***@h": {"b": True, "c": "x@y"},
    }
    harmless = {"a": "http://h\nme@x", "über": [1e-9]}
    assert json_without_passwords(harmless) == to_json(harmless)


def test_an_error_is_stored_without_its_passwords(store: Store) -> None:
    store.start(trial(0))
    text = "OSError: s3://me:hunter2@h"
    ended = store.end(outcome(0, status=Status.FAILED, error=text, traceback=f"At\n{text}"), 2.0)
    assert ended is not None and ended.outcome is not None
    assert ended.error == "OSError: s3://***@h"
    assert ended.outcome.traceback == "At\nOSError: s3://***@h"
    for file in store.folder.iterdir():
        assert b"hunter2" not in file.read_bytes(), file


# One driver, many readers


def test_a_second_driver_is_refused_at_once_and_readers_are_not(store: Store) -> None:
    root = store.folder.parent
    with pytest.raises(StudyBusy, match="This program has the study 'digits-1' open already"):
        Store.open(root, "digits-1", write=True)
    text = f"""
        from pathlib import Path
        from hpsearch.store import Store
        Store.open(Path({str(root)!r}), "digits-1", write=True)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True
    )
    assert "StudyBusy: One process at a time" in ran.stderr
    assert "another one is running 'digits-1'" in ran.stderr and "hpsearch show" in ran.stderr
    with Store.open(root, "digits-1", write=False) as reader:
        store.start(trial(0))
        assert [each.number for each in reader.trials()] == [0]
        with pytest.raises(StudyError, match=r"opened for reading"):
            reader.start(trial(1))


def test_a_closed_study_can_be_read_and_its_lock_is_free(store: Store) -> None:
    store.start(trial(0))
    store.close()
    store.close()
    with pytest.raises(StudyError, match=r"is closed. Open it again"):
        store.trials()
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        assert len(reader.trials()) == 1
    reopened(store).close()


def test_readers_know_whether_a_study_is_run(store: Store) -> None:
    root = store.folder.parent
    assert store.is_run()
    with Store.open(root, store.name, write=False) as reader:
        assert reader.is_run()
        store.close()
        assert not reader.is_run()
        with reopened(store):  # having asked takes no lock
            assert reader.is_run()
        (store.folder / "lock").unlink()
        assert not reader.is_run()


def test_a_study_that_may_only_be_read_is_read_without_a_trace(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.start(trial(0))
    store.close()
    # Root may write anywhere, so what the system is asked is answered for it.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = sorted(file.name for file in store.folder.iterdir())
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        assert [each.number for each in reader.trials()] == [0]
        assert sorted(file.name for file in store.folder.iterdir()) == before
    again = reopened(store)  # its driver has not written back all that it wrote
    again.start(trial(1))
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        assert [each.number for each in reader.trials()] == [0, 1]
    again.close()


def test_two_threads_write_without_losing_anything(store: Store) -> None:
    def deliver() -> None:
        for _ in range(200):
            store.delivered([each.id for each in store.owed(5)])

    logger = threading.Thread(target=deliver)
    logger.start()
    for number in range(100):
        store.start(trial(number))
        assert store.end(outcome(number, value=float(number)), 1.0)
    logger.join()
    assert len(store.trials()) == 100


def test_an_existing_study_is_not_made_again(store: Store) -> None:
    with pytest.raises(StudyError, match=r"'digits-1' exists in .*hpsearch resume digits-1"):
        Store.create(store.folder.parent, "digits-1", {})
    assert store.settings["seed"] == 1


def test_a_study_that_is_not_there_is_refused_with_the_nearest(store: Store) -> None:
    with pytest.raises(StudyError, match=r"no study 'digit-1' in .*Did you mean 'digits-1'"):
        Store.open(store.folder.parent, "digit-1", write=False)


def test_studies_are_listed_with_the_last_written_first(tmp_path: Path) -> None:
    assert studies(tmp_path / "none") == []
    made = [Store.create(tmp_path, name, {}) for name in ("b", "a", "c")]
    (tmp_path / "empty").mkdir()
    for age, name in enumerate(["a", "c", "b"]):
        os.utime(tmp_path / name / "lock", (1e9 - age, 1e9 - age))
    assert studies(tmp_path) == ["a", "c", "b"]
    made[0].start(trial(0))
    assert studies(tmp_path) == ["b", "a", "c"]
    for each in made:
        each.close()


def test_reading_a_study_does_not_make_it_the_latest(tmp_path: Path) -> None:
    for age, name in enumerate(["a", "b", "c"]):
        Store.create(tmp_path, name, {}).close()
        for file in (tmp_path / name).iterdir():
            os.utime(file, (1e9 + age, 1e9 + age))
    for _ in range(2):
        assert studies(tmp_path) == ["c", "b", "a"]
        for name in studies(tmp_path):
            with Store.open(tmp_path, name, write=False) as reader:
                assert reader.trials() == []
    assert studies(tmp_path)[0] == "c"


@pytest.mark.parametrize("change", ["open", "start", "end"])
def test_the_study_that_is_run_is_the_latest(tmp_path: Path, change: str) -> None:
    made = {name: Store.create(tmp_path, name, {}) for name in ("a", "b")}
    made["a"].start(trial(0))
    if change == "open":
        made["a"].close()
    for age, name in enumerate(["a", "b"]):
        os.utime(tmp_path / name / "lock", (1e9 + age, 1e9 + age))
    if change == "open":
        made["a"] = Store.open(tmp_path, "a", write=True)
    elif change == "start":
        made["a"].start(trial(1))
    else:
        made["a"].end(outcome(0), 2.0)
    assert studies(tmp_path) == ["a", "b"]
    for each in made.values():
        each.close()


def test_a_study_without_its_lock_is_as_old_as_its_database(tmp_path: Path) -> None:
    for age, name in enumerate(["a", "b"]):
        Store.create(tmp_path, name, {}).close()
        (tmp_path / name / "lock").unlink()
        os.utime(tmp_path / name / "study.db", (1e9 - age, 1e9 - age))
    assert studies(tmp_path) == ["a", "b"]


def test_files_are_for_their_owner_only(store: Store) -> None:
    store.start(trial(0))
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in store.folder.iterdir()}
    assert files == dict.fromkeys(["lock", "study.db", "study.db-shm", "study.db-wal"], 0o600)


# Faults

DRIVER = """
import sys, time
from pathlib import Path
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial
with Store.open(Path(sys.argv[1]), "crash", write=True) as store:
    first = len(store.trials())
    for number in range(first, first + 100_000):
        store.start(Trial(number, {"x": number / 7}, number, time.time()))
        store.end(Outcome(Key("crash", number), Status.OK, value=number / 7), time.time())
        print(number, flush=True)
"""


def test_no_acknowledged_trial_is_lost_when_the_driver_is_killed(tmp_path: Path) -> None:
    Store.create(tmp_path, "crash", {}).close()
    for kills in range(1, 6):
        command = [sys.executable, "-c", DRIVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            assert driver.stdout is not None
            said = [driver.stdout.readline() for _ in range(20 * kills)]
            driver.send_signal(signal.SIGKILL)
            said += driver.stdout.read().splitlines(keepends=True)
        last = int([line for line in said if line.endswith("\n")][-1])
        with Store.open(tmp_path, "crash", write=True) as store:  # its lock died with it
            trials = store.trials()
            ended = [each for each in trials if each.outcome]
            assert [each.number for each in trials] == list(range(len(trials)))
            assert len(ended) >= last + 1
            sound = [each for each in ended if each.status is Status.OK]
            assert len(sound) >= len(ended) - kills
            assert all(each.value == each.number / 7 for each in sound)
            for each in trials[len(ended) :]:
                store.end(outcome(each.number, status=Status.LOST), time.time())


def damage(store: Store, change: str) -> None:
    """Close the study, then change its file as SQL or as the named damage."""
    for number in range(50):
        store.start(trial(number, why=Why("random") if number == 3 else None))
        store.end(outcome(number, value=0.5, history=({"loss": 0.1},) * 20), 2.0)
    store.close()
    file = store.folder / "study.db"
    content = bytearray(file.read_bytes())
    if change == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif change == "garbage":
        file.write_bytes(b"not a database at all" * 500)
    elif change == "empty":
        file.write_bytes(b"")
    elif change == "overwritten page":
        content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
        file.write_bytes(content)
    else:
        with sqlite3.connect(file) as connection:
            connection.executescript(change)
        connection.close()


@pytest.mark.parametrize("change", ["cut", "garbage", "empty", "overwritten page"])
def test_a_damaged_study_is_refused_loudly_and_left_as_it_is(store: Store, change: str) -> None:
    damage(store, change)
    before = (store.folder / "study.db").read_bytes()
    with pytest.raises(StudyError, match=r"damaged.*Restore the file from a copy"):
        Store.open(store.folder.parent, store.name, write=True)
    assert (store.folder / "study.db").read_bytes() == before


def test_trials_that_vanished_are_noticed(store: Store) -> None:
    damage(store, "DELETE FROM trials WHERE number > 9")
    with pytest.raises(StudyError, match=r"it has 10 of the 50 trials that ended.*or delete"):
        Store.open(store.folder.parent, store.name, write=True)
    (store.folder / "lock").unlink()
    reopened(store).close()


def test_a_damaged_point_is_reported_as_damage(store: Store) -> None:
    damage(store, "UPDATE trials SET point = '{\"x\": ' WHERE number = 3")
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        with pytest.raises(StudyError, match="is damaged: trial 3 is not what was written"):
            reader.trials()


def test_a_study_of_another_format_is_refused(store: Store) -> None:
    damage(store, "PRAGMA user_version = 99")
    for write in (True, False):
        with pytest.raises(StudyError, match=r"reads studies of formats 2 and 3; .* has format 99"):
            Store.open(store.folder.parent, store.name, write=write)


# A study of format 2 as hpsearch wrote it (commit 57ec963), which knew no `why`: its dump.
FORMAT_2 = """
BEGIN TRANSACTION;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL
);
INSERT INTO "outbox" VALUES(1,'start',0,0);
INSERT INTO "outbox" VALUES(2,'end',0,0);
INSERT INTO "outbox" VALUES(3,'start',1,0);
CREATE TABLE runs (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (number, attempt)
);
CREATE TABLE study (id TEXT NOT NULL, settings TEXT NOT NULL, checksum INTEGER NOT NULL);
INSERT INTO "study" VALUES('bf414dab5f0b44fc977da9623b82c5bc','{"metric":"val_accuracy","direction":"maximize"}',1798910769);
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
    PRIMARY KEY (number, attempt)
);
INSERT INTO "trials" VALUES(0,0,'ok',0.975,1000.5,1002.0,'baseline','notes',7,'{"rate":0.1,"act":"relu"}','{"key":{"study":"old","number":0,"attempt":0},"status":"ok","value":0.975,"error":null,"traceback":null,"metrics":{},"history":[{"val_accuracy":0.975}],"epoch":0,"params":null,"seconds":1.25,"model":null,"digest":null,"facts":{}}',249518654);
INSERT INTO "trials" VALUES(1,1,'running',NULL,1004.0,NULL,'suggested',NULL,8,'{"rate":0.01,"act":"selu"}',NULL,2032354094);
CREATE INDEX trials_by_value ON trials (status, value);
COMMIT;
PRAGMA application_id = 1752199985;
PRAGMA user_version = 2;
PRAGMA journal_mode = WAL;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder that holds the study `old` of format 2."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "lock").write_text(f"{1:<20d}\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "old" / "study.db")) as connection:
        connection.executescript(FORMAT_2)
    return tmp_path


OLD_TRIALS = [
    Trial(
        0,
        {"rate": 0.1, "act": "relu"},
        7,
        1000.5,
        source="baseline",
        name="notes",
        ended=1002.0,
        outcome=Outcome(
            Key("old", 0),
            Status.OK,
            0.975,
            history=({"val_accuracy": 0.975},),
            epoch=0,
            seconds=1.25,
        ),
    ),
    Trial(1, {"rate": 0.01, "act": "selu"}, 8, 1004.0, attempt=1),
]


def test_a_study_of_the_format_before_is_read_and_left_as_it_is(old: Path) -> None:
    before = (old / "old" / "study.db").read_bytes()
    with Store.open(old, "old", write=False) as reader:
        assert reader.trials() == OLD_TRIALS
        assert reader.trial(1, 1) == OLD_TRIALS[1] and reader.trial(1, 1).why is None
        assert reader.best("maximize") == OLD_TRIALS[:1]
    assert (old / "old" / "study.db").read_bytes() == before


def test_a_study_of_the_format_before_goes_on_and_its_readers_read_on(old: Path) -> None:
    with Store.open(old, "old", write=False) as reader:
        assert reader.trials() == OLD_TRIALS
        with Store.open(old, "old", write=True) as store:
            assert store.trials() == OLD_TRIALS
            ended = store.end(Outcome(Key("old", 1, 1), Status.OK, 0.5), 1005.0)
            new = trial(2, why=Why("tpe"))
            store.start(new)
            assert store.trials() == reader.trials() == [OLD_TRIALS[0], ended, new]
    with Store.open(old, "old", write=True) as store:  # a second time there is nothing to do
        assert store.trials() == [OLD_TRIALS[0], ended, new]


def test_a_damaged_study_of_the_format_before_is_not_given_the_new_one(old: Path) -> None:
    (old / "old" / "lock").write_text(f"{5:<20d}\n")
    before = (old / "old" / "study.db").read_bytes()
    with pytest.raises(StudyError, match="it has 1 of the 5 trials that ended"):
        Store.open(old, "old", write=True)
    assert (old / "old" / "study.db").read_bytes() == before


def test_a_full_disk_is_an_error_and_what_was_stored_stays(store: Store) -> None:
    store.start(trial(0))
    # SQLite's own limit raises what a full disk does.
    connection = store._database.connection()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StudyError, match=r"no space left.*full. Free some, then `hpsearch resume"):
        for number in range(1, 1000):
            store.start(trial(number))
    kept = store.trials()
    again = reopened(store)
    assert again.trials() == kept
    again.start(trial(1000))
    again.close()


LIMITED = """
import resource, sys
from pathlib import Path
from hpsearch.errors import StudyBusy, StudyError
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

with Store.create(Path(sys.argv[1]), "limited", {}) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        for number in range(10_000):
            store.start(Trial(number, {"x": 1}, 1, 1.0))
            store.end(Outcome(Key("limited", number), Status.OK, 1.0), 2.0)
    except StudyError as error:
        print(number, error, sep="\\n")
"""


def test_what_could_not_be_written_is_said_to_run_again_and_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    number, _, said = done.stdout.partition("\n")
    assert "cannot be written: disk I/O error. What was stored before is kept" in said
    assert "runs again. See to that, then `hpsearch resume limited`." in said
    with Store.open(tmp_path, "limited", write=True) as store:
        ended = [each.number for each in store.trials() if each.outcome]
        assert ended == list(range(int(number)))
        assert [each.number for each in store.abandon()] in ([], [int(number)])


def test_a_study_that_is_locked_by_something_else_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.store.database.WAIT", 0.1)
    store.close()
    other = sqlite3.connect(store.folder / "study.db", isolation_level=None)
    with contextlib.closing(other), reopened(store) as again:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyError, match=r"cannot be written: database is locked.*runs again"):
            again.start(trial(0))
        other.execute("ROLLBACK")
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        again.close()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyError, match=r"database is locked. Nothing was changed; try again"):
            Store.open(store.folder.parent, store.name, write=False)


def test_a_folder_that_cannot_be_written_is_an_error(store: Store) -> None:
    # Root may write anywhere, so the database itself is told to be read-only.
    store._database.connection().execute("PRAGMA query_only = 1")
    with pytest.raises(StudyError, match=r"must be writable.*Change its permissions"):
        store.start(trial(0))


def test_a_study_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"Cannot use study 'a'"):
        Store.create(tmp_path / "file", "a", {})


def test_ten_thousand_trials_are_read_without_asking_for_each(store: Store) -> None:
    history = tuple({"loss": 0.1, "val_loss": 0.2} for _ in range(15))
    outcome = Outcome(Key("s", 0), Status.OK, 0.5, history=history)
    one = Trial(0, {}, 1, 1.0, ended=2.0, outcome=outcome)
    asked: list[str] = []
    with store._database.transaction() as connection:
        connection.executemany(
            f"INSERT INTO trials ({COLUMNS}) VALUES ({MARKS})",
            [row_of(replace(one, number=number)) for number in range(10_000)],
        )
        connection.set_trace_callback(asked.append)
    asked.clear()
    assert len(store.trials()) == 10_000
    assert len(asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET point = '{\"lr\": 9}' WHERE number = 3",
        "UPDATE trials SET value = 0.75 WHERE number = 3",
        "UPDATE trials SET seed = seed + 1 WHERE number = 3",
        "UPDATE trials SET status = 'failed' WHERE number = 3",
        "UPDATE trials SET attempt = 7 WHERE number = 3",
        'UPDATE trials SET why = \'{"source":"local"}\' WHERE number = 3',
        "UPDATE trials SET why = NULL WHERE number = 3",
        'UPDATE trials SET why = \'{"source":"tpe"}\' WHERE number = 4',
    ],
)
def test_a_value_that_was_changed_is_not_believed(store: Store, change: str) -> None:
    damage(store, change)
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        with pytest.raises(StudyError, match=r"is damaged: trial [34] is not what was written"):
            reader.trials()


def test_settings_that_were_changed_are_not_believed(store: Store) -> None:
    damage(store, "UPDATE study SET settings = '{\"seed\": 2}'")
    with Store.open(store.folder.parent, store.name, write=False) as reader:
        with pytest.raises(StudyError, match="is damaged: its settings are not what was written"):
            _ = reader.settings


def test_a_reader_notices_trials_that_vanished(store: Store) -> None:
    damage(store, "DELETE FROM trials WHERE number > 9")
    with pytest.raises(StudyError, match="it has 10 of the 50 trials that ended"):
        Store.open(store.folder.parent, store.name, write=False)
