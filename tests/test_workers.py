"""Executors: one suite for all, and what only processes of their own can promise."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest
from acting import Acting, task

from hpsearch.errors import SearchStopped, StudyError
from hpsearch.execute import Inline
from hpsearch.execute.guardian import Guardian, end_group
from hpsearch.execute.machine import environment, gpus, shares
from hpsearch.execute.plan import Plan, plan
from hpsearch.execute.workers import Workers
from hpsearch.trial import Event, Executor, Key, Outcome, Report, Status, Task

SOON = 30.0  # seconds; what takes longer is stuck


def workers(folder: Path, count: int = 1, *, recipe: Any = Acting, **more: Any) -> Workers:
    settled = Plan(tuple(() for _ in range(count)), threads=1, **more)
    return Workers(cloudpickle.dumps(recipe), settled, folder / "logs")


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
        ("kill", "signal 9 (SIGKILL), as when memory runs out"),
        ("leave", "exit code 3"),
    ],
)
def test_a_trial_whose_process_ends_has_died_and_no_other_notices(
    two: Workers, do: str, how: str
) -> None:
    found = outcomes(two, [task(0, "ok"), task(1, do), *(task(n, "ok") for n in range(2, 6))])
    assert found.pop(1).status is Status.DIED
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


# How many there are


def test_gpus_are_those_that_the_environment_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, found in [("", ()), ("-1", ()), ("0,2", ("0", "2")), ("3,-1,4", ("3",))]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        assert gpus() == found


def test_gpus_are_asked_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert gpus() == ("0", "1")
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
    assert plan(1).in_words() == "1 worker, each with a GPU (0)"
    assert plan(3, 0).devices == ((), (), ())
    with pytest.raises(StudyError, match="3 workers of 1 GPUs each do not fit on 2"):
        plan(3)
    with pytest.raises(StudyError, match="forkserver or spawn, got 'fork'"):
        plan(1, method="fork")


def test_the_driver_leaves_the_gpus_to_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpsearch.study.options import options_from
    from hpsearch.study.session import _planned

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "mine")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    _planned(options_from({"workers": 2}))
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in os.environ, "there is no GPU"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    _planned(options_from({"workers": 2}))
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "mine"


def test_the_flags_of_xla_are_added_to_those_of_the_user() -> None:
    own = environment(2, ("1",), {"XLA_FLAGS": "--xla_dump_to=here"})
    assert own["XLA_FLAGS"] == "--xla_dump_to=here intra_op_parallelism_threads=2"
    assert own["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment(1, None, {})
    assert "multi_thread_eigen=false" in environment(1, None, {})["XLA_FLAGS"]


def test_recipes_are_what_a_worker_unpickles() -> None:
    assert isinstance(pickle.loads(cloudpickle.dumps(Acting))(), Acting)
