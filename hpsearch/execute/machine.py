"""What this machine offers, and how it is shared among workers."""

from __future__ import annotations

import math
import os
import re
import reprlib
import shutil
import subprocess
from collections.abc import Mapping
from itertools import takewhile
from numbers import Real
from typing import Any

import psutil

from ..errors import StudyError
from .container import allowed_cores, free_memory

__all__ = [
    "cores",
    "default_workers",
    "environment",
    "gpus",
    "share_memory",
    "shares",
]

WORKER_MEMORY = 1_500_000_000  # bytes that a worker with TensorFlow and a small model takes
NONE_VISIBLE = "-1"
MOST_TO_A_GPU = 1000  # trials that share one
NAMED = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")  # how CUDA_VISIBLE_DEVICES names a device
LISTED = re.compile(r"\s*(?P<kind>GPU|MIG)\b.*?(?P<index>\d+):.*\(UUID: (?P<uuid>[\w/-]+)\)")
ONE_THREAD = "xla_cpu_multi_thread_eigen"
SHARED_MEMORY = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""So that TensorFlow and JAX take the memory of a GPU as they need it, not whole."""


def cores() -> int:
    """The processor cores that this process may use: its affinity, and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = allowed_cores()
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def default_workers() -> int:
    """A worker for each core, but no more than the free memory of machine and container holds."""
    free, allowed = psutil.virtual_memory().available, free_memory()
    room = free if allowed is None else min(free, allowed)
    return max(1, min(cores(), int(room // WORKER_MEMORY)))


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    CUDA reads that variable up to the first name that is none, such as -1 or Slurm's NoDevFiles.
    """
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return _listed_gpus()
    names = [name.strip() for name in allowed.split(",")]
    return tuple(takewhile(NAMED.fullmatch, filter(None, names)))


def _listed_gpus() -> tuple[str, ...]:
    """What the driver lists: GPUs by their index, the parts of a divided one (MIG) by their UUIDs.

    An index names no part, and a GPU that is divided cannot be used whole.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        told = subprocess.run(
            [tool, "-L"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found: list[list[str]] = []  # for each GPU its index, then its parts
    for line in filter(None, map(LISTED.match, told.splitlines())):
        if line["kind"] == "GPU":
            found.append([line["index"]])
        elif found:
            found[-1].append(line["uuid"])
    return tuple(name for index, *parts in found for name in parts or [index])


def shares(devices: tuple[str, ...], per_trial: float | None) -> list[tuple[str, ...]] | None:
    """The GPUs of each worker that there can be at once, None where trials use no GPU.

    Args:
        devices: the GPUs, see `gpus`.
        per_trial: how many a trial has: a whole number, or a part of one such as 0.5; by default
            one where there are any.

    Raises:
        StudyError: if `per_trial` is no such number, or there are fewer GPUs.
    """
    each = 1.0 if per_trial is None else _checked(per_trial)
    if each == 0 or (per_trial is None and not devices):
        return None
    if each > len(devices):
        there = f"there {'is' if len(devices) == 1 else 'are'} {len(devices)}"
        raise StudyError(
            f"--gpus-per-trial {each:g} needs as many GPUs, and {there}. "
            "Write --gpus-per-trial 0 for the processor."
        )
    if each < 1:
        to_a_gpu = math.floor(min(1 / each + 1e-9, MOST_TO_A_GPU))
        return [(device,) for _ in range(to_a_gpu) for device in devices]
    size = int(each)
    return [devices[i : i + size] for i in range(0, len(devices) - size + 1, size)]


def _checked(per_trial: Any) -> float:
    if isinstance(per_trial, Real) and not isinstance(per_trial, bool):
        each = float(per_trial)
        if 0 <= each < 1 or (each >= 1 and each.is_integer()):
            return each
    raise StudyError(
        "--gpus-per-trial is 0, a part of a GPU such as 0.5, or a whole number, got "
        f"{reprlib.repr(per_trial)}. Write 0.5 for two trials on each GPU, 0 for the processor."
    )


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
    own = {
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": outer.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        **SHARED_MEMORY,
    }
    flags = outer.get("XLA_FLAGS", "").strip()
    # XLA ends the process for a flag that it does not know, and takes a text that does not begin
    # with one for the name of a file; it has no flag for a number of threads other than one.
    if threads == 1 and (not flags or flags.startswith("--")) and ONE_THREAD not in flags:
        own["XLA_FLAGS"] = f"{flags} --{ONE_THREAD}=false".strip()
    if devices is not None:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or NONE_VISIBLE
    return own


def share_memory() -> None:
    """Have this process leave room on the GPUs for its workers, unless it has used one already.

    The driver of a script builds and tests models, and would otherwise take a GPU whole for that.
    """
    for name, value in SHARED_MEMORY.items():
        os.environ.setdefault(name, value)
