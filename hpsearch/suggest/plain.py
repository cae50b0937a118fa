"""Our spaces for plain hyperopt: a search space for `hyperopt.fmin`, and points read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import PointError
from ..space import Parameters, Space, space_of
from ..trial import Point
from .compiled import Compiled

__all__ = ["to_hyperopt"]


def to_hyperopt(space: Space | Mapping[str, Any]) -> tuple[dict[str, Any], Callable[[Any], Point]]:
    """Return ``(hp_space, decode)`` for a `Space` or a dict of words.

    `hp_space` goes unchanged to ``hyperopt.fmin``. ``decode(x)`` returns the point for what the
    objective receives, for what ``fmin`` returns, and for a trial's ``misc["vals"]``; it raises
    IllegalPoint where `require` fails, and PointError for anything else.

    Raises:
        SpaceError: if `space` is neither.
    """
    compiled = Compiled(_parameters(space))

    def decode(x: Any) -> Point:
        """Return the point that hyperopt means; see `to_hyperopt`."""
        return _decode(compiled, x)

    return compiled.expression, decode


def _parameters(space: Space | Mapping[str, Any]) -> Parameters:
    return space.parameters if isinstance(space, Space) else space_of(space)[0]


def _decode(compiled: Compiled, x: Any) -> Point:
    if not isinstance(x, Mapping):
        raise PointError(
            f"decode takes what hyperopt gives, a dict with the labels as keys, got {x!r}. "
            "Pass on the objective's argument, fmin's result or a trial's misc['vals']."
        )
    raws: dict[str, Any] = {}
    for label, raw in _leaves(x):
        if label not in compiled.labels:
            compiled.parameters.known(label)  # an unknown label, with the nearest
            raise PointError(f"{label!r} is not searched in this space. Leave it out.")
        raws[label] = raw
    point = compiled.decode_point(raws)
    idle = [label for label in raws if label not in point]
    if idle:
        raise PointError(
            f"{idle[0]!r} is not active in this point: "
            f"{compiled.parameters.why_inactive(idle[0], point)}. Leave it out."
        )
    return compiled.parameters.legal(point)


def _leaves(x: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (label, raw) from all three forms: branches are dicts or None, `vals` holds lists."""
    for key, item in x.items():
        if isinstance(item, Mapping):
            yield from _leaves(item)
        elif isinstance(item, list | tuple):
            if len(item) > 1:
                raise PointError(
                    f"A trial has one raw value for {key!r} or none, got {item!r}. "
                    "Pass on one trial's misc['vals']."
                )
            yield from ((key, raw) for raw in item)
        elif item is not None or " " not in str(key):
            yield str(key), item
