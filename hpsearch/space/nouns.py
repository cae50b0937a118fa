"""`Space`, `Data` and `Fit`: what is searched, on what, and how it is trained.

They take what Keras takes: `Space` the arguments of `compile`, `Fit` those of `fit` but the data.
"""

from __future__ import annotations

import numbers
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, final

from ..declare import Applicable, Call, Choice, Expression, Match, Recorder, Word
from ..errors import PointError, SpaceError, nearest
from ..trial import Point, Value
from .arguments import refusing_unknown
from .describe import Description, describe
from .parameters import Parameters
from .walk import Walk

__all__ = ["Data", "Fit", "Holdout", "Space", "space_of"]

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
SMALLER_IS_BETTER = r"(^|_)(loss|error|mse|mae|rmse|mape|msle|crossentropy|hinge|divergence)$"
NEGATED = r"(neg|negative)_"  # as scikit-learn names scores: larger is better again
LARGER_IS_BETTER = r"(^|_)(accuracy|acc|auc|precision|recall|f1_score|mcc|r2_score)$"


@final
@refusing_unknown
@dataclass(frozen=True, eq=False)
class Holdout:
    """A part of the training rows, kept for validation.

    Attributes:
        fraction: how much, in (0, 1).
        shuffle: draw the rows at random, under the study's seed; else take the last ones.
        stratify: keep the share of each class the same in both parts; needs `shuffle`.
    """

    walked: ClassVar[bool] = True
    fraction: Any
    shuffle: Any = True
    stratify: Any = False

    def __post_init__(self) -> None:
        if not isinstance(self.fraction, Expression) and not _fraction(self.fraction):
            raise SpaceError(
                f"Holdout needs a fraction in (0, 1), got {self.fraction!r}. For a tenth: 0.1."
            )
        if not isinstance(self.fraction, Expression):
            object.__setattr__(self, "fraction", _as_written(self.fraction))
        if self.stratify is True and self.shuffle is False:
            raise SpaceError("Holdout(stratify=True) needs shuffle=True: it draws from each class.")


@final
@refusing_unknown
@dataclass(frozen=True, eq=False)
class Data:
    """What a model is trained, judged and finally tested on.

    Each part is ``(x, y)`` or ``(x, y, sample_weight)`` with arrays or dicts or lists of arrays of
    n rows each, a ``tf.data.Dataset``, or a ``PyDataset``. A dataset that draws (`shuffle`) comes
    from a function made with `delayed`, which each trial calls under the study's seed; one that
    stands in place goes on from trial to trial, so that a resumed search differs.

    Attributes:
        train: the training part.
        validation: a part of its own; a fraction in (0, 1) of the last training rows, as Keras
            splits; or a `Holdout`.
        test: used once, for the best trial.
    """

    walked: ClassVar[bool] = True
    train: Any
    validation: Any = None
    test: Any = None

    def __post_init__(self) -> None:
        part = self.validation
        if isinstance(part, numbers.Real) and not _fraction(part):
            raise SpaceError(
                f"Data(validation=…) needs a fraction in (0, 1), got {part!r}. "
                "For a tenth of the training rows: validation=0.1."
            )
        if isinstance(part, numbers.Real):
            object.__setattr__(self, "validation", _as_written(part))
        for name in ("train", "test"):
            value = getattr(self, name)
            if isinstance(value, numbers.Real | str) or (name == "train" and value is None):
                raise SpaceError(
                    f"Data({name}=…) needs (x, y) or a dataset, got {value!r}. "
                    "Write Data((x, y), validation=0.2)."
                )
        for name in ("train", "validation", "test"):
            if isinstance(getattr(self, name), Iterator):
                raise SpaceError(
                    f"Data({name}=…) got an iterator, which the first trial would use up. Give "
                    "arrays, a tf.data.Dataset or a PyDataset."
                )


@final
@refusing_unknown
@dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """One phase of training: the arguments of ``Model.fit`` but the data.

    What a phase gives of optimizer and loss compiles the model anew, the rest as before; `prepare`
    is called with the model before that (to unfreeze layers, say).
    """

    walked: ClassVar[bool] = True
    batch_size: Any = None
    epochs: Any = 1
    verbose: Any = 0
    callbacks: Any = ()
    shuffle: Any = True
    class_weight: Any = None
    initial_epoch: Any = 0
    steps_per_epoch: Any = None
    validation_steps: Any = None
    validation_batch_size: Any = None
    validation_freq: Any = 1
    prepare: Any = None
    optimizer: Any = None
    loss: Any = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "steps_per_epoch", "validation_steps"):
            value = getattr(self, name)
            if isinstance(value, Expression) or (value is None and name != "epochs"):
                continue
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                raise SpaceError(
                    f"Fit({name}=…) needs a whole number from 1, got {value!r}. "
                    "A searched one is an integer or a choice of whole numbers."
                )
            object.__setattr__(self, name, int(value))


