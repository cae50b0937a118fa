"""Calls as other libraries write them, refused with what to write here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ..errors import SpaceError, nearest

__all__ = ["checked"]

P = ParamSpec("P")
R = TypeVar("R")

ELSEWHERE = {
    "q": "step",
    **dict.fromkeys(("lower", "min_value"), "low"),
    **dict.fromkeys(("upper", "max_value"), "high"),
    **dict.fromkeys(("mu", "loc"), "mean"),
    **dict.fromkeys(("sigma", "sd", "scale"), "std"),
    **dict.fromkeys(("categories", "choices", "values"), "options"),
    **dict.fromkeys(("p", "probabilities"), "weights"),
    "label": "name",
}
"""What rivals call these options."""

SCALES = ("log", "sampling", "prior", "base")  # how they ask for a logarithmic scale
LOGARITHMIC = {
    "uniform": "For a logarithmic scale write loguniform.",
    "normal": "For a logarithmic scale write lognormal.",
    "integer": "For a logarithmic scale write log=True.",
}


def checked(*, text: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator of words: what does not fit their signature is told what to write.

    Args:
        text: whether the first argument may be a string; else one is taken for a label.

    Raises:
        SpaceError: for a label in the first place, an option that is not known, and one too many
            or too few.
    """

    def decorated(word: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(word)
        name, known = word.__name__, [*signature.parameters]

        @functools.wraps(word)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            others = len(args) > 1 or kwargs.keys() - {"name"}
            if args and others and not text and _is_label(args[0]):
                raise SpaceError(
                    f"{name} has no label in the first place, got {args[0]!r}. Write "
                    f"name={args[0]!r} at the end, or nothing: a label follows from where the word "
                    "stands."
                )
            for option, value in kwargs.items():
                if option not in known:
                    way = _instead(name, option, value, known)
                    raise SpaceError(f"{name} has no option {option!r}. {way}")
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise SpaceError(f"{name}: {error}. It is {name}{_bare(signature)}.") from None
            return word(*args, **kwargs)

        return called

    return decorated


def _is_label(first: Any) -> bool:
    """Whether it is a string, and not a number in quotes."""
    if not isinstance(first, str):
        return False
    try:
        float(first)
    except ValueError:
        return True
    return False


def _instead(word: str, option: str, value: Any, known: list[str]) -> str:
    if option in SCALES and word.startswith("log"):
        return "It is logarithmic: leave that out."
    if option in SCALES and word in LOGARITHMIC:
        linear = value in (False, None, "linear", "uniform")
        return "It is linear: leave that out." if linear else LOGARITHMIC[word]
    if option in ("default", "initial"):
        return "Points to begin with are the baselines of a Space, or enqueue= of the search."
    if option == "ordered" and word == "choice":
        return "Options that are numbers are ordered by themselves."
    if ELSEWHERE.get(option) in known:
        return f"Here it is {ELSEWHERE[option]}."
    return nearest(option, known)


def _bare(signature: inspect.Signature) -> str:
    """Names and defaults, without types."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))
