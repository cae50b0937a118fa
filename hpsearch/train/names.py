"""The names that Keras gives to what has none, the same in every trial of a process.

Keras counts them per process: the second model's unnamed output is `dense_7` and its `AUC()` is
`auc_2`, so that their metrics have other names than the first model's. `keras.utils.clear_session`
would start the count anew, but drops the user's dtype policy too, and knows nothing of layers that
were made with the data.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias, final

__all__ = ["Names"]

Counts: TypeAlias = dict[str, int]

COUNTS = "object_name_uids"  # as keras.src.utils.naming calls it


@final
class Names:
    """Where the count of names stood before the first model."""

    def __init__(self) -> None:
        self._first: Counts | None = None

    def restore(self) -> None:
        """Count for a new model on from where `keep` was called last."""
        if self._first is not None:
            _count_from(self._first)

    def keep(self) -> None:
        """Remember which names are given: those of layers that are kept from trial to trial."""
        self._first = _counts()

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Name metrics as in the first phase of a process's first model; layers go on after it."""
        before = _counts()
        _count_from({})
        yield
        _count_from(Counter(before) | Counter(_counts()))  # the higher of the two


def _counts() -> Counts:
    return dict(_state().get_global_attribute(COUNTS) or {})


def _count_from(counts: Counts) -> None:
    _state().set_global_attribute(COUNTS, defaultdict(int, counts))


def _state() -> Any:
    from keras.src.backend.common import global_state

    return global_state
