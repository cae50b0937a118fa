"""Whether the data of a point can be made: tried before its model is, and once for all points alike.

A provider that fails (a download, a missing file) or parts that do not fit together have nothing to
do with the model, so no other point of the same data is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from ..build import where_raised
from ..errors import BuildError, HpsearchError
from ..space import Child, Parameters, Space
from ..train import KerasEngine
from ..trial import Job, Key, Point
from ..wire import to_json

__all__ = ["Supply"]

MOST_ALIKE = 3  # failures of one text under different options, before the data itself is to blame


@final
class Supply:
    """Makes the data of points, and remembers for which values of the words in it that failed.

    Args:
        parameters: the space's table, with what is fixed.
    """

    def __init__(self, engine: KerasEngine, space: Space, parameters: Parameters) -> None:
        self._engine = engine
        found = _labels_in_data(space, parameters)
        self._labels = [label for label in found if label not in parameters.fixed]
        self._tried: dict[str, HpsearchError | None] = {}

    def check(self, point: Point) -> None:
        """Make the data of a point, which the engine keeps for the model.

        Raises:
            BuildError: if its provider fails.
            DataError: if its parts do not fit together.
        """
        key = to_json({label: point[label] for label in self._labels if label in point})
        if key not in self._tried:
            try:
                _ = self._engine.construction(Job(Key("check", 0), point, seed=0)).parts
                self._tried[key] = None
            except HpsearchError as error:
                self._tried[key] = error
            except SystemExit as error:
                text = f"{where_raised(error)} (a provider may not end the process)"
                self._tried[key] = BuildError(text)
        failed = self._tried[key]
        if failed is not None:
            raise failed

    @property
    def hopeless(self) -> bool:
        """Whether no point is likely to have data: no word is in it, or none tried makes a difference."""
        if any(failed is None for failed in self._tried.values()):
            return False
        texts = [str(failed) for failed in self._tried.values()]
        alike = max((texts.count(text) for text in texts), default=0)
        return alike >= (MOST_ALIKE if self._labels else 1)


def _labels_in_data(space: Space, parameters: Parameters) -> list[str]:
    """The labels of the words that stand in ``data``, or that a condition in it reads."""
    labels = {id(parameter.word): label for label, parameter in parameters.items()}
    found: dict[str, None] = {}

    def visit(node: Any, _place: str, children: Sequence[Child]) -> None:
        if id(node) in labels:
            found[labels[id(node)]] = None
        for child in children:
            space.walk.go(child.node, child.place, visit)

    space.walk.go(space.data, "data", visit)
    return list(found)
