"""What this machine offers, how it is shared among workers, and what a group of processes uses."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from ..errors import StudyError

__all__ = [
    "cores",
    "default_workers",
    "environment",
    "gpus",
    "group_memory",
    "share_memory",
    "shares",
]

WORKER_MEMORY = 1_500_000_000  # bytes that a worker with TensorFlow and a small model takes
NONE_VISIBLE = "-1"
SHARED_MEMORY = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""So that TensorFlow and JAX take the memory of a GPU as they need it, not whole."""


def cores() -> int:
    """The processor cores that this process may use: its affinity, and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        allowed = min(allowed, math.ceil(int(quota) / int(period)))
    return max(1, allowed)


def default_workers() -> int:
    """A worker for each core, but no more than the free memory holds."""
    return max(1, min(cores(), int(psutil.virtual_memory().available // WORKER_MEMORY)))


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        names = [name.strip() for name in allowed.split(",")]
        valid = [name for name in names if name]
        return tuple(valid[: valid.index(NONE_VISIBLE)] if NONE_VISIBLE in valid else valid)
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        listed = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip().isdigit())


def shares(devices: tuple[str, ...], per_trial: float | None) -> list[tuple[str, ...]] | None:
    """The GPUs of each worker that there can be at once, None where trials use no GPU.

    Args:
        devices: the GPUs, see `gpus`.
        per_trial: how many a trial has: a whole number, or a part of one such as 0.5; by default
            one where there are any.

    Raises:
        StudyError: if `per_trial` is no such number, or there are fewer GPUs.
    """
    if per_trial == 0 or (per_trial is None and not devices):
        return None
    each = 1.0 if per_trial is None else float(per_trial)
    if not (each > 0 and (each < 1 or each.is_integer())):
        raise StudyError(
            f"--gpus-per-trial needs 0, a part of a GPU such as 0.5, or a whole number, got {each:g}."
        )
    if each > len(devices):
        there = f"there {'is' if len(devices) == 1 else 'are'} {len(devices)}"
        raise StudyError(
            f"--gpus-per-trial {each:g} needs as many GPUs, and {there}. "
            "Write --gpus-per-trial 0 for the processor."
        )
    if each < 1:
        return [(device,) for _ in range(math.floor(1 / each + 1e-9)) for device in devices]
    size = int(each)
    return [devices[i : i + size] for i in range(0, len(devices) - size + 1, size)]


def environment(
    threads: int, devices: tuple[str, ...] | None, outer: Mapping[str, str]
) -> dict[str, str]:
    """The environment variables of a worker, in addition to those outside.

    Every backend reads its own when it is first used: how many threads, which GPUs, and to take
    their memory as it is needed rather than whole.

    Args:
        threads: for one operation, and for operations side by side.
        devices: the GPUs of the worker; None for those of the caller, () for none.
    """
    eigen = "--xla_cpu_multi_thread_eigen=false " if threads == 1 else ""
    flags = f"{outer.get('XLA_FLAGS', '')} {eigen}intra_op_parallelism_threads={threads}".strip()
    own = {
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "XLA_FLAGS": flags,
        **SHARED_MEMORY,
    }
    if devices is not None:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or NONE_VISIBLE
    return own


def share_memory() -> None:
    """Have this process leave room on the GPUs for its workers, unless it has used one already.

    The driver of a script builds and tests models, and would otherwise take a GPU whole for that.
    """
    for name, value in SHARED_MEMORY.items():
        os.environ.setdefault(name, value)


def group_memory(pid: int) -> int:
    """The bytes that a process and all that it started hold; 0 if it is gone."""
    held = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                held += one.memory_info().rss
    return held