@final
@refusing_unknown
@dataclass(frozen=True, eq=False, kw_only=True)
class Space:
    """A Keras model with its choices in place, its data and its training: a search space.

    Attributes:
        data: `Data`, or a recorded call that returns one.
        model: a recorded model, or a recorded call that returns one.
        optimizer, loss, metrics, loss_weights, weighted_metrics, run_eagerly,
            steps_per_execution, jit_compile, auto_scale_loss: as ``Model.compile`` takes them;
            all left out where the model comes compiled.
        fit: one `Fit`, or a list of them: phases in order.
        train: ``train(model, data, report)``, instead of ``fit``, for loops of one's own.
        evaluate: ``evaluate(model, data) -> {name: number}``, on the kept weights.
        maximize, minimize: the name of the metric to search for; exactly one of the two.
        keep: ``"best"`` or ``"last"``: which epoch's weights and value count.
        require: conditions on words, or predicates over a point, that every point satisfies.
        max_params: most weights a model may have; a larger one is rejected untrained.
        baselines: ``{name: point}``, run first and compared with; missing labels are suggested.
        name: what to call the space; by default its file's name.

    Raises:
        SpaceError: on the line that is wrong, for everything that can be known without training.
    """

    walked: ClassVar[bool] = True
    data: Any
    model: Any
    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    loss_weights: Any = None
    weighted_metrics: Any = None
    run_eagerly: Any = None
    steps_per_execution: Any = None
    jit_compile: Any = None
    auto_scale_loss: Any = None
    fit: Any = field(default_factory=Fit)
    train: Any = None
    evaluate: Any = None
    maximize: str | None = None
    minimize: str | None = None
    keep: str = "best"
    require: Sequence[Any] = field(default=(), metadata={"walk": False})
    max_params: int | None = None
    baselines: Mapping[str, Mapping[str, Value]] = field(
        default_factory=dict, metadata={"walk": False}
    )
    name: str | None = field(default=None, metadata={"walk": False})

    def __post_init__(self) -> None:
        _check_objective(self)
        _check_parts(self)
        _check_loop(self)
        _check_record(self)
        object.__setattr__(self, "walk", Walk())
        object.__setattr__(self, "_description", describe(self, self.walk, self.require))
        self.parameters.try_constraints()
        _check_baselines(self)

    def __reduce__(self) -> Any:
        """A copy in another process is declared anew: the walk knows its nodes by identity."""
        return _declared, ({f.name: getattr(self, f.name) for f in fields(self) if f.init},)

    walk: Walk = field(init=False, repr=False, metadata={"walk": False})
    _description: Description = field(init=False, repr=False, metadata={"walk": False})

    @property
    def parameters(self) -> Parameters:
        """The table of search parameters."""
        return self._description.parameters

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over labels, words, options and constants; not over code."""
        return self._description.fingerprint

    @property
    def description(self) -> Any:
        """The declaration as JSON."""
        return self._description.content

    @property
    def metric(self) -> str:
        """The metric that is searched for."""
        return str(self.maximize or self.minimize)

    @property
    def phases(self) -> tuple[Fit, ...]:
        """The phases of training, in order."""
        return tuple(self.fit) if isinstance(self.fit, list | tuple) else (self.fit,)

    def check(self, point: Mapping[str, Value]) -> Point:
        """Return the point as its words write it, complete and legal.

        Raises:
            PointError: for unknown, inactive or missing labels and illegal values.
            IllegalPoint: if it violates `require`.
        """
        return self.parameters.legal(self.parameters.check(point))


def space_of(
    words: Mapping[str, Any], require: Sequence[Any] = ()
) -> tuple[Parameters, Any, str, Walk]:
    """Return parameters, description, fingerprint and walk of a plain dict of words.

    Raises:
        SpaceError: if it holds no words, is not a dict with strings as keys, or `require` is no list
            of constraints.
    """
    odd = [key for key in words if not isinstance(key, str)] if isinstance(words, Mapping) else []
    if odd or not isinstance(words, Mapping):
        keys = f" Its keys are strings, {odd[0]!r} is none." if odd else ""
        raise SpaceError(f"A space is a Space or a dict of words, got {words!r}.{keys}")
    _check_require(require)
    walk = Walk()
    found = describe(dict(words), walk, require)
    if not found.parameters:
        raise SpaceError("The space has no words to search. Write for example uniform(0, 1).")
    found.parameters.try_constraints()
    return found.parameters, found.content, found.fingerprint, walk


def _declared(arguments: dict[str, Any]) -> Space:
    return Space(**arguments)


def _fraction(value: Any) -> bool:
    return isinstance(value, numbers.Real) and 0 < float(value) < 1


def _as_written(fraction: Any) -> float:
    """As a float; NumPy's single-precision 0.2 is 0.2 as well, and not 0.20000000298."""
    return float(str(fraction)) if hasattr(fraction, "dtype") else float(fraction)


