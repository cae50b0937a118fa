"""How durations and labels are written where room is short."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["duration_text", "short_labels"]


def duration_text(seconds: float) -> str:
    """A duration as people say it: ``4.2 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short_labels(labels: Iterable[str]) -> dict[str, str]:
    """The shortest tail of each label that no other one ends in."""
    every = list(labels)
    short = {}
    for label in every:
        parts = label.split(".")
        tails = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in every if other != label]
        unlike = (t for t in tails if not any(f".{o}".endswith(f".{t}") for o in others))
        short[label] = next(unlike, label)
    return short
