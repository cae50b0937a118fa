"""Executors: one suite for all, and what only processes of their own can promise."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest
from acting import Acting, task

from hpsearch.errors import SearchStopped, StudyError
from hpsearch.execute import Inline
from hpsearch.execute import server as server_module
from hpsearch.execute.container import allowed_cores, free_memory
from hpsearch.execute.guardian import Guardian, end_group
from hpsearch.execute.machine import cores, default_workers, environment, gpus, shares
from hpsearch.execute.memory import held_memory, resident_memory
from hpsearch.execute.plan import Plan, plan
from hpsearch.execute.process import WorkerProcess
from hpsearch.execute.server import (
    _Asked,
    abandon_server,
    ensure_server,
    lives,
    present_server,
    server_folder,
    start_server,
)
from hpsearch.execute.workers import Workers
from hpsearch.trial import Event, Executor, Key, Outcome, Report, Status, Task

SOON = 30.0  # seconds; what takes longer is stuck


def workers(folder: Path, count: int = 1, *, recipe: Any = Acting, **more: Any) -> Workers:
    settled = Plan(tuple(() for _ in range(count)), threads=1, **more)
    return Workers(cloudpickle.dumps(recipe), settled, folder / "logs")


@pytest.fixture(autouse=True)
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server of another test file, with Keras, is slow to start and large."""
    if server_module._asked.keras:
        abandon_server()
    monkeypatch.setattr(server_module, "_asked", _Asked())


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Workers]:
    with contextlib.closing(Closing(workers(tmp_path))) as made:
        yield made.executor


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Workers]:
    with contextlib.closing(Closing(workers(tmp_path, 2))) as made:
        yield made.executor


class Closing:
    def __init__(self, executor: Workers) -> None:
        self.executor = executor

    def close(self) -> None:
        self.executor.close(now=True)


@pytest.fixture(params=["inline", "one worker", "two workers"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Executor]:
    made: Executor
    if request.param == "inline":
        made = Inline(Acting())
    else:
        made = workers(tmp_path, 1 if request.param == "one worker" else 2)
    yield made
    made.close(now=True)


def outcomes(
    executor: Executor, tasks: list[Task], each: Callable[[Event], None] = lambda event: None
) -> dict[int, Outcome]:
    """Run tasks to their ends, as a driver does; what each trial came to, by number."""
    ended: dict[int, Outcome] = {}
    waiting = list(tasks)

    def deliver(event: Event) -> None:
        each(event)
        if isinstance(event, Outcome):
            assert event.key.number not in ended, "ended twice"
            ended[event.key.number] = event

    late = time.monotonic() + SOON
    while len(ended) < len(tasks):
        assert time.monotonic() < late, f"stuck; ended: {ended}"
        while waiting and executor.free() > 0:
            executor.submit(waiting.pop(0))
        executor.poll(1.0, deliver)
    return ended


def gone(pid: int) -> bool:
    """Whether a process is gone within a few seconds; a zombie nobody waits for is."""
    late = time.monotonic() + 5
    while time.monotonic() < late:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def number_in(file: Path) -> int:
    late = time.monotonic() + SOON
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < late, f"{file} was never written"
        time.sleep(0.02)
    return int(file.read_text())


# What every executor does


def test_each_task_ends_once_with_its_own_value(executor: Executor) -> None:
    found = outcomes(executor, [task(n, "ok") for n in range(5)])
    assert {n: o.value for n, o in found.items()} == {n: float(n) for n in range(5)}
    assert all(o.status is Status.OK for o in found.values())


def test_reports_come_in_order_and_before_the_end(executor: Executor) -> None:
    seen: list[Event] = []
    outcomes(executor, [task(0, "ok")], seen.append)
    assert [e.epoch for e in seen if isinstance(e, Report)] == [0, 1, 2]
    assert isinstance(seen[-1], Outcome)


def test_an_exception_and_an_exit_are_failures_and_the_next_trial_runs(executor: Executor) -> None:
    found = outcomes(executor, [task(0, "raise"), task(1, "exit"), task(2, "ok")])
    assert [found[n].status for n in range(3)] == [Status.FAILED, Status.FAILED, Status.OK]
    assert found[0].error == "ValueError: as asked"
    assert found[1].error == "SystemExit: 3"


def test_a_trial_that_is_stopped_ends_at_a_report(executor: Executor) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Report) and event.epoch == 2:
            executor.stop(event.key, now=False)

    found = outcomes(executor, [task(0, "until stopped")], stop)
    assert found[0].status is Status.CANCELLED


def test_what_was_stopped_before_does_not_stop_the_next(executor: Executor) -> None:
    executor.stop(Key("study", 1), now=False)
    found = outcomes(executor, [task(0, "ok"), task(1, "ok")])
    assert found[1].status is Status.OK


# Ends that only a process of its own survives


