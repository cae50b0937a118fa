"""How durations and labels are written where room is short."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["duration_text", "memory_text", "short_labels"]


def duration_text(seconds: float) -> str:
    """A duration as people say it: ``4.2 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def memory_text(size: int) -> str:
    """Bytes as people say them, in powers of 1000: ``500 MB``, ``1.5 GB``."""
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size / 1e6:.4g} MB"


def short_labels(labels: Iterable[str]) -> dict[str, str]:
    """The shortest tail of each label that no other one ends in, and that says something."""
    every = list(labels)
    short = {}
    for label in every:
        parts = label.split(".")
        tails = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in every if other != label]
        unlike = (
            tail
            for tail in tails
            if not any(f".{other}".endswith(f".{tail}") for other in others)
            and not tail.isdecimal()  # `kernel_size.0`, not `0`
            and tail != "value"  # `clipnorm.value`: a word below a `maybe`
        )
        short[label] = next(unlike, label)
    return short
