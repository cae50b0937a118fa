"""Whether data, output and loss agree: what Keras leaves silent, or says too late or too obscurely.

Keras 3.15 on TensorFlow is silent about targets outside a loss's range (a categorical loss on a
GPU turns to NaN), outputs that are no probabilities, and shapes that broadcast. A finding is sure
where the combination cannot be meant; otherwise it is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..build import Part
from .classes import UNKNOWN, class_numbers
from .explain import FLATTEN, rows
from .known import Head, known_loss
from .subjects import Finding, Subject, nested, offending, subjects, where
from .values import SLACK, Offence, Scans, outside, unequal_sums

__all__ = ["findings"]

SOFT = 1e-6  # how far outside [0, 1] a probability may be by rounding

OTHER_CLASSES = (
    "Write y = (y == y.max()) for two classes of other numbers; for several classes "
    "loss='sparse_categorical_crossentropy', for amounts loss='mse'."
)
OTHER_REALS = (
    "Cut off what a scaling leaves outside, np.clip(y, 0, 1); for amounts write loss='mse'."
)
"""What to write for targets that the loss does not take."""


def findings(
    *,
    model: Any,
    loss: Any,
    place: str,
    outputs: Any,
    parts: Mapping[str, Part],
    trained: Part | None,
    digest: str,
    scans: Scans,
) -> Iterator[Finding]:
    """Yield what does not agree.

    Args:
        loss: as ``compile`` takes it.
        place: where it stands in the space.
        outputs: what the untrained model gives for a few rows, as NumPy arrays.
        parts: arrays by the names of the parts; of a dataset its first batch.
        trained: the rows that are left for training after the split; None of a dataset.
        digest: of the data, "" for datasets.
        scans: what was found in the data before.
    """
    if isinstance(loss, list | tuple) and len(loss) > 1 and not nested(outputs):
        yield Finding(
            f"One output takes one loss, got {len(loss)} of them in {place}: Keras takes the first "
            f"and leaves out the others. Write {place}={_text_of(loss[0])}; for a sum of several "
            "write a function of y and p that adds them.",
            sure=False,
        )
    for subject in subjects(model, loss, place, outputs, parts, trained):
        if len(subject.output.shape) >= 2:
            yield from _constant(subject)
            yield from RULES[subject.loss.kind](subject, digest, scans)


def _text_of(loss: Any) -> str:
    known = known_loss(loss)
    return "…" if known is None else known.text


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
        yield from class_numbers(subject, output[-1], digest, scans)
        yield from _probabilities(subject, most=1)


def _classes(subject: Subject, digest: str, scans: Scans) -> Iterator[Finding]:
    y, output = subject.shapes
    if output[-1] == 1:
        yield _one_output(subject, "one-hot targets and as many outputs")
    elif y == output:
        rule = ("sums", output[-1])
        for part, _y, found in offending(subject, digest, scans, rule, unequal_sums):
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

    for part, y, found in offending(subject, digest, scans, ("binary",), find, subject.weighted):
        if np.isnan(found.value):
            continue  # which is told where it makes the loss NaN
        whole = outside(y, -np.inf, np.inf, whole=True) is None
        unknown = part == "test" and whole and found.value < 0
        advice = UNKNOWN if unknown else OTHER_CLASSES if whole else OTHER_REALS
        yield Finding(
            f"{subject.written} takes targets from 0 to 1; {where(subject, part, found)}. {advice}",
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
    elif y in ((), (1,)) and len(output) > 1 and np.prod(output) > 1:
        yield Finding(
            f"{subject.written} compares each output with a target of its own; here one stands "
            f"for all of a row: {_both(subject)}. Keras repeats it silently. {FLATTEN}",
            sure=False,
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
    if activation == "sigmoid" and function == "softmax" and output.shape[-1] > 1:
        yield Finding(
            f"{subject.written} takes the probabilities of {output.shape[-1]} classes, which sum to "
            f"1; the output {_shape(output)} comes out of {_named(head)}, each number by itself. "
            "Write activation='softmax' in the last layer; for several classes at once rows of 0 "
            "and 1 as targets, with loss='binary_crossentropy'.",
            sure=False,
        )
    wrong = bool(np.any((output < -SOFT) | (output > most + SOFT)))
    unbounded = head is not None and head.unbounded
    if wrong or unbounded:
        got = ", and has numbers outside" if wrong else ", which nothing keeps inside"
        yield Finding(
            f"{subject.written} takes probabilities and cuts off what lies outside [0, 1]; the "
            f"output {_shape(output)} comes out of {_named(head)}{got}. Write "
            f"activation='{function}' in the last layer, or from_logits=True in the loss.",
            sure=wrong and unbounded,
        )


def _both(subject: Subject) -> str:
    y, output = subject.shapes
    return f"{subject.key} is {rows(y)}, the output {rows(output)}"


def _shape(output: Any) -> str:
    return rows(tuple(output.shape[1:]))


def _named(head: Head | None) -> str:
    return "the model" if head is None else f"the last layer, {head.text}"


def _unsqueezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without one trailing 1, which Keras adds or takes away as it needs."""
    return shape[:-1] if shape and shape[-1] == 1 else shape
