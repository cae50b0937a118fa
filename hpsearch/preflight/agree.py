"""Whether data, output and loss agree: what Keras leaves silent, or says too late or too obscurely.

Keras 3.15 on TensorFlow is silent about targets outside a loss's range (a categorical loss on a
GPU turns to NaN), outputs that are no probabilities, and shapes that broadcast. A finding is sure
where the combination cannot be meant; otherwise it is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..build import Part
from .explain import rows
from .known import Head, KnownLoss, heads_of, known_loss
from .values import SLACK, Offence, Scans, outside, unequal_sums

__all__ = ["Finding", "findings"]

SOFT = 1e-6  # how far outside [0, 1] a probability may be by rounding

UNKNOWN = "Where labels are not known, leave the test part out, or give the real ones."
OTHER_CLASSES = (
    "Write y = (y == y.max()) for two classes of other numbers; for several classes "
    "loss='sparse_categorical_crossentropy', for amounts loss='mse'."
)
OTHER_REALS = (
    "Cut off what a scaling leaves outside, np.clip(y, 0, 1); for amounts write loss='mse'."
)
"""What to write for targets that the loss does not take."""


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree; `sure` where it cannot be meant."""

    text: str
    sure: bool


@final
@dataclass(frozen=True, slots=True)
class Subject:
    """One output of a model with its loss and its targets.

    Attributes:
        loss: the loss, and how it is written: ``loss['b']='mse'``.
        output: what the untrained model gives, of shape (rows, ..., outputs).
        key: how the targets are written: ``y``, ``y['b']``.
        targets: the targets of each part, by its name.
        weighted: the names of parts in which some rows count nothing.
    """

    loss: KnownLoss
    written: str
    output: Any
    head: Head | None
    key: str
    targets: dict[str, Any]
    weighted: set[str]

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of a row of the targets and of the output."""
        target = next(iter(self.targets.values()))
        return tuple(target.shape[1:]), tuple(self.output.shape[1:])


def findings(
    *,
    model: Any,
    loss: Any,
    place: str,
    outputs: Any,
    parts: Mapping[str, Part],
    digest: str,
    scans: Scans,
) -> Iterator[Finding]:
    """Yield what does not agree.

    Args:
        loss: as ``compile`` takes it.
        place: where it stands in the space.
        outputs: what the untrained model gives for a few rows, as NumPy arrays.
        parts: arrays by the names of the parts; of a dataset its first batch.
        digest: of the data, "" for datasets.
        scans: what was found in the data before.
    """
    if isinstance(loss, list | tuple) and len(loss) > 1 and not _nested(outputs):
        yield Finding(
            f"One output takes one loss, got {len(loss)} of them in {place}: Keras takes the first "
            f"and leaves out the others. Write {place}={_text_of(loss[0])}; for a sum of several "
            "write a function of y and p that adds them.",
            sure=False,
        )
    for subject in _subjects(model, loss, place, outputs, parts):
        if len(subject.output.shape) >= 2:
            yield from _constant(subject)
            yield from RULES[subject.loss.kind](subject, digest, scans)


def _subjects(
    model: Any, loss: Any, place: str, outputs: Any, parts: Mapping[str, Part]
) -> Iterator[Subject]:
    """Each output with its loss and targets; none where the three are not structured alike."""
    heads = heads_of(model, outputs)
    weighted = {name for name, part in parts.items() if _some_count_nothing(part.weight)}
    for place_of_loss, one, key, pick in _paired(loss, place, outputs, model):
        known = None if one is None else known_loss(one)
        targets = {name: pick(part.y) for name, part in parts.items()}
        numbers = {name: y for name, y in targets.items() if _is_numbers(y)}
        if known is not None and "train" in numbers and len(numbers) == len(targets):
            written = f"{place_of_loss}={known.text}"
            yield Subject(known, written, pick(outputs), pick(heads), key, numbers, weighted)


def _paired(
    loss: Any, place: str, outputs: Any, model: Any
) -> Iterator[tuple[str, Any, str, Callable[[Any], Any]]]:
    """(where the loss stands, the loss, how the targets are written, what picks them) of each output."""
    if not isinstance(outputs, list | tuple | Mapping):
        if not isinstance(loss, list | tuple | Mapping):
            yield place, loss, "y", lambda value: None if _nested(value) else value
        return
    names = getattr(model, "output_names", None)
    for key in outputs if isinstance(outputs, Mapping) else range(len(outputs)):
        name = names[key] if names and isinstance(key, int) and key < len(names) else key
        if isinstance(loss, Mapping):
            yield f"{place}[{name!r}]", loss.get(name), f"y[{name!r}]", _picking(key, name)
        elif isinstance(loss, list | tuple):
            one = loss[key] if isinstance(key, int) and len(loss) == len(outputs) else None
            yield f"{place}[{key}]", one, f"y[{key!r}]", _picking(key, name)
        else:
            yield place, loss, f"y[{key!r}]", _picking(key, name)


def _picking(key: Any, name: Any) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        if isinstance(value, Mapping):
            return value.get(key, value.get(name))
        whole = isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
        return value[key] if whole else None

    return pick


def _text_of(loss: Any) -> str:
    known = known_loss(loss)
    return "…" if known is None else known.text


def _nested(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _is_numbers(value: Any) -> bool:
    return hasattr(value, "shape") and np.asarray(value[:1]).dtype.kind in "biuf"


def _some_count_nothing(weight: Any) -> bool:
    if weight is None:
        return False
    return _nested(weight) or not bool(np.all(np.asarray(weight)))


def _constant(subject: Subject) -> Iterator[Finding]:
    head, output = subject.head, subject.output
    softmax = head is not None and head.activation == "softmax"
    if softmax and output.shape[-1] == 1 and bool(np.all(output == 1)):
        yield Finding(
            f"Softmax over one unit is always 1, and learns nothing: the output {_shape(output)} "
            "comes out of the last layer with activation 'softmax'. Write activation='sigmoid' for "
            "two classes in one unit, or layers.Dense(given.classes, activation='softmax').",
            sure=True,
        )


def _sparse(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    y, output = subject.shapes
    if output[-1] == 1:
        yield _one_output(subject, "layers.Dense(given.classes, activation='softmax')")
    elif y == output:
        yield Finding(
            f"{subject.written} takes one class number for each row, got rows of {y[-1]} numbers: "
            f"{_both(subject)}. Write loss='categorical_crossentropy', or give the targets as "
            "class numbers, y.argmax(axis=-1).",
            sure=True,
        )
    elif y in (output[:-1], (*output[:-1], 1)):
        yield from _class_numbers(subject, output[-1], digest, scans)
        yield from _probabilities(subject, most=1)


def _class_numbers(subject: Subject, classes: int, digest: str, scans: Scans) -> Iterator[Finding]:
    rule, ignored = ("sparse", classes, subject.loss.ignored), subject.loss.ignored
    for part, y, found in _offending(
        subject, digest, scans, rule, lambda y: outside(y, 0, classes - 1, whole=True, but=ignored)
    ):
        known = "" if ignored is None else f" (or {ignored}, which is ignored)"
        yield Finding(
            f"{subject.written} takes class numbers from 0 to {classes - 1}{known} for the "
            f"{classes} outputs of the model; {_where(subject, part, found)}. "
            f"{_other_numbers(part, y, classes, found)}",
            sure=True,
        )


def _other_numbers(part: str, y: Any, classes: int, found: Offence) -> str:
    """What to write for targets that are no class numbers of the outputs."""
    if part == "test" and not found.value >= 0:
        return UNKNOWN
    if np.isnan(found.value):
        return "Leave the rows out, keep = np.isfinite(y), or number them as a class."
    if found.value != np.floor(found.value):
        return "For amounts write loss='mse' with layers.Dense(1); round what should be whole."
    most = _largest(y)
    more = f"Write layers.Dense({most + 1}) (or given.classes), or n" if most >= classes else "N"
    return f"{more}umber the classes from 0: np.unique(y, return_inverse=True)[1]."


def _classes(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    y, output = subject.shapes
    if output[-1] == 1:
        yield _one_output(subject, "one-hot targets and as many outputs")
    elif y == output:
        rule = ("sums", output[-1])
        for part, _y, found in _offending(subject, digest, scans, rule, unequal_sums):
            yield Finding(
                f"{subject.written} expects rows of targets that sum to 1; {found.count} rows of "
                f"{subject.key} of the {part} part do not, the first is {subject.key}{found.place} "
                f"with the sum {found.value:.6g}. For several classes at once write "
                "loss='binary_crossentropy' with activation='sigmoid'.",
                sure=False,
            )
        yield from _probabilities(subject, most=np.inf)
    elif y in (output[:-1], (*output[:-1], 1)):
        yield Finding(
            f"{subject.written} takes a row of {output[-1]} numbers for each row, one-hot, got one "
            f"number: {_both(subject)}. Write loss='sparse_categorical_crossentropy' for class "
            "numbers, or give the targets as keras.utils.to_categorical(y).",
            sure=True,
        )


def _binary(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    y, output = subject.shapes
    if output[-1] > 1 and y in (output[:-1], (*output[:-1], 1)):
        yield Finding(
            f"{subject.written} takes a target of 0 or 1 for each of the {output[-1]} outputs, got "
            f"one for each row: {_both(subject)}. For one of several classes write "
            "loss='sparse_categorical_crossentropy' with activation='softmax'; for two classes "
            "layers.Dense(1, activation='sigmoid').",
            sure=True,
        )
        return
    yield from _outside_0_to_1(subject, digest, scans)
    yield from _probabilities(subject, most=1)


def _outside_0_to_1(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    """Targets that are no probabilities; reals in a later part may be scaled by the first one's range."""

    def find(y: Any) -> Offence | None:
        return outside(y, -SLACK, 1 + SLACK, whole=False)

    for part, y, found in _offending(subject, digest, scans, ("binary",), find, subject.weighted):
        if np.isnan(found.value):
            continue  # which is told where it makes the loss NaN
        whole = outside(y, -np.inf, np.inf, whole=True) is None
        unknown = part == "test" and whole and found.value < 0
        advice = UNKNOWN if unknown else OTHER_CLASSES if whole else OTHER_REALS
        yield Finding(
            f"{subject.written} takes targets from 0 to 1; {_where(subject, part, found)}. {advice}",
            sure=part == "train" or whole,
        )


