"""What the parts of a declaration become once its switches are resolved: objects, or code.

`Builder` decides which parts are there; a `Maker` makes something of each. `Objects` makes the
real thing; the printed script (`hpsearch.plain_keras`) is made by another one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, final

from ..declare import Adapted, Condition, Derived, Given, Recorder, Word

__all__ = ["Maker", "Objects"]

Making = Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any]], Any]


class Maker(Protocol):
    """Makes the parts of one trial, each after the parts it is made of."""

    def word(self, word: Word | Given, value: Any) -> Any:
        """A word or a fact, whose value is `value` (for a choice what the option was made into)."""

    def function(self, recorder: Recorder) -> Any:
        """A function or class to be called, or standing uncalled."""

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A call of what `function` made, or of a part that was made before (a layer)."""

    def adapted(self, node: Adapted, layer: Any, on: Any) -> Any:
        """The layer after it has learned from the data."""

    def derived(self, node: Derived | Condition, values: list[Any]) -> Any:
        """A value computed from others."""

    def partial(self, node: functools.partial[Any], args: list[Any], kwargs: Any) -> Any:
        """A function with some of its arguments bound."""

    def noun(self, node: Any, fields: Mapping[str, Any]) -> Any:
        """A `Data`, `Fit` or `Holdout` with all its fields known."""

    def constant(self, node: Any) -> Any:
        """Anything else as it stands in the declaration."""


@final
class Objects:
    """Makes the real things.

    Args:
        call: makes a recorded call; the default just calls.
    """

    def __init__(self, call: Making | None = None) -> None:
        self.call = call or (lambda function, args, kwargs: function(*args, **kwargs))

    def word(self, word: Word | Given, value: Any) -> Any:
        return value

    def function(self, recorder: Recorder) -> Any:
        return recorder.resolve()

    def adapted(self, node: Adapted, layer: Any, on: Any) -> Any:
        layer.adapt(on)
        return layer

    def derived(self, node: Derived | Condition, values: list[Any]) -> Any:
        return node.apply(values)

    def partial(self, node: functools.partial[Any], args: list[Any], kwargs: Any) -> Any:
        return functools.partial(node.func, *args, **kwargs)

    def noun(self, node: Any, fields: Mapping[str, Any]) -> Any:
        return type(node)(**fields)

    def constant(self, node: Any) -> Any:
        return node