def _check_objective(space: Space) -> None:
    asked = [name for name in (space.maximize, space.minimize) if name is not None]
    if len(asked) != 1 or not isinstance(asked[0], str) or not asked[0]:
        got = f"maximize={space.maximize!r}, minimize={space.minimize!r}"
        raise SpaceError(
            f"A space needs exactly one of maximize= and minimize=, got {got}. "
            "Name the metric: maximize='val_accuracy' or minimize='val_loss'."
        )
    _check_direction(space, asked[0])
    if not isinstance(space.keep, str) or space.keep not in ("best", "last"):
        raise SpaceError(f"keep is 'best' or 'last' epoch, got {space.keep!r}.")


def _check_direction(space: Space, name: str) -> None:
    """Refuse what looks for the worst model, as far as a name tells which way is better."""
    own_score = space.evaluate is not None and not name.startswith("val_")
    metric = name.removeprefix("val_")
    if own_score or re.match(NEGATED, metric):
        return
    if space.maximize and re.search(SMALLER_IS_BETTER, metric):
        raise SpaceError(
            f"maximize={name!r} looks for the worst model: a smaller {metric} is better. "
            f"Write minimize={name!r}."
        )
    if space.minimize and re.search(LARGER_IS_BETTER, metric):
        raise SpaceError(
            f"minimize={name!r} looks for the worst model: a larger {metric} is better. "
            f"Write maximize={name!r}."
        )


def _check_parts(space: Space) -> None:
    if not isinstance(space.data, Data | Call | Match | Choice):
        raise SpaceError(
            f"Space(data=…) needs Data((x, y), …) or a recorded call, got {_kind(space.data)}. "
            "Write Data((x, y), validation=0.2), or decorate the function that loads with @delayed."
        )
    if isinstance(space.model, Recorder) or not isinstance(space.model, Expression):
        raise SpaceError(
            f"Space(model=…) needs a recorded model, got {_kind(space.model)}. Take Sequential "
            "from hpsearch.keras, or decorate the function that makes the model with @delayed."
        )
    for phase in space.phases:
        if not isinstance(phase, Fit):
            raise SpaceError(
                f"Space(fit=…) needs Fit(...) or a list of them, got {_kind(phase)}. "
                f"Write Fit(epochs=10). {nearest('', [f.name for f in fields(Fit)][:12])}"
            )
    if space.max_params is not None and (
        isinstance(space.max_params, bool)
        or not isinstance(space.max_params, int)
        or space.max_params < 1
    ):
        raise SpaceError(f"max_params needs a whole number from 1, got {space.max_params!r}.")


def _check_record(space: Space) -> None:
    name = space.name
    if name is not None and (not isinstance(name, str) or not re.fullmatch(NAME, name)):
        raise SpaceError(
            "A space's name starts with a letter or a digit and holds at most 100 of letters, "
            f"digits, '_', '-' and '.', got {name!r}. It names the experiment and the model."
        )
    _check_require(space.require)
    if not isinstance(space.baselines, Mapping):
        raise SpaceError(
            f"baselines takes {{name: point}}, got {space.baselines!r}. "
            "Write baselines={'notes': {'optimizer.adam.learning_rate': 0.01}}."
        )


def _check_require(require: Any) -> None:
    if isinstance(require, Expression | str) or not isinstance(require, Sequence):
        raise SpaceError(
            f"require takes a list of conditions or functions, got {require!r}. "
            "Write require=[a + b < 10]."
        )
    for item in require:
        if isinstance(item, Call | Word) or not (isinstance(item, Expression) or callable(item)):
            raise SpaceError(
                f"require takes conditions on words, or functions of a point, got {item!r}. "
                "Write require=[a + b < 10] or require=[lambda point: point['x'] > 0]."
            )


def _check_baselines(space: Space) -> None:
    for name, point in space.baselines.items():
        try:
            if not isinstance(name, str) or not name:
                raise PointError(f"its name must be a string, got {name!r}.")
            space.parameters.check_reachable(point)
        except PointError as error:
            raise SpaceError(f"The baseline {name!r} is not a point: {error}") from None


def _check_loop(space: Space) -> None:
    for name in ("train", "evaluate"):
        function = getattr(space, name)
        if function is not None and not callable(function):
            raise SpaceError(
                f"Space({name}=…) needs a function, got {_kind(function)}. Give the function "
                f"itself: {name}=f."
            )
        if isinstance(function, Applicable):
            raise SpaceError(
                f"Space({name}=…) needs a function itself, got {function!r}. For arguments of its own "
                f"write {name}=functools.partial(f, rate=uniform(0, 1))."
            )


def _kind(value: Any) -> str:
    if isinstance(value, Recorder):
        return f"{value!r} itself, not a call of it"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, type | types.FunctionType):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    if isinstance(getattr(value, "shape", None), tuple):
        return f"{type(value).__name__} of shape {value.shape}"
    return f"{type(value).__name__} ({str(value)[:60]})" if value is not None else "None"
