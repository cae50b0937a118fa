"""hyperas's twelve distributions as words of the space.

The bounds of the logarithmic ones are logarithms in hyperopt and themselves here; its steps are
multiples of `q` rounded from a draw, so that they may leave the range, and are counted from `low`
here.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from ..errors import SpaceError
from .marks import imported
from .names import dotted
from .notes import Notes

__all__ = ["DISTRIBUTIONS", "Word", "number", "word_of"]

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "choice": ("options",),
    "pchoice": ("p_options",),
    "randint": ("low", "high"),
    "uniform": ("low", "high"),
    "quniform": ("low", "high", "q"),
    "uniformint": ("low", "high", "q"),
    "loguniform": ("low", "high"),
    "qloguniform": ("low", "high", "q"),
    "normal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "lognormal": ("mu", "sigma"),
    "qlognormal": ("mu", "sigma", "q"),
}
"""hyperopt's distributions with the names of their arguments."""

LARGEST = 1e300
CONSTANTS = {"pi": math.pi, "e": math.e}
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "float": float,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "sqrt": math.sqrt,
}


def _power(base: float, exponent: float) -> Any:
    """The power, where it does not become too large: of integers it would be exact."""
    if abs(exponent) * math.log10(max(abs(base), 2)) > 300:
        raise OverflowError
    return base**exponent


OPERATORS: dict[type[ast.operator], Callable[[float, float], Any]] = {
    ast.Add: operator.add,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mult: operator.mul,
    ast.Pow: _power,
    ast.Sub: operator.sub,
}


@final
@dataclass(frozen=True, slots=True)
class Word:
    """A word under construction: a call of one of ours, or a constant where nothing is to choose.

    Attributes:
        node: the call.
        whole: whether all its values are whole numbers.
    """

    node: ast.expr
    whole: bool = False


def word_of(call: ast.expr, line: int, file: str, notes: Notes, *, as_int: bool = False) -> Word:
    """The word for what stands in a template.

    Args:
        call: the distribution as it was written, its inner parts translated already.
        as_int: whether the file takes `int` of it; then `whole` says if the word does so by itself.

    Raises:
        SpaceError: if it is none of hyperas's distributions, or lacks arguments.
    """
    name = (dotted(call.func) or "").rpartition(".")[2] if isinstance(call, ast.Call) else ""
    if not isinstance(call, ast.Call) or name not in DISTRIBUTIONS:
        known = ", ".join(DISTRIBUTIONS)
        raise SpaceError(
            f"{file}:{line}: a template holds one of hyperas's distributions, got "
            f"{ast.unparse(call)[:60]!r}. Write one of {known}."
        )
    args = _arguments(name, call, line, file)
    return BUILDERS[name](args, line, notes, as_int)


def number(node: ast.expr | None) -> float | None:
    """The value of a number written with signs, operators, `log`, `exp` and the like; else None.

    This is the one place where the file's arithmetic is done. Its numbers lie in (-1e300, 1e300),
    so that none takes long.
    """
    value = _value(node)
    return value if value is not None and abs(value) < LARGEST else None


def _value(node: ast.expr | None) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = number(operand)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            return _computed(OPERATORS.get(type(op)), number(left), number(right))
        case ast.Call(func=func, args=[argument], keywords=[]):
            function = FUNCTIONS.get((dotted(func) or "").rpartition(".")[2])
            return _computed(function, number(argument))
        case ast.Attribute():
            return CONSTANTS.get(node.attr)
    return None


def _computed(function: Callable[..., Any] | None, *operands: float | None) -> float | None:
    if function is None or None in operands:
        return None
    try:
        value = function(*operands)
    except (ArithmeticError, ValueError):
        return None
    return value if isinstance(value, int | float) else None  # a root may be complex


Arguments = dict[str, ast.expr]


