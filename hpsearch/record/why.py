"""Why a point was tried, in words: predictions in the units and the sign of the user's metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..trial import Point, Why, finite

__all__ = ["why_lines"]

SOURCES = {
    "start": "quasi-random start",
    "earlier": "did well in the earlier study",
    "prior": "drawn from the priors",
    "parzen": "drawn from where good trials are",
    "mutation": "a good trial with some values changed",
    "local": "local search",
    "random": "random draw",
    "tpe": "hyperopt's tpe",
    "anneal": "hyperopt's anneal",
    "grid": "next point of the grid",
    "sequence": "next point of the sequence",
    "filled": "given in part, the rest was filled in",
}
MOST_DECIMALS = 6  # smaller numbers are written with an exponent


def why_lines(why: Why, settings: Mapping[str, Any], point: Point) -> list[str]:
    """Where a point came from, what was expected of it, and the nearest trial, where known.

    Args:
        settings: of the study; see `Settings`.
    """
    branch = f"{why.branch}={point.get(why.branch or '')}"
    metric = settings.get("metric", "value")
    expected = []
    if why.loss is not None and finite(why.loss):
        value = -why.loss if settings.get("direction") == "maximize" else why.loss
        worse = " or any worse" if why.worse else ""
        expected.append(f"expected {metric} {_with_spread(value, why.spread)}{worse}")
    if why.improvement is not None and finite(why.improvement):
        over = "" if why.branch is None else f" on the best with {branch}"
        expected.append(f"expected improvement {why.improvement:.3g}{over}")
    if why.wanted is not None and finite(why.wanted):
        expected.append(
            f"looking for {why.wanted:.3g} or more" if why.wanted > 0 else "any improvement will do"
        )
    source = SOURCES.get(why.source, why.source)
    if why.source == "earlier" and "warm_start" in settings:
        source = f"did well in {settings['warm_start']['study']}"
    if why.branch is not None:
        source += f", with {branch} only: the search of all had stalled"
    lines = [source, ", ".join(expected)]
    if why.nearest is not None:
        far = "" if why.distance is None else f" (distance {why.distance:.2g})"
        lines.append(f"nearest to trial {why.nearest}{far}")
    return [line for line in lines if line]


def _with_spread(value: float, spread: float | None) -> str:
    """``0.973 ± 0.012``: two digits of the spread that count, and as many decimals of the value."""
    if spread is None or not finite(spread):
        return f"{value:z.5g}"
    decimals = max(0, 1 - math.floor(math.log10(spread))) if spread > 0 else 0
    if spread <= 0 or decimals > MOST_DECIMALS:
        return f"{value:z.5g} ± {spread:.2g}"
    return f"{value:z.{decimals}f} ± {spread:.{decimals}f}"
