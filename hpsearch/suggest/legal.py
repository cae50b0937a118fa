"""What all algorithms share: they go on until a point satisfies the constraints, or stop saying why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import SearchStopped

__all__ = ["MOST_REJECTED", "first_legal"]

MOST_REJECTED = 1000

T = TypeVar("T")


def first_legal(violated: Callable[[T], str | None], suggestions: Iterable[T]) -> T | None:
    """Return the first one that violates no constraint, None if they end before.

    Args:
        violated: names the constraint that a suggestion violates, None for a legal one.

    Raises:
        SearchStopped: after 1,000 violations in a row; names the constraint behind most of them.
    """
    rejected: Counter[str] = Counter()
    for suggestion in suggestions:
        constraint = violated(suggestion)
        if constraint is None:
            return suggestion
        rejected[constraint] += 1
        if rejected.total() == MOST_REJECTED:
            name, times = rejected.most_common(1)[0]
            raise SearchStopped(
                f"No legal point among {MOST_REJECTED} suggestions: the constraint {name} rejected "
                f"{times} of them.\nLoosen it, or narrow the space so that more of it is legal; "
                "what depends on a choice is better written with `when` or `match`."
            )
    return None
