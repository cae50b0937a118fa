"""`hyperopt_algo`: our search as the `algo` of `hyperopt.fmin`, on any space of hyperopt."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Never, TypeAlias, final

import numpy as np
from hyperopt.base import (
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
    STATUS_OK,
)

from ..errors import SpaceError, nearest
from .codes import Codes
from .expression import Expression, fingerprint
from .paces import PACES, Pace
from .searcher import Searcher
from .told import Told

__all__ = ["hyperopt_algo"]

Document: TypeAlias = dict[str, Any]
Algo: TypeAlias = Callable[[Sequence[Any], Any, Any, int], list[Document]]
Ended: TypeAlias = tuple[int, Any, Any, float | None]  # (place, tid, vals, loss; None: it failed)

LOGGER = logging.getLogger(__name__)
WHY = "hpsearch"  # the key of `misc` under which a document says why it was suggested


def hyperopt_algo(
    pace: str = "thorough", *asked: Any, repeats: bool = False, **others: Never
) -> Algo:
    """Return our search for ``hyperopt.fmin(..., algo=hpsearch.hyperopt_algo())``.

    It takes the place of ``tpe.suggest``, whatever the space. Trials that failed (an exception
    caught by fmin, STATUS_FAIL, a loss of NaN or infinity) teach it where not to look, trials that
    run are known to it, and a search goes on from any ``trials=``. When all points of a finite
    space were tried it returns no document, which ends fmin. ``misc["hpsearch"]`` of each document
    says why it was suggested; see `hpsearch.trial.Why` for the fields.

    Args:
        pace: ``"thorough"``, or ``"fast"`` for an objective of less than a tenth of a second. (There
            is no ``"auto"``: fmin does not say how long a trial took.)
        repeats: whether a point that was tried may be suggested again, as a noisy objective may
            want. A finite space then never ends.

    Returns:
        a function ``(new_ids, domain, trials, seed) -> [document]``. Its documents depend on
        nothing but the space, the documents in `trials`, and the seed, which fmin draws from
        `rstate`.

    Raises:
        SpaceError: for another pace.
        TypeError: for another setting, such as those of ``tpe.suggest``; and where the function
            itself is given to fmin, which then asks it for documents.
    """
    if asked:
        raise TypeError(
            "hyperopt_algo makes an algorithm, it is none itself. Call it, with a pace or nothing: "
            "algo=hpsearch.hyperopt_algo(). Whether points may be tried again is repeats=True."
        )
    _refuse(others)
    if pace == "auto":
        raise SpaceError(
            "hyperopt_algo has no pace 'auto', as fmin does not say how long trials take. Leave it "
            "out, or write 'fast' where they take less than a tenth of a second."
        )
    if not isinstance(pace, str) or pace not in PACES:
        raise SpaceError(f"hyperopt_algo has no pace {pace!r}. {nearest(str(pace), PACES)}")
    return _Suggest(PACES[pace], repeats)


@final
class _Suggest:
    """The function, and what it remembers of the space that it was last asked about."""

    def __init__(self, pace: Pace, repeats: bool) -> None:
        self._pace, self._repeats = pace, repeats
        self._space: Any = None
        self._fingerprint: Any = None
        self._search: _Search | None = None

    def __call__(
        self, new_ids: Sequence[Any], domain: Any, trials: Any, seed: int, **others: Any
    ) -> list[Document]:
        _refuse(others)
        documents = _documents(trials)
        with np.errstate(under="ignore"):  # as it is, unless the caller has set it to raise
            search = self._search_of(domain.expr)
            search.learn(documents)
            suggestions = search.suggest(documents, len(new_ids), int(seed))
        miscs = [
            _misc(tid, domain, raws, why)
            for tid, (raws, why) in zip(new_ids, suggestions, strict=False)
        ]
        count = len(miscs)
        if count < len(new_ids):
            LOGGER.warning(
                "Every point of the space was tried, so there is no other to suggest. For a noisy "
                "objective: hyperopt_algo(repeats=True)."
            )
        results = [domain.new_result() for _ in miscs]
        made = trials.new_trial_docs([m["tid"] for m in miscs], [None] * count, results, miscs)
        return list(made)

    def _search_of(self, space: Any) -> _Search:
        """fmin makes a new domain each time, often from an expression that is written anew."""
        if self._search is None or space is not self._space:
            found = fingerprint(space)
            if self._search is None or found != self._fingerprint:
                self._search = _Search(Expression(space), self._pace, self._repeats)
            self._space, self._fingerprint = space, found
        return self._search


@final
class _Search:
    """The search of one space; what it keeps are caches."""

    def __init__(self, expression: Expression, pace: Pace, repeats: bool) -> None:
        self._expression = expression
        self._searcher = Searcher(expression.columns, None, pace=pace, repeats=repeats)
        self._told = Told(expression.columns)
        self._ended: list[Ended] = []

    def learn(self, documents: Sequence[Document]) -> None:
        """Take in what is new; forget what is no longer as it was."""
        ended = [
            (place, document)
            for place, document in enumerate(documents)
            if document["state"] in (JOB_STATE_DONE, JOB_STATE_ERROR)
        ]
        kept = _common(self._ended, ended)
        if kept < len(self._ended):
            self._told.cut(kept)
            self._searcher.forget(self._told)
            del self._ended[kept:]
        new = [(place, d["tid"], d["misc"]["vals"], _loss(d)) for place, d in ended[kept:]]
        rows = self._rows(vals for _, _, vals, _ in new)
        for (place, tid, _, loss), row in zip(new, rows, strict=True):
            self._told.add(tid, row, math.nan if loss is None else loss, turn=place)
        self._ended += new

    def suggest(
        self, documents: Sequence[Document], count: int, seed: int
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return raw values and a reason for each of so many trials, fewer where there are no more."""
        running = self._rows(
            document["misc"]["vals"]
            for document in documents
            if document["state"] in (JOB_STATE_NEW, JOB_STATE_RUNNING)
        )
        start = next((d["misc"][WHY]["seed"] for d in documents if WHY in d["misc"]), seed)
        suggested = []
        for number in range(len(documents), len(documents) + count):
            found = self._searcher.suggest(self._told, running, number, seed, start=start)
            if found is None:
                break
            running = np.concatenate([running, found.row[None]])
            why = {"seed": start, **dataclasses.asdict(found.why(self._told))}
            suggested.append((dict(self._expression.raws(found.row)), why))
        return suggested

    def _rows(self, documents: Iterable[Mapping[str, Sequence[Any]]]) -> Codes:
        """Codes (n, columns) of the `vals` of documents."""
        return self._expression.rows(
            [{label: found[0] for label, found in vals.items() if len(found)} for vals in documents]
        )


