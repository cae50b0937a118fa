"""What a search found: the best trial, its model, and every trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from ..errors import StudyError
from ..trial import Point, Trial, finite
from .tally import counts_of
from .watch import value_text

__all__ = ["Best", "Result"]


@final
@dataclass(frozen=True, eq=False, slots=True)
class Best:
    """The best trial of a study.

    Attributes:
        value: in the user's own sign.
        point: ``{label: value}``, active labels only.
        run_id: its MLflow run, None where it was not delivered.
        test: the metrics on the test part, {} without one.
    """

    number: int
    value: float
    point: Point
    run_id: str | None = None
    test: dict[str, float] = field(default_factory=dict)
    _load: Callable[[], Any] | None = field(default=None, repr=False)
    _resolve: Callable[[Point], Any] | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what resolves: a declaration holds functions, which do not travel."""
        known = (self.number, self.value, self.point, self.run_id, self.test, self._load)
        return Best, known

    @property
    def values(self) -> Any:
        """What the objective was given, for a dict of words; the point for a `Space`.

        Raises:
            StudyError: where the result was pickled in between.
        """
        if self._resolve is None:
            raise StudyError(
                "The values are known to the program that searched; a result that was stored has "
                "the point."
            )
        return self._resolve(self.point)

    def model(self) -> Any:
        """The compiled Keras model with the weights of the kept epoch.

        Raises:
            StudyError: if the study trained no Keras model, or kept none.
        """
        if self._load is None:
            raise StudyError(
                f"No model was kept of trial {self.number}. Search a Space, with keep_models=1 or more."
            )
        return self._load()


@final
@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Result:
    """What `hpsearch.search` returns.

    Attributes:
        study: the study's name; `hpsearch show`, `best` and `resume` take it.
        direction: ``"maximize"`` or ``"minimize"``.
        best: None where no trial succeeded.
        trials: the latest attempt of each trial, in order.
        seconds: wall seconds of this run.
        ended_by: why it stopped.
        link: the study's page in the MLflow UI, from the ``#`` on.
    """

    study: str
    direction: str
    metric: str
    best: Best | None
    trials: Sequence[Trial]
    seconds: float
    ended_by: str | None = None
    link: str | None = None
    tracking_uri: str | None = None
    folder: Path | None = None

    def __repr__(self) -> str:
        best = self.best
        found = (
            "nothing succeeded"
            if best is None
            else f"best {self.metric} {value_text(best.value)} in trial {best.number}"
        )
        return f"Result({self.study}: {found}, {self.counts['total']} trials)"

    @property
    def counts(self) -> dict[str, int]:
        """Finished, failed and pruned trials, and their total."""
        return counts_of(self.trials)

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        best = self.best
        return {
            "study": self.study,
            "direction": self.direction,
            "best": None
            if best is None
            else {
                "number": best.number,
                "value": best.value,
                "point": best.point,
                "run_id": best.run_id,
                "test": {k: v if finite(v) else None for k, v in best.test.items()},
            },
            "trials": self.counts,
            "seconds": round(self.seconds, 3),
        }
