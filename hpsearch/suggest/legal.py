"""What all algorithms share: they go on until a point satisfies the constraints, or stop saying why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..errors import SearchStopped
from ..space import Parameters
from ..trial import Suggestion

__all__ = ["MOST_REJECTED", "first_legal"]

MOST_REJECTED = 1000


def first_legal(parameters: Parameters, suggestions: Iterable[Suggestion]) -> Suggestion | None:
    """Return the first one whose point violates no constraint, None if they end before.

    Raises:
        SearchStopped: after 1,000 violations in a row; names the constraint behind most of them.
    """
    rejected: Counter[str] = Counter()
    for suggestion in suggestions:
        constraint = parameters.violated(suggestion.point)
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