def _each(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    y, output = subject.shapes
    if abs(len(y) - len(output)) <= 1 and _unsqueezed(y) == _unsqueezed(output):
        return
    if y == () and len(output) == 1:
        yield Finding(
            f"{subject.written} compares each output with a target of its own, got one target for "
            f"{output[0]} outputs, where training fails: {_both(subject)}. Write layers.Dense(1) as "
            f"the last layer, or give targets of {output[0]} columns; for one target that all of "
            "them learn give a column, y[:, None].",
            sure=True,
        )
    elif len(y) == len(output) and all(
        a == b or 1 in (a, b) for a, b in zip(y, output, strict=True)
    ):
        yield Finding(
            f"{subject.written} compares each output with a target of its own; here one stands "
            f"for several: {_both(subject)}. Keras repeats it silently. Give both the same shape.",
            sure=False,
        )


RULES: dict[str, Callable[[Subject, str, Scans], Iterator[Finding]]] = {
    "sparse": _sparse,
    "classes": _classes,
    "binary": _binary,
    "each": _each,
}


def _one_output(subject: Subject, several: str) -> Finding:
    return Finding(
        f"{subject.written} needs an output for each class; with one the loss is always 0 or an "
        f"error: {_both(subject)}. Write {several}; or for two classes in one unit "
        "loss='binary_crossentropy' with activation='sigmoid'.",
        sure=True,
    )


def _probabilities(subject: Subject, *, most: float) -> Iterator[Finding]:
    """Outputs that are no probabilities where the loss takes some, and the reverse."""
    head, output = subject.head, subject.output
    activation = None if head is None else head.activation
    function = "sigmoid" if subject.loss.kind == "binary" else "softmax"
    if subject.loss.from_logits:
        if activation in ("softmax", "sigmoid"):
            yield Finding(
                f"{subject.written} takes logits, and the output comes out of {_named(head)}. "
                "Leave the activation out, or write from_logits=False.",
                sure=False,
            )
        return
    wrong = bool(np.any((output < -SOFT) | (output > most + SOFT)))
    unbounded = head is not None and head.unbounded
    if wrong or unbounded:
        got = " and has numbers outside" if wrong else ", which nothing keeps inside"
        yield Finding(
            f"{subject.written} takes probabilities and cuts off what lies outside [0, 1]; the "
            f"output {_shape(output)} comes out of {_named(head)}{got}. Write "
            f"activation='{function}' in the last layer, or from_logits=True in the loss.",
            sure=wrong and unbounded,
        )


def _offending(
    subject: Subject,
    digest: str,
    scans: Scans,
    rule: tuple[Any, ...],
    find: Callable[[Any], Offence | None],
    left_out: set[str] | frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Any, Offence]]:
    """(part, targets, offence) for each part whose targets break the rule."""
    for part, y in subject.targets.items():
        if part in left_out:
            continue
        found = scans.once((digest, part, subject.key, *rule), lambda a=y: find(a))  # type: ignore[misc]
        if found is not None:
            yield part, y, found


def _where(subject: Subject, part: str, found: Offence) -> str:
    several = found.count > 1
    return (
        f"{f'{found.count} rows' if several else 'one row'} of {subject.key} of the {part} part "
        f"{'are' if several else 'is'} outside, "
        f"the first is {subject.key}{found.place} = {found.value:.6g}"
    )


def _largest(y: Any) -> int:
    most = np.asarray(y).max()
    return int(most) if np.isfinite(most) else -1


def _both(subject: Subject) -> str:
    y, output = subject.shapes
    return f"{subject.key} is {rows(y)}, the output {rows(output)}"


def _shape(output: Any) -> str:
    return rows(tuple(output.shape[1:]))


def _named(head: Head | None) -> str:
    return "the model" if head is None else f"the last layer, {head.text},"


def _unsqueezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without one trailing 1, which Keras adds or takes away as it needs."""
    return shape[:-1] if shape and shape[-1] == 1 else shape