@pytest.mark.parametrize(
    ("do", "how"),
    [
        ("segfault", "signal 11 (SIGSEGV)"),
        ("abort", "signal 6 (SIGABRT)"),
        ("kill", "signal 9 (SIGKILL, as when memory runs out)"),
        ("leave", "exit code 3"),
    ],
)
def test_a_trial_whose_process_ends_has_died_and_no_other_notices(
    two: Workers, do: str, how: str
) -> None:
    found = outcomes(two, [task(0, "ok"), task(1, do), *(task(n, "ok") for n in range(2, 6))])
    died = found.pop(1)
    assert died.status is Status.DIED
    assert how in (died.error or "")
    assert {o.status for o in found.values()} == {Status.OK}


def test_how_a_process_ended_is_told_with_its_last_words(one: Workers) -> None:
    found = outcomes(one, [task(0, "print"), task(1, "segfault"), task(2, "leave")])
    assert found[1].error == "its process was ended by signal 11 (SIGSEGV)"
    assert "Segmentation fault" in (found[1].traceback or "")
    assert "acting.py" in (found[1].traceback or "")
    assert "a word of the trial" not in (found[1].traceback or ""), "that was another trial's"
    assert found[2].error == "its process ended with exit code 3"


def test_a_trial_that_hangs_with_signals_blocked_is_killed_at_its_limit(one: Workers) -> None:
    began = time.monotonic()
    found = outcomes(one, [task(0, "hang", seconds=1.0), task(1, "ok", seconds=60)])
    assert found[0].status is Status.TIMEOUT
    assert found[0].error == "killed after 1 s, its --trial-timeout"
    assert 1.0 <= found[0].seconds < 1.0 + SOON / 2
    assert found[1].status is Status.OK
    assert time.monotonic() - began < SOON


def test_a_trial_that_grows_past_its_memory_is_killed(one: Workers) -> None:
    found = outcomes(one, [task(0, "grow", memory=400_000_000), task(1, "ok", memory=400_000_000)])
    assert found[0].status is Status.DIED
    told = r"out of memory: killed at [\d.]+ GB, more than its --trial-memory 0.40 GB"
    assert re.fullmatch(told, found[0].error or "")
    assert found[1].status is Status.OK


def test_what_earlier_trials_left_behind_is_not_charged_to_the_next(one: Workers) -> None:
    tasks = [task(n, "leak", leaks=60, needs=200, memory=400_000_000) for n in range(8)]
    found = outcomes(one, tasks)
    assert {o.status for o in found.values()} == {Status.OK}
    assert max(found[n].facts["served"] for n in range(8)) == 2, "replaced before it is too full"


def test_each_trial_has_the_room_that_the_first_one_had(one: Workers) -> None:
    limit = resident_memory(one._workers[0].pid) + 250_000_000
    tasks = [task(n, "leak", leaks=20, needs=200, memory=limit) for n in range(4)]
    found = outcomes(one, [*tasks, task(4, "leak", leaks=20, needs=400, memory=limit)])
    assert [found[n].status for n in range(5)] == [*[Status.OK] * 4, Status.DIED]
    assert len({found[n].facts["pid"] for n in range(4)}) < 4


def test_memory_shared_with_the_fork_server_is_not_a_workers_own(one: Workers) -> None:
    while one.free() < 1:
        one.poll(1.0, lambda event: None)
    pid = one._workers[0].pid
    assert 0 < held_memory(pid) < resident_memory(pid) - 5_000_000
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert 0 < held_memory(os.getpid()) <= resident_memory(os.getpid())
    child.kill()
    child.wait()
    assert held_memory(child.pid) == resident_memory(child.pid) == 0


def test_results_too_large_for_a_message_are_a_failure(one: Workers) -> None:
    found = outcomes(one, [task(0, "huge"), task(1, "ok")])
    assert found[0].status is Status.FAILED
    assert found[0].error == "its results are 20 MB, more than 16 MB"
    assert found[1].status is Status.OK


def test_a_worker_that_dies_before_its_trial_began_has_lost_it(one: Workers) -> None:
    found = outcomes(one, [task(0, "ok", prepare="die"), task(1, "ok")])
    assert found[0].status is Status.LOST
    assert found[0].error == "its process ended with exit code 5"
    assert found[1].status is Status.OK


def test_a_trial_whose_data_is_never_ready_is_lost_by_its_worker(
    one: Workers,
) -> None:
    found = outcomes(one, [task(0, "ok", prepare="hang", preparing=0.5), task(1, "ok")])
    assert found[0].status is Status.LOST, "it is not the fault of its point"
    assert re.fullmatch(r"its data was not ready after \d+ s", found[0].error or "")
    assert found[1].status is Status.OK


def test_a_signal_without_a_name_is_told_by_its_number(one: Workers) -> None:
    found = outcomes(one, [task(0, "kill", signal=40), task(1, "ok")])
    assert found[0].status is Status.DIED
    assert found[0].error == "its process was ended by signal 40"


