"""The words over numbers: uniform, normal, integer. Each checks itself.

A word is an ordinary value to the type checker (`integer(1, 4)` is an `int`) and an `Expression`
at run time. Distributions follow hyperopt's, with bounds as themselves (never their logarithms),
both ends included, and steps counted from `low`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from statistics import NormalDist
from typing import Any, cast, final

from ..errors import PointError, SpaceError
from .elsewhere import checked
from .expression import Expression
from .names import check_name

__all__ = [
    "Integer",
    "Normal",
    "Uniform",
    "Word",
    "finite_number",
    "integer",
    "lognormal",
    "loguniform",
    "normal",
    "uniform",
]


class Word(Expression):
    """One search parameter.

    Attributes:
        name: the label the user gave, or None for one derived from where the word stands.
        log: whether the parameter is searched on a logarithmic scale.
    """

    name: str | None
    log: bool = False

    def noun(self) -> str:
        kind = type(self).__name__.lower()
        article = "An" if kind[0] in "aeio" else "A"  # a uniform
        return f"{article} {kind}"

    def check(self, value: Any) -> Any:
        """Return `value` as it stands in a point, or raise PointError saying what is legal."""
        raise NotImplementedError

    def compared(self, constant: Any) -> Any:
        """Return a constant that is compared with this word as one of its values.

        Raises:
            SpaceError: if it is none, so that the comparison would always be false.
        """
        try:
            return self.check(constant)
        except PointError as error:
            raise SpaceError(f"This comparison would always be false: {error}") from None

    def quantile(self, share: float) -> Any:
        """Return the value below which `share` in [0, 1] of the prior lies."""
        raise NotImplementedError

    def size(self) -> int | None:
        """The number of different values, None for a continuum."""
        return None

    def values(self, steps: int) -> Iterator[Any]:
        """Every value in order; for a continuum `steps` quantiles, each in the middle of its share."""
        count = self.size()
        if count is None:
            return (self.quantile((i + 0.5) / steps) for i in range(steps))
        return (self.quantile((i + 0.5) / count) for i in range(count))

    def ends(self) -> tuple[Any, ...]:
        """The values a check has to try: both ends of a range, every option."""
        return (self.quantile(0.0), self.quantile(1.0))

    def describe(self) -> dict[str, Any]:
        """The word as JSON, for the description and the fingerprint."""
        raise NotImplementedError


class _Ladder(Word):
    """A word whose values may be a ladder `low + k·step <= high`; shared by Uniform and Integer."""

    low: float
    high: float
    step: float | None

    def rungs(self) -> int:
        """The number of values on the ladder."""
        step = Decimal(repr(self.step))
        return int((Decimal(repr(self.high)) - Decimal(repr(self.low))) / step) + 1

    def rung(self, k: int) -> Any:
        """Value number `k`, exact in decimals (0.3, not 0.30000000000000004)."""
        exact = Decimal(repr(self.low)) + k * Decimal(repr(self.step))
        return type(self.low)(exact)

    def edges(self) -> tuple[float, float]:
        """The interval whose uniform (or log-uniform) draw, snapped to the ladder, is the word."""
        if self.step is None:
            return (self.low, self.high)
        half = self.step / 2
        lowest = max(self.low - half, self.low / 2) if self.log else self.low - half
        return (lowest, self.rung(self.rungs() - 1) + half)

    def snap(self, number: float) -> Any:
        """The rung nearest to `number`; within bounds whatever comes."""
        if self.step is None:
            return min(max(float(number), self.low), self.high)
        k = round((number - self.low) / self.step)
        return self.rung(min(max(k, 0), self.rungs() - 1))

    def size(self) -> int | None:
        return None if self.step is None else self.rungs()

    def values(self, steps: int) -> Iterator[Any]:
        if self.step is None:
            return super().values(steps)
        return (self.rung(k) for k in range(self.rungs()))

    def quantile(self, share: float) -> Any:
        low, high = self.edges()
        if self.log:
            return self.snap(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
        if self.step is not None:
            return self.rung(min(int(share * self.rungs()), self.rungs() - 1))
        return self.snap(low + share * (high - low))

    def check(self, value: Any) -> Any:
        number = self.exact(finite_number(value))
        legal = f"a number from {self.low!r} to {self.high!r}"
        if self.step is not None:
            legal += f" in steps of {self.step!r}"
        if number is None or not self.low <= number <= self.high:
            raise PointError(f"{value!r} is outside {self!r}: it takes {legal}.")
        snapped = self.snap(number)
        if self.step is None:
            return float(number)
        if not self.near(snapped, number):
            raise PointError(f"{value!r} is not on the ladder of {self!r}: it takes {legal}.")
        return snapped

    def exact(self, number: float | None) -> float | None:
        """The number as this word compares it."""
        return number

    def near(self, rung: float, number: float) -> bool:
        """Whether a number is this rung, but for what arithmetic lost."""
        return math.isclose(rung, number, rel_tol=1e-9, abs_tol=1e-12)


@final
class Uniform(_Ladder):
    """A real number in [low, high], uniform or log-uniform, on a ladder if `step` is given."""

    def __init__(
        self, low: float, high: float, step: float | None, log: bool, name: str | None
    ) -> None:
        word = "loguniform" if log else "uniform"
        self.low, self.high = _real(word, "low", low), _real(word, "high", high)
        self.step = None if step is None else _real(word, "step", step)
        self.log, self.name = log, check_name(name)
        if log and not 0 < self.low < self.high:
            raise SpaceError(
                f"loguniform needs 0 < low < high, got low={low!r}, high={high!r}. "
                f"Give the bounds themselves, not their logarithms{_exponents(low, high)}."
            )
        if not self.low < self.high:
            raise SpaceError(
                f"{word} needs low < high, got low={low!r}, high={high!r}. "
                "For a constant write the number itself."
            )
        if not math.isfinite(self.high - self.low):
            raise SpaceError(
                f"{word} needs bounds whose distance is a float, got low={low!r}, high={high!r}. "
                "Give nearer ones, or search the exponent."
            )
        _check_step(word, self)

    def describe(self) -> dict[str, Any]:
        word = "loguniform" if self.log else "uniform"
        return {"word": word, "low": self.low, "high": self.high, "step": self.step}

    def __repr__(self) -> str:
        step = "" if self.step is None else f", step={self.step!r}"
        return f"{'log' if self.log else ''}uniform({self.low!r}, {self.high!r}{step})"


@final
class Integer(_Ladder):
    """A whole number in [low, high], both ends included, on the ladder `low + k·step`."""

    low: int
    high: int
    step: int

    def __init__(self, low: int, high: int, step: int, log: bool, name: str | None) -> None:
        self.low, self.high = _whole("low", low), _whole("high", high)
        self.step = _whole("step", step)
        self.log, self.name = bool(log), check_name(name)
        if not self.low < self.high:
            raise SpaceError(
                f"integer needs low < high, got low={low!r}, high={high!r}. "
                "Both ends are included; for a constant write the number itself."
            )
        if log and self.low < 1:
            raise SpaceError(
                f"integer(log=True) needs 1 <= low, got low={low!r}. "
                "Zero has no logarithm: start at 1, or leave log out."
            )
        _check_step("integer", self)

    def rungs(self) -> int:
        return (self.high - self.low) // self.step + 1

    def rung(self, k: int) -> int:
        return self.low + k * self.step

    def snap(self, number: float) -> int:
        if not isinstance(number, int):
            return int(super().snap(number))
        k, over = divmod(number - self.low, self.step)  # a float has 53 bits, too few for some
        k += 2 * over > self.step or (2 * over == self.step and k % 2)
        return self.rung(min(max(k, 0), self.rungs() - 1))

    def exact(self, number: float | None) -> float | None:
        return int(number) if isinstance(number, float) and number.is_integer() else number

    def near(self, rung: float, number: float) -> bool:
        return rung == number if isinstance(number, int) else super().near(rung, number)

    def describe(self) -> dict[str, Any]:
        ends = {"word": "integer", "low": self.low, "high": self.high}
        return {**ends, "step": self.step, "log": self.log}

    def __repr__(self) -> str:
        step = "" if self.step == 1 else f", step={self.step!r}"
        return f"integer({self.low!r}, {self.high!r}{step}{', log=True' if self.log else ''})"


@final
class Normal(Word):
    """A normal or log-normal real number; with `step` the nearest multiple of it."""

    def __init__(
        self, mean: float, std: float, step: float | None, log: bool, name: str | None
    ) -> None:
        word = "lognormal" if log else "normal"
        self.mean, self.std = _real(word, "mean", mean), _real(word, "std", std)
        self.step = None if step is None else _real(word, "step", step)
        self.log, self.name = log, check_name(name)
        if self.std <= 0:
            raise SpaceError(
                f"{word} needs std > 0, got std={std!r}. For a constant write the number itself."
            )
        if self.step is not None and self.step <= 0:
            raise SpaceError(f"{word} needs step > 0, got step={step!r}. Leave it out for none.")

    def snap(self, number: float) -> float:
        """The multiple of `step` nearest to `number`."""
        if self.step is None:
            return float(number)
        return float(round(number / self.step) * Decimal(repr(self.step)))

    def quantile(self, share: float) -> float:
        inside = min(max(share, 1e-9), 1 - 1e-9)  # the ends are infinite
        number = NormalDist(self.mean, self.std).inv_cdf(inside)
        return self.snap(math.exp(number) if self.log else number)

    def check(self, value: Any) -> float:
        number = finite_number(value)
        if number is None or (self.log and number < 0):
            kind = "a positive number" if self.log else "a finite number"
            raise PointError(f"{value!r} is outside {self!r}: it takes {kind}.")
        snapped = self.snap(number)
        if not math.isclose(snapped, number, rel_tol=1e-9, abs_tol=1e-12):
            raise PointError(f"{value!r} is not a multiple of {self.step!r}, the step of {self!r}.")
        return snapped

    def ends(self) -> tuple[float, ...]:
        return (self.quantile(0.001), self.quantile(0.999))

    def describe(self) -> dict[str, Any]:
        word = "lognormal" if self.log else "normal"
        return {"word": word, "mean": self.mean, "std": self.std, "step": self.step}

    def __repr__(self) -> str:
        step = "" if self.step is None else f", step={self.step!r}"
        return f"{'log' if self.log else ''}normal({self.mean!r}, {self.std!r}{step})"


@checked()
def uniform(
    low: float, high: float, step: float | None = None, *, name: str | None = None
) -> float:
    """A real number in [low, high], all equally likely; with `step` one of `low + k·step`.

    Raises:
        SpaceError: unless low < high are finite and 0 < step <= high - low.
    """
    return cast(float, Uniform(low, high, step, False, name))


@checked()
def loguniform(
    low: float, high: float, step: float | None = None, *, name: str | None = None
) -> float:
    """A real number in [low, high] whose logarithm is uniform. Bounds as themselves: (1e-4, 1e-1).

    Raises:
        SpaceError: unless 0 < low < high are finite and 0 < step <= high - low.
    """
    return cast(float, Uniform(low, high, step, True, name))


@checked()
def normal(mean: float, std: float, step: float | None = None, *, name: str | None = None) -> float:
    """A normally distributed real number; with `step` the nearest multiple of it.

    Raises:
        SpaceError: unless mean is finite, std > 0 and step > 0.
    """
    return cast(float, Normal(mean, std, step, False, name))


@checked()
def lognormal(
    mean: float, std: float, step: float | None = None, *, name: str | None = None
) -> float:
    """A positive real number whose logarithm has this mean and standard deviation, as in NumPy.

    Raises:
        SpaceError: unless mean is finite, std > 0 and step > 0.
    """
    return cast(float, Normal(mean, std, step, True, name))


@checked()
def integer(
    low: int, high: int, step: int = 1, log: bool = False, *, name: str | None = None
) -> int:
    """A whole number in [low, high], both ends included and equally likely (unless `log`).

    Raises:
        SpaceError: unless low < high are whole, 1 <= step <= high - low, and 1 <= low for `log`.
    """
    return cast(int, Integer(low, high, step, log, name))


def finite_number(value: Any) -> float | None:
    """Return a finite real number as a Python number, None for anything else."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def _real(word: str, argument: str, value: Any) -> float:
    number = finite_number(value)
    if number is None:
        raise SpaceError(f"{word} needs a finite number for {argument}, got {argument}={value!r}.")
    return float(number)


def _whole(argument: str, value: Any) -> int:
    number = finite_number(value)
    if number is None or number != int(number):
        raise SpaceError(
            f"integer needs a whole number for {argument}, got {argument}={value!r}. "
            "For real numbers write `uniform`."
        )
    return int(number)


def _check_step(word: str, ladder: _Ladder) -> None:
    if ladder.step is not None and not 0 < ladder.step <= ladder.high - ladder.low:
        raise SpaceError(
            f"{word} needs 0 < step <= high - low, got step={ladder.step!r} for "
            f"{ladder.low!r} to {ladder.high!r}."
        )


def _exponents(low: float, high: float) -> str:
    """Guess what was meant by bounds given as logarithms: -9, -4 are probably 1e-9, 1e-4."""
    if low < high <= 0 and low > -40:
        return f": loguniform(1e{low:g}, 1e{high:g}) or loguniform({math.exp(low):.3g}, {math.exp(high):.3g})"
    return ""