def _refuse(settings: Mapping[str, Any]) -> None:
    """There are none but the pace and `repeats`."""
    for setting in settings:
        raise TypeError(
            f"hyperopt_algo has no {setting!r}. {nearest(setting, ('pace', 'repeats'))} What "
            "tpe.suggest is told, such as n_startup_jobs and gamma, it finds out by itself."
        )


def _documents(trials: Any) -> list[Document]:
    """All documents of an experiment: `trials.trials` lacks those that ended with an error."""
    documents = getattr(trials, "_dynamic_trials", None)
    if documents is None:  # MongoTrials
        return list(trials.trials)
    key = trials._exp_key
    return [document for document in documents if key is None or document["exp_key"] == key]


def _loss(document: Document) -> float | None:
    """The loss of a trial that ended, None for a failure."""
    result = document["result"]
    if document["state"] != JOB_STATE_DONE or result.get("status") != STATUS_OK:
        return None
    try:
        loss = float(result["loss"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return loss if math.isfinite(loss) else None


def _common(known: Sequence[Ended], ended: Sequence[tuple[int, Document]]) -> int:
    """How many at the beginning are as they were; a loss may have been edited."""
    pairs = enumerate(zip(known, ended, strict=False))
    for number, ((place, tid, vals, loss), (place_now, document)) in pairs:
        if place_now != place or document["tid"] != tid or _loss(document) != loss:
            return number
        found = document["misc"]["vals"]
        if found is not vals and found != vals:
            return number
    return min(len(known), len(ended))


def _misc(tid: Any, domain: Any, raws: Mapping[str, Any], why: dict[str, Any]) -> Document:
    """What hyperopt keeps of a point: each label of the space, also those that are not active."""
    return {
        "tid": tid,
        "cmd": domain.cmd,
        "workdir": domain.workdir,
        "idxs": {label: [tid] if label in raws else [] for label in domain.params},
        "vals": {label: [raws[label]] if label in raws else [] for label in domain.params},
        WHY: why,
    }