def test_trials_stopped_while_others_are_heard_end_once(two: Workers) -> None:
    def stop_both(event: Event) -> None:
        if isinstance(event, Report) and event.epoch == 20:
            two.stop(Key("study", 0), now=True)
            two.stop(Key("study", 1), now=True)

    found = outcomes(two, [task(n, "until stopped") for n in range(2)], stop_both)
    assert {o.status for o in found.values()} == {Status.CANCELLED}
    assert outcomes(two, [task(2, "ok")])[2].status is Status.OK


def test_a_trial_that_is_stopped_now_is_killed(one: Workers) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Report) and (event.key.number, event.epoch) == (0, 2):
            one.stop(event.key, now=True)

    found = outcomes(one, [task(0, "until stopped"), task(1, "ok")], stop)
    assert found[0].status is Status.CANCELLED
    assert found[0].error == "stopped"
    assert found[1].status is Status.OK


# Workers


def test_a_worker_serves_many_trials_and_another_follows_after_so_many(tmp_path: Path) -> None:
    executor = workers(tmp_path, trials=3)
    found = outcomes(executor, [task(n, "ok") for n in range(7)])
    executor.close(now=True)
    assert [found[n].facts["served"] for n in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    assert len({found[n].facts["pid"] for n in range(7)}) == 3


def test_a_worker_that_has_grown_is_replaced(tmp_path: Path) -> None:
    executor = workers(tmp_path, growth=-1)  # any growth at all
    found = outcomes(executor, [task(n, "ok") for n in range(3)])
    executor.close(now=True)
    assert len({found[n].facts["pid"] for n in range(3)}) == 3


def test_a_worker_whose_trial_may_have_damaged_it_is_replaced(one: Workers) -> None:
    tasks = [task(0, "ok"), task(1, "raise"), task(2, "ok")]
    tasks += [task(3, "raise", text="CUDA error: an illegal memory access"), task(4, "ok")]
    found = outcomes(one, tasks)
    assert found[0].facts["pid"] == found[2].facts["pid"] != found[4].facts["pid"]


def test_what_a_trial_prints_is_in_the_log_of_its_worker(one: Workers, tmp_path: Path) -> None:
    outcomes(one, [task(0, "print")])
    text = (tmp_path / "logs" / "worker-0.log").read_text()
    assert "a word of the trial\n" in text and "a word from C\n" in text


def test_an_engine_that_cannot_be_made_stops_the_search_with_its_reason(tmp_path: Path) -> None:
    def broken() -> Any:
        raise OSError("no such data")

    executor = workers(tmp_path, recipe=broken)
    with pytest.raises(SearchStopped, match="cannot load the space: OSError: no such data"):
        outcomes(executor, [task(0, "ok")])
    executor.close(now=True)


def test_workers_that_never_start_stop_the_search(tmp_path: Path) -> None:
    def dying() -> Any:
        print("before the end", flush=True)
        os._exit(7)

    executor = workers(tmp_path, recipe=dying)
    with pytest.raises(SearchStopped, match="3 workers in a row could not be started") as told:
        outcomes(executor, [task(0, "ok")])
    executor.close(now=True)
    assert "exit code 7" in str(told.value) and "before the end" in str(told.value)


def test_a_worker_that_dies_at_its_start_quotes_no_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker-2.log").write_text("words of an earlier run\n")

    def dying() -> Any:
        os._exit(7)

    executor = workers(tmp_path, recipe=dying)
    with pytest.raises(SearchStopped, match="could not be started") as told:
        outcomes(executor, [task(0, "ok")])
    executor.close(now=True)
    assert "earlier run" not in str(told.value)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_has_the_environment_path_and_folder_of_its_driver_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    names = ["HPSEARCH_FIRST", "HPSEARCH_SECOND"]
    monkeypatch.setenv(names[0], "of the server")
    abandon_server()
    start_server(tmp_path / "startup.log", keras=False)
    seen = []
    for name, other in (names, names[::-1]):
        monkeypatch.setenv(name, "here")
        monkeypatch.delenv(other, raising=False)
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        executor = workers(tmp_path, method=method)
        facts = outcomes(executor, [task(0, "environment", names=names)])[0].facts
        executor.close(now=True)
        assert (facts["folder"], facts["path"][0]) == (str(folder), str(folder))
        seen.append([facts["seen"][name], facts["seen"][other]])
    assert seen == [["here", None], ["here", None]]


def test_what_a_worker_is_told_does_not_show_the_environment() -> None:
    setup = Plan(((),), threads=1).setup(0, Path("log"), {"MLFLOW_TRACKING_PASSWORD": "secret"})
    assert setup.environment["MLFLOW_TRACKING_PASSWORD"] == "secret"
    assert "secret" not in repr(setup)


def test_a_worker_sees_its_devices_and_threads(tmp_path: Path) -> None:
    names = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"]
    devices = (("0",), ("1", "2"), ())
    executor = Workers(cloudpickle.dumps(Acting), Plan(devices, threads=2), tmp_path)
    found: dict[int, Any] = {}
    late = time.monotonic() + SOON
    while executor.free() < 3:
        assert time.monotonic() < late
        executor.poll(1.0, lambda event: None)
    found = outcomes(executor, [task(n, "environment", names=names) for n in range(3)])
    executor.close(now=True)
    assert [found[n].facts["seen"][names[0]] for n in range(3)] == ["0", "1,2", "-1"]
    assert all(found[n].facts["seen"][names[1]] == "2" for n in range(3))
    assert all(found[n].facts["seen"][names[2]] == "2" for n in range(3))


def test_workers_of_new_interpreters_serve_as_well(tmp_path: Path) -> None:
    executor = workers(tmp_path, method="spawn")
    found = outcomes(executor, [task(0, "ok"), task(1, "segfault"), task(2, "ok")])
    executor.close(now=True)
    assert [found[n].status for n in range(3)] == [Status.OK, Status.DIED, Status.OK]


# The fork server


@pytest.fixture
def server() -> Iterator[Callable[[], psutil.Process]]:
    """A new fork server; gives the present one."""

    def present() -> psutil.Process:
        found = present_server()
        assert found is not None
        return found

    abandon_server()
    ensure_server()
    yield present
    abandon_server()


def test_trials_are_lost_with_the_fork_server_and_not_blamed(
    server: Callable[[], psutil.Process], two: Workers, tmp_path: Path
) -> None:
    first, before = server(), [worker.pid for worker in two._workers]
    under_way: set[int] = set()

    def kill(event: Event) -> None:
        if isinstance(event, Report):
            under_way.add(event.key.number)
            if len(under_way) == 2 and lives(first):
                first.kill()

    found = outcomes(two, [task(n, "until stopped") for n in range(2)], kill)
    assert {o.status for o in found.values()} == {Status.LOST}
    assert {o.error for o in found.values()} == {"the fork server of its worker was ended"}
    assert all(gone(pid) for pid in before)
    again = outcomes(two, [task(n, "ok") for n in range(2)])
    assert {o.status for o in again.values()} == {Status.OK}
    assert server() != first


def test_a_worker_that_ends_together_with_the_fork_server_is_lost(
    server: Callable[[], psutil.Process], one: Workers
) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, Report) and event.epoch == 20:
            server().kill()
            os.kill(one._workers[0].pid, signal.SIGKILL)

    found = outcomes(one, [task(0, "until stopped"), task(1, "ok")], kill)
    assert [found[n].status for n in range(2)] == [Status.LOST, Status.OK]


