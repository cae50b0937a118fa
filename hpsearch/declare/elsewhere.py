"""What a word of another library is told: its labels come first, and its options have other names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import SpaceError, nearest

__all__ = ["taught"]

P = ParamSpec("P")
R = TypeVar("R")

LOGARITHMIC = {"uniform": "loguniform", "normal": "lognormal", "integer": "log=True"}
OURS = {
    "q": "step",
    **dict.fromkeys(("lower", "min_value"), "low"),
    **dict.fromkeys(("upper", "max_value"), "high"),
    **dict.fromkeys(("mu", "loc"), "mean"),
    **dict.fromkeys(("sigma", "sd", "scale"), "std"),
    **dict.fromkeys(("categories", "choices", "values"), "options"),
    **dict.fromkeys(("p", "probabilities"), "weights"),
    "label": "name",
}
"""Our names of what rivals call otherwise."""
FIRST = ("default", "initial")  # their names of the value to begin with


def taught(word: Callable[P, R]) -> Callable[P, R]:
    """The word, which tells what to write where it is called as another library's.

    Raises:
        SpaceError: for a label in the first place, an option that it has not, or one too many.
    """
    signature = inspect.signature(word)
    name, known = word.__name__, [*signature.parameters]

    @functools.wraps(word)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0] if len(args) > 1 and known[0] != "part" else None
        if isinstance(first, str) and not first[:1].isdigit():  # "1" is a bound, in quotes
            raise SpaceError(
                f"{name} has no label in the first place, got {first!r}. Write name={first!r} "
                "at the end, or nothing: a label follows from where the word stands."
            )
        for option in kwargs:
            if option not in known:
                raise SpaceError(
                    f"{name} has no option {option!r}. {_instead(name, option, known)}"
                )
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise SpaceError(f"{name}: {error}. It is {name}{_text(signature)}.") from None
        return word(*args, **kwargs)

    return called


def _text(signature: inspect.Signature) -> str:
    """Names and defaults, without types."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


def _instead(word: str, option: str, known: list[str]) -> str:
    if option in ("log", "sampling", "base") and word in LOGARITHMIC:
        return f"For a logarithmic scale write {LOGARITHMIC[word]}."
    if option in FIRST:
        return "Points to begin with are the baselines of a Space, or enqueue= of the search."
    if option == "ordered":
        return "Options that are numbers are ordered by themselves."
    if OURS.get(option) in known:
        return f"Here it is {OURS[option]}."
    return nearest(option, known)
