"""Which runs MLflow has of a study, found by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from ..store import PARENT

__all__ = ["Pair", "began", "pages", "pair_of"]

Pair: TypeAlias = tuple[int, int]
"""(number, attempt) of a trial, or `PARENT`."""

PAGE = 500  # runs per search


def pages(client: Any, experiment_id: str, study_id: str) -> Iterator[list[Any]]:
    """The runs of a study that nobody has deleted, some hundreds at a time.

    Those whose trials began last come first: MLflow's own order, by the time of their start.
    """
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`hpsearch.study_id` = '{study_id}'",
            max_results=PAGE,
            page_token=token,
        )
        yield list(page)
        token = page.token
        if not token:
            return


def began(run: Any) -> int:
    """When the trial of a run began, in milliseconds since 1970; 0 where a foreign tool left it out."""
    return int(run.info.start_time or 0)


def pair_of(run: Any) -> Pair:
    """The attempt at a trial that a run shows; `PARENT` for the study's own run."""
    tags = run.data.tags
    if "hpsearch.number" not in tags:
        return PARENT
    return int(tags["hpsearch.number"]), int(tags["hpsearch.attempt"])