def test_an_exit_code_of_255_is_not_taken_for_the_end_of_the_fork_server(one: Workers) -> None:
    found = outcomes(one, [task(0, "leave", code=255)])
    assert found[0].status is Status.DIED
    assert found[0].error == "its process ended with exit code 255"


def test_four_workers_that_lose_their_fork_server_while_they_start_are_started_again(
    server: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    first = server()
    executor = workers(tmp_path, 4)
    assert executor.free() == 0
    first.kill()
    found = outcomes(executor, [task(n, "ok") for n in range(4)])
    executor.close(now=True)
    assert {o.status for o in found.values()} == {Status.OK}


def test_a_fork_server_that_keeps_ending_stops_the_search(
    server: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    executor = workers(tmp_path, 2)
    with pytest.raises(SearchStopped, match="in a row could not be started: the fork server"):
        late = time.monotonic() + SOON
        while time.monotonic() < late:
            server().kill()
            executor.poll(0.1, lambda event: None)
            assert executor.free() == 0
    executor.close(now=True)


def test_a_new_fork_server_has_the_imports_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.execute.server.PRELOAD", "colorsys")  # something light
    abandon_server()
    log = tmp_path / "startup.log"
    seen = task(0, "environment", names=["colorsys"])
    start_server(log, keras=False)
    words = workers(tmp_path)
    assert outcomes(words, [seen])[0].facts["modules"] == []
    start_server(log, keras=True)  # asked for imports that the first has not
    second = present_server()
    start_server(log, keras=False)
    assert present_server() == second, "one with more serves as well"
    executor = workers(tmp_path / "second")
    assert outcomes(executor, [seen])[0].facts["modules"] == ["colorsys"]
    assert outcomes(words, [seen])[0].status is Status.OK, "the workers of the first live on"
    assert second is not None
    mine = executor._workers[0].pid
    second.kill()
    while [worker.pid for worker in executor._workers] in ([], [mine]):
        executor.poll(1.0, lambda event: None)
    assert outcomes(executor, [seen])[0].facts["modules"] == ["colorsys"]
    for each in (words, executor):
        each.close(now=True)
    abandon_server()


def test_a_fork_server_whose_folder_was_cleaned_away_is_replaced(
    server: Callable[[], psutil.Process], one: Workers
) -> None:
    first = server()
    shutil.rmtree(server_folder())
    found = outcomes(one, [task(0, "leave"), task(1, "ok")])
    assert [found[n].status for n in range(2)] == [Status.DIED, Status.OK]
    assert server() != first
    assert list(Path(server_folder()).iterdir()), "the new socket"


def test_abandoned_fork_servers_end_and_leave_no_zombies(
    server: Callable[[], psutil.Process],
) -> None:
    first = server()
    abandon_server()
    abandon_server()  # there is none: nothing happens
    ensure_server()
    assert gone(first.pid)
    ensure_server()
    assert not psutil.pid_exists(first.pid)


def test_a_fork_server_that_somebody_else_has_waited_for_is_replaced(tmp_path: Path) -> None:
    ensure_server()
    first = present_server()
    assert first is not None
    first.kill()
    os.waitpid(first.pid, 0)
    executor = workers(tmp_path)
    assert outcomes(executor, [task(0, "ok")])[0].status is Status.OK
    executor.close(now=True)


def test_ctrl_c_does_not_reach_a_fork_server_that_starts() -> None:
    for _ in range(3):
        abandon_server()
        ensure_server()
        started = present_server()
        assert started is not None
        for _ in range(10):
            os.kill(started.pid, signal.SIGINT)
            time.sleep(0.02)
        assert lives(started)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_ctrl_c_does_not_reach_a_worker_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    executor = workers(tmp_path, method=method)
    first = executor._workers[0].pid
    for _ in range(40):
        os.kill(first, signal.SIGINT)
        time.sleep(0.005)
    facts = outcomes(executor, [task(0, "ok")])[0].facts
    executor.close(now=True)
    assert facts["pid"] == first


# Starts that fail


def test_a_start_that_fails_is_tried_again_with_a_new_fork_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[BaseException] = [EOFError("unexpected EOF"), ConnectionRefusedError(111, "no")]
    servers = []
    real = forkserver.connect_to_new_process

    def connect(fds: Any) -> Any:
        servers.append(present_server())
        if errors:
            raise errors.pop(0)
        return real(fds)

    monkeypatch.setattr(forkserver, "connect_to_new_process", connect)
    executor = workers(tmp_path)
    assert outcomes(executor, [task(0, "ok")])[0].status is Status.OK
    executor.close(now=True)
    assert len(set(servers)) == 3


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_starts_that_always_fail_stop_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def refuse(process: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("hpsearch.execute.workers.PAUSE", 0.01)
    monkeypatch.setattr(WorkerProcess, "_start", refuse)
    made = guardians(monkeypatch)
    told = "none could be started in 4 tries: BlockingIOError.*fewer --workers"
    with pytest.raises(SearchStopped, match=told):
        workers(tmp_path, method=method)
    assert [gone(pid) for pid in made] == [True]


def guardians(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of guardians that start from now on."""
    made: list[int] = []
    real = Guardian._started

    def started(guardian: Guardian) -> Any:
        process = real(guardian)
        made.append(process.pid)
        return process

    monkeypatch.setattr(Guardian, "_started", started)
    return made


def test_making_workers_that_is_interrupted_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    real = WorkerProcess._start

    def start(process: Any) -> None:
        if len(pids) == 2:
            raise KeyboardInterrupt
        real(process)
        pids.append(process.pid)

    monkeypatch.setattr(WorkerProcess, "_start", start)
    made = guardians(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        workers(tmp_path, 3)
    assert [gone(pid) for pid in [*pids, *made]] == [True] * 3


def test_a_worker_may_be_killed_twice_and_still_be_heard(one: Workers) -> None:
    worker = one._workers[0]
    worker.kill()  # as if an interrupt came before it was taken from the list
    worker.kill()
    worker.strike()
    assert (worker.closed, worker.ended, worker.handles) == (True, True, [])
    assert outcomes(one, [task(0, "ok")])[0].status is Status.OK


@pytest.mark.parametrize("error", [KeyboardInterrupt, SearchStopped])
def test_closing_ends_all_after_a_replacement_that_was_cut_off(
    two: Workers, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def cut_off(slot: int) -> Any:
        raise error("here")

    ended: list[Event] = []
    while two.free() < 2:
        two.poll(1.0, ended.append)
    two.submit(task(0, "segfault"))
    pids = [*(worker.pid for worker in two._workers), two._guardian._process.pid]
    monkeypatch.setattr(two, "_start", cut_off)
    with pytest.raises(error, match="here"):
        for _ in range(100):
            two.poll(1.0, ended.append)
    assert [e.status for e in ended if isinstance(e, Outcome)] == [Status.DIED], "told first"
    two.close(now=True)
    two.close(now=True)  # nothing happens
    assert all(gone(pid) for pid in pids)


def test_closing_ends_every_worker_even_if_one_cannot_be_ended(
    two: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("here")

    pids = [*(worker.pid for worker in two._workers), two._guardian._process.pid]
    monkeypatch.setattr(two._workers[0], "kill", fail)
    with pytest.raises(RuntimeError, match="here"):
        two.close(now=True)
    monkeypatch.undo()
    assert all(gone(pid) for pid in pids)


def test_a_worker_that_the_guardian_cannot_be_told_of_is_ended(
    one: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def fail(group: int) -> None:
        told.append(group)
        raise KeyboardInterrupt

    monkeypatch.setattr(one._guardian, "watch", fail)
    with pytest.raises(KeyboardInterrupt):
        one._made(0)
    assert gone(told[0])


def test_a_group_that_may_not_be_ended_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: int, number: int) -> None:  # as macOS does for a group of zombies
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refuse)
    end_group(os.getpid())


# Nothing outlives the driver


@pytest.mark.parametrize("do", ["child", "until stopped"])
def test_closing_ends_workers_and_what_they_started(tmp_path: Path, do: str) -> None:
    executor = workers(tmp_path)
    pids = [tmp_path / "child"]
    while executor.free() < 1:
        executor.poll(1.0, lambda event: None)
    executor.submit(task(0, do, file=str(pids[0])))
    found = [] if do != "child" else [number_in(pids[0])]
    mine = [worker.pid for worker in executor._workers]
    executor.close(now=True)
    assert all(gone(pid) for pid in [*mine, *found])


def test_a_child_left_by_a_dead_worker_is_ended(two: Workers, tmp_path: Path) -> None:
    file = tmp_path / "child"
    while two.free() < 2:
        two.poll(1.0, lambda event: None)
    two.submit(task(0, "child", file=str(file)))
    child = number_in(file)
    worker = next(w.pid for w in two._workers if w.task is not None)
    os.kill(worker, signal.SIGKILL)
    ended: list[Event] = []
    late = time.monotonic() + SOON
    while not ended and time.monotonic() < late:
        two.poll(1.0, ended.append)
    assert [e.status for e in ended if isinstance(e, Outcome)] == [Status.DIED]
    assert gone(child)


DRIVER = """
import pathlib, sys
from multiprocessing import util
import cloudpickle
sys.path.insert(0, {tests!r})
from acting import Acting, task
from hpsearch.execute.plan import Plan
from hpsearch.execute.workers import Workers

print("the script runs", flush=True)
folder = pathlib.Path({folder!r})
executor = Workers(cloudpickle.dumps(Acting), Plan(((),), threads=1), folder)
while executor.free() < 1:
    executor.poll(1.0, lambda event: None)
executor.submit(task(0, "child", file=str(folder / "child"), then={then!r}))
(folder / "socket").write_text(util.get_temp_dir())
(folder / "worker").write_text(str(executor._workers[0].pid))
(folder / "guardian").write_text(str(executor._guardian._process.pid))
while True:
    executor.poll(1.0, lambda event: None)
"""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("driver", "sleep"),
        ("driver", "hold"),  # the worker's own lifeline cannot run
        ("guardian", "sleep"),
        ("worker and driver", "sleep"),
        ("worker and driver", "hold"),
    ],
)
def test_nothing_outlives_a_driver_that_is_killed(tmp_path: Path, first: str, then: str) -> None:
    tests = str(Path(__file__).parent)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(tests=tests, folder=str(tmp_path), then=then))
    driver = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    child = number_in(tmp_path / "child")
    worker, guardian = number_in(tmp_path / "worker"), number_in(tmp_path / "guardian")
    if first == "guardian":
        os.kill(guardian, signal.SIGKILL)
    if first == "worker and driver":
        os.kill(worker, signal.SIGKILL)
    driver.kill()
    out, _ = driver.communicate(timeout=SOON)
    assert out.decode().count("the script runs") == 1, out.decode()
    assert all(gone(pid) for pid in (worker, child, guardian))
    if first != "guardian":
        assert not Path((tmp_path / "socket").read_text()).exists(), "no folder is left in /tmp"


def test_a_guardian_that_was_ended_is_replaced_and_knows_all() -> None:
    sleeping = [
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        for _ in range(3)
    ]
    guardian = Guardian()
    guardian.watch(sleeping[0].pid)
    guardian.watch(sleeping[2].pid)
    guardian._process.kill()
    guardian._process.wait()
    guardian.watch(sleeping[1].pid)
    guardian.forget(sleeping[2].pid)
    guardian.close()
    assert [p.wait(SOON) for p in sleeping[:2]] == [-signal.SIGKILL, -signal.SIGKILL]
    assert sleeping[2].poll() is None
    end_group(sleeping[2].pid)
    assert sleeping[2].wait(SOON) == -signal.SIGKILL
    end_group(sleeping[2].pid)  # gone already: nothing happens


def test_a_guardian_leaves_the_folder_of_a_driver_that_lives_on(tmp_path: Path) -> None:
    folder = tmp_path / "of the socket"
    folder.mkdir()
    guardian = Guardian(str(folder))
    guardian.close()
    assert folder.exists()
    killed = Guardian(str(folder))
    killed._pipe.close()
    killed._process.wait()
    assert not folder.exists()


@pytest.mark.parametrize("taken", [False, True])
def test_a_long_name_for_temporary_files_does_not_stop_the_fork_server(
    tmp_path: Path, taken: bool
) -> None:
    """A socket's path has at most 107 bytes."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    first = "from multiprocessing import util; util.get_temp_dir()" if taken else ""
    script = tmp_path / "script.py"
    script.write_text(f"{first}\n{LONG_NAME}")
    command = [sys.executable, str(script)]
    asked = {**os.environ, "TMPDIR": str(long)}
    ended = subprocess.run(command, env=asked, capture_output=True, text=True, cwd=tmp_path)
    if taken:  # somebody has chosen the folder already
        assert "Set TMPDIR to a shorter one, or --start-method spawn." in ended.stderr
    else:
        assert (ended.returncode, ended.stdout) == (0, "ready\n"), ended.stderr


LONG_NAME = """
from pathlib import Path
from hpsearch.execute.server import start_server
start_server(Path("log"), keras=False)
print("ready")
"""


# How many there are


def test_gpus_are_those_that_the_environment_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, found in [
        ("", ()),
        ("-1", ()),
        ("0,2", ("0", "2")),
        ("3,-1,4", ("3",)),
        ("NoDevFiles", ()),
        ("1, 2", ("1", "2")),
    ]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        assert gpus() == found


WHOLE = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: Tesla T4 (UUID: GPU-b7fe2f24-0a4d-4d5e-9b9b-3f1a0b0c0d0e)"""
DIVIDED = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-63feeb45-94c6-b9cb-78ea-98e9b7a5be6b)
  MIG 3g.20gb Device 0: (UUID: MIG-GPU-63feeb45-94c6-b9cb-78ea-98e9b7a5be6b/1/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-69cfa219-5719-24dd-3d99-abf89b2b57bd)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-0a1b2c3d-5719-24dd-3d99-abf89b2b57bd)"""


def test_gpus_are_asked_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n[ $1 = -L ] && cat <<END\n{WHOLE}\nEND\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert gpus() == ("0", "1")
    tool.write_text(f"#!/bin/sh\n[ $1 = -L ] && cat <<END\n{DIVIDED}\nEND\n")
    assert gpus() == (
        "MIG-GPU-63feeb45-94c6-b9cb-78ea-98e9b7a5be6b/1/0",
        "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
        "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
        "2",
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(gpus()))
    assert len(gpus()) == 4, "what CUDA is given is read back"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool.write_text("#!/bin/sh\necho No devices found.\n")
    assert gpus() == ()
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert gpus() == ()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert gpus() == ()


def test_gpus_are_shared_out() -> None:
    two = ("0", "1")
    assert shares((), None) is None
    assert shares(two, 0) is None
    assert shares(two, None) == [("0",), ("1",)]
    assert shares(two, 0.5) == [("0",), ("1",), ("0",), ("1",)]
    assert shares(("7",), 0.3) == [("7",)] * 3
    assert shares((*two, "2"), 2) == [("0", "1")]
    for wrong, text in [(3, "there are 2"), (-1, "got -1"), (1.5, "got 1.5")]:
        with pytest.raises(StudyError, match=text):
            shares(two, wrong)
    with pytest.raises(StudyError, match="there are 0"):
        shares((), 1)
    for wrong in ("abc", "0.5", True, float("nan"), float("inf")):
        with pytest.raises(StudyError, match=r"got .*Write 0\.5 for two trials"):
            shares(two, wrong)


def test_workers_are_planned_by_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("hpsearch.execute.plan.cores", lambda: 8)
    monkeypatch.setattr("hpsearch.execute.plan.default_workers", lambda: 8)
    assert (plan(None).count, plan(None).threads) == (8, 1)
    assert (plan(3).count, plan(3).threads) == (3, 2)
    assert plan(None, most=2).count == 2
    assert plan(3).devices == ((), (), ())
    assert plan(None, most=2).in_words() == "2 workers of 4 threads"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert plan(None).devices == (("0",), ("1",))
    assert plan(None, 0.5).in_words() == "4 workers, each with 0.5 GPUs (0, 1)"
    assert plan(1).in_words() == "1 worker with a GPU (0)"
    assert plan(3, 0).devices == ((), (), ())
    with pytest.raises(StudyError, match="3 workers of 1 GPUs each do not fit on 2"):
        plan(3)
    assert plan(3, 0.5).in_words() == "3 workers, each with 0.5 GPUs (0, 1)"
    assert plan(1, 2).in_words() == "1 worker with 2 GPUs (0,1)".replace(",", ", ")
    assert plan(None, 0.001).count == 8, "as many as without GPUs"
    assert plan(500, 0.001).count == 500, "unless more are asked for"
    assert plan(None, 5e-324).count == 8
    with pytest.raises(StudyError, match="forkserver or spawn, got 'fork'"):
        plan(1, method="fork")


def test_the_driver_leaves_the_gpus_to_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpsearch.study.options import options_from
    from hpsearch.study.session import planned

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "mine")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    planned(options_from({"workers": 2}))
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in os.environ, "there is no GPU"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    planned(options_from({"workers": 2}))
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "mine"


def test_the_flags_of_xla_are_added_to_those_of_the_user() -> None:
    own = environment(2, ("1",), {"XLA_FLAGS": "--xla_dump_to=here"})
    assert "XLA_FLAGS" not in own, "the user's stay as they are"
    one = environment(1, None, {"XLA_FLAGS": "--xla_dump_to=here"})
    assert one["XLA_FLAGS"] == "--xla_dump_to=here --xla_cpu_multi_thread_eigen=false"
    for mine in ("--xla_cpu_multi_thread_eigen=true", "a_file_of_flags"):
        assert "XLA_FLAGS" not in environment(1, None, {"XLA_FLAGS": mine})
    assert own["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment(1, None, {})
    assert "multi_thread_eigen=false" in environment(1, None, {})["XLA_FLAGS"]


COMPILED = """
import tensorflow as tf

@tf.function(jit_compile=True)
def total(x):
    return tf.reduce_sum(tf.matmul(x, x))

print(float(total(tf.ones((10, 10)))))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_functions_run_with_the_environment_of_a_worker(threads: int) -> None:
    outer = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    ended = subprocess.run(
        [sys.executable, "-c", COMPILED],
        env={**outer, **environment(threads, (), {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (0, "1000.0\n"), ended.stderr


def test_an_objective_of_the_callers_own_needs_no_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("hpsearch.execute.plan.default_workers", lambda: 4)
    assert plan(3, keras=False).devices == (("0",), ("1",), ("0",))
    assert plan(None, keras=False).count == 4
    assert "GPU" not in plan(3, keras=False).in_words()
    assert plan(None, 0, keras=False).devices == ((),) * 4
    with pytest.raises(StudyError, match="3 workers of 1 GPUs"):
        plan(3, 1, keras=False)


def test_on_macos_workers_are_new_interpreters_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(1, 0).method == "forkserver"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert plan(1, 0).method == "spawn"
    assert plan(1, 0, "forkserver").method == "forkserver"


# What a container allows


def grouped(monkeypatch: pytest.MonkeyPatch, folder: Path, own: str, files: dict[str, str]) -> None:
    """Pretend to be in these control groups."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "own").write_text(own)
    monkeypatch.setattr("hpsearch.execute.container.TREE", folder)
    monkeypatch.setattr("hpsearch.execute.container.OWN", folder / "own")


def test_a_container_limits_the_workers_by_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "memory.max": "9000000000\n",
        "memory.current": "8000000000\n",
        "memory.stat": "anon 4700000000\nfile 3300000000\ninactive_file 3000000000\n",
        "cpu.max": "max 100000\n",
    }
    grouped(monkeypatch, tmp_path, "0::/\n", files)
    assert free_memory() == 4_000_000_000, "files that are only cached can go"
    assert allowed_cores() is None
    monkeypatch.setattr("hpsearch.execute.machine.cores", lambda: 64)
    assert default_workers() == 2
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() is None
    (tmp_path / "memory.max").write_text("1000000000\n")
    assert (free_memory(), default_workers()) == (0, 1)


def test_the_tightest_of_nested_groups_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {}
    for group, most, quota in [("job", 5_000, "250000 100000"), ("job/step", 7_000, "max 100000")]:
        files |= {f"{group}/memory.max": str(most), f"{group}/memory.current": "1000"}
        files |= {f"{group}/memory.stat": "anon 1000\n", f"{group}/cpu.max": quota}
    grouped(monkeypatch, tmp_path, "0::/job/step\n", files)
    assert (free_memory(), allowed_cores()) == (4_000, 2.5)
    assert cores() <= 3


def test_the_first_version_of_control_groups_is_read_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "memory/box/memory.limit_in_bytes": "6000\n",
        "memory/box/memory.usage_in_bytes": "3000\n",
        "memory/box/memory.stat": "total_inactive_file 500\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": "3000\n",
        "memory/memory.stat": "\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    grouped(monkeypatch, tmp_path, "5:memory:/box\n3:cpu,cpuacct:/../x\n0::/\n", files)
    assert (free_memory(), allowed_cores()) == (3_500, 1.5)
    (tmp_path / "own").unlink()
    assert (free_memory(), allowed_cores()) == (None, None)


def test_recipes_are_what_a_worker_unpickles() -> None:
    assert isinstance(pickle.loads(cloudpickle.dumps(Acting))(), Acting)