def _arguments(name: str, call: ast.Call, line: int, file: str) -> Arguments:
    names = DISTRIBUTIONS[name]
    given = dict(zip(names, call.args, strict=False))
    given |= {k.arg: k.value for k in call.keywords if k.arg in names}
    needed = names[:1] if name == "randint" else names[:2] if name == "uniformint" else names
    lacks = [one for one in needed if one not in given]
    known = len(call.args) + len(call.keywords) <= len(names) and not any(
        k.arg not in names for k in call.keywords
    )
    if lacks or not known:
        raise SpaceError(
            f"{file}:{line}: {name} takes {', '.join(names)}, got {ast.unparse(call)[:60]!r}. "
            "Correct the template and import again."
        )
    step = number(given.get("q"))
    if step is not None and step <= 0:
        raise SpaceError(
            f"{file}:{line}: {name} needs q > 0, got {ast.unparse(call)[:60]!r}. "
            "Correct the template and import again."
        )
    return given


def _call(name: str, *args: ast.expr, **kwargs: ast.expr) -> ast.Call:
    keywords = [ast.keyword(key, value) for key, value in kwargs.items()]
    function = imported(name, "math" if name == "exp" else "hpsearch")
    return ast.Call(function, list(args), keywords)


def _constant(value: float) -> ast.expr:
    if value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _choice(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    options = args["options"]
    if isinstance(options, ast.List | ast.Tuple):
        items = [_folded(item) for item in options.elts]
        written = [ast.dump(item) for item in items]
        kept = [item for i, item in enumerate(items) if written[i] not in written[:i]]
        if len(kept) < len(written):
            notes.add(
                line,
                "choice had an option twice",
                "it stands once here; for more weight write choice([…], weights=[…])",
            )
        options = ast.List(kept, ast.Load())
    listed = options.elts if isinstance(options, ast.List) else []
    whole = bool(listed) and all(
        isinstance(item, ast.Constant) and type(item.value) is int for item in listed
    )
    return Word(_call("choice", options), whole)


def _folded(item: ast.expr) -> ast.expr:
    """``10**-3`` as the number that it is."""
    value = number(item) if isinstance(item, ast.BinOp) else None
    return item if value is None else _constant(value)


def _pchoice(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    pairs = args["p_options"]
    items = pairs.elts if isinstance(pairs, ast.List | ast.Tuple) else []
    if items and all(isinstance(p, ast.List | ast.Tuple) and len(p.elts) == 2 for p in items):
        two = [p.elts for p in items if isinstance(p, ast.List | ast.Tuple)]
        first, second = (ast.List([pair[i] for pair in two], ast.Load()) for i in (0, 1))
        return Word(_call("choice", second, weights=first))
    notes.add(
        line,
        "pchoice got its pairs from elsewhere",
        "choice takes them apart: options, and weights that sum to 1",
    )
    options, weights = (_unzipped(pairs, wanted) for wanted in ("option", "weight"))
    return Word(_call("choice", options, weights=weights))


def _unzipped(pairs: ast.expr, wanted: str) -> ast.ListComp:
    (line,) = ast.parse(f"[{wanted} for weight, option in pairs]").body
    assert isinstance(line, ast.Expr) and isinstance(line.value, ast.ListComp)
    line.value.generators[0].iter = pairs
    return line.value


def _randint(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    low: ast.expr = ast.Constant(0)
    high = args["low"]
    if "high" in args:
        low, high = args["low"], args["high"]
    first, last = number(low), number(high)
    if first is None or last is None:
        return Word(_call("integer", low, ast.BinOp(high, ast.Sub(), ast.Constant(1))), True)
    return _integer(int(first), int(last) - 1, 1, line, notes)


def _integer(low: int, high: int, step: int, line: int, notes: Notes, log: bool = False) -> Word:
    """The word for whole numbers; the number itself where there is one only."""
    if high <= low:
        notes.add(line, f"the template has the one value {low}", "it is a constant here")
        return Word(_constant(low), True)
    more: dict[str, ast.expr] = {}
    if step != 1 and step <= high - low:
        more["step"] = ast.Constant(step)
        if low % step:
            notes.add(
                line,
                f"hyperopt rounded to multiples of {step}, from {round(low / step) * step}",
                f"steps count from low here: {low}, {low + step}, …",
            )
    elif step != 1:
        notes.add(line, f"steps of {step} are larger than the range", "the word has none here")
    if log:
        more["log"] = ast.Constant(True)
    return Word(_call("integer", _constant(low), _constant(high), **more), True)


def _whole(*values: float | None) -> bool:
    return all(value is not None and float(value).is_integer() for value in values)


def _uniform(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    low, high = number(args["low"]), number(args["high"])
    if as_int and low is not None and high is not None and low >= 0:
        return _integer(math.floor(low), math.ceil(high) - 1, 1, line, notes)  # int() cuts
    return Word(_call("uniform", args["low"], args["high"]))


def _quniform(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    low, high, q = (number(args.get(name)) for name in ("low", "high", "q"))
    if low is None or high is None or (q is None and "q" in args):
        step = {"step": args["q"]} if "q" in args else {}
        return Word(_call("uniform", args["low"], args["high"], **step))
    q = 1 if q is None else q
    if _whole(low, high, q):
        return _integer(int(low), int(high), int(q), line, notes)
    if q > high - low:
        notes.add(line, f"steps of {q:g} are larger than the range", "the word has none here")
        return Word(_call("uniform", args["low"], args["high"]))
    return Word(_call("uniform", args["low"], args["high"], step=args["q"]))


def _loguniform(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
    low, high, q = (number(args.get(name)) for name in ("low", "high", "q"))
    if low is not None and high is not None and 0 < low < high < 2:
        notes.add(
            line,
            f"loguniform takes logarithms in hyperopt: these bounds were {math.exp(low):.4g} to "
            f"{math.exp(high):.4g}",
            f"if {low:g} to {high:g} was meant, write loguniform({low:g}, {high:g})",
        )
    ends = [None if x is None or x > 700 else _nice(math.exp(x)) for x in (low, high)]
    if (as_int or _whole(q)) and _whole(*ends) and _whole(1 if q is None else q):
        first, last = (int(end) for end in ends if end is not None)
        if first >= 1:
            step = 1 if q is None else int(q)
            return _integer(first, last - (q is None), step, line, notes, log=True)
    more = {"step": args["q"]} if "q" in args else {}
    return Word(_call("loguniform", _exp(args["low"]), _exp(args["high"]), **more))


def _nice(value: float) -> float | None:
    """The number with few digits that this is, but for the last bits; None if it is none."""
    short = float(f"{value:.3g}")
    return short if math.isclose(short, value, rel_tol=1e-9) else None


def _exp(bound: ast.expr) -> ast.expr:
    """The bound that this is the logarithm of."""
    if (
        isinstance(bound, ast.Call)
        and (dotted(bound.func) or "").rpartition(".")[2] == "log"
        and len(bound.args) == 1
    ):
        return bound.args[0]
    value = number(bound)
    nice = _nice(math.exp(value)) if value is not None and abs(value) < 700 else None
    return _call("exp", bound) if nice is None else ast.Constant(nice)


def _normal(name: str) -> Callable[[Arguments, int, Notes, bool], Word]:
    def build(args: Arguments, line: int, notes: Notes, as_int: bool) -> Word:
        more = {"step": args["q"]} if "q" in args else {}
        return Word(_call(name, args["mu"], args["sigma"], **more))

    return build


BUILDERS: dict[str, Callable[[Arguments, int, Notes, bool], Word]] = {
    "choice": _choice,
    "pchoice": _pchoice,
    "randint": _randint,
    "uniform": _uniform,
    "quniform": _quniform,
    "uniformint": _quniform,
    "loguniform": _loguniform,
    "qloguniform": _loguniform,
    "normal": _normal("normal"),
    "qnormal": _normal("normal"),
    "lognormal": _normal("lognormal"),
    "qlognormal": _normal("lognormal"),
}
