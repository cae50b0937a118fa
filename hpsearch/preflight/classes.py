"""Class numbers: those that the outputs lack, and those of the validation part that no training row has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..build import Part
from ..space import Holdout
from .subjects import Finding, Subject, nested, offending, where
from .values import CHUNK, Offence, Scans, outside

__all__ = ["UNKNOWN", "class_numbers", "unseen_classes"]

MOST_NAMED = 6  # classes in one message
UNKNOWN = "Where labels are not known, leave the test part out, or give the real ones."
ONE_BY_ONE = "np.unique(y, return_inverse=True)[1]"


def class_numbers(subject: Subject, classes: int, digest: str, scans: Scans) -> Iterator[Finding]:
    """Yield where targets are no class numbers of so many outputs."""
    rule, ignored = ("sparse", classes, subject.loss.ignored), subject.loss.ignored
    for part, _y, found in offending(
        subject, digest, scans, rule, lambda y: outside(y, 0, classes - 1, whole=True, but=ignored)
    ):
        known = "" if ignored is None else f" (or {ignored}, which is ignored)"
        yield Finding(
            f"{subject.written} takes class numbers from 0 to {classes - 1}{known} for the "
            f"{classes} outputs of the model; {where(subject, part, found)}. "
            f"{_other_numbers(subject, part, classes, found)}",
            sure=True,
        )


def _other_numbers(subject: Subject, part: str, classes: int, found: Offence) -> str:
    """What to write for targets that are no class numbers of the outputs."""
    if part == "test" and not found.value >= 0:
        return UNKNOWN
    if np.isnan(found.value):
        return "Leave the rows out, keep = np.isfinite(y), or number them as a class."
    if found.value != np.floor(found.value):
        return "For amounts write loss='mse' with layers.Dense(1); round what should be whole."
    ends = [(np.asarray(y).min(), np.asarray(y).max()) for y in subject.targets.values()]
    least, most = min(low for low, _ in ends), max(high for _, high in ends)
    if least == 1 and np.isfinite(most):
        wider = f", and layers.Dense({int(most)})" if most > classes else ""
        return f"The classes begin at 1: write {subject.key} - 1{wider}."
    if part != "train":
        return (
            "No training row has such a class, so more outputs would not learn it: leave these "
            "rows out, or number the classes of all parts by one function."
        )
    bigger = np.isfinite(most) and most >= classes
    if bigger and (only_held := _only_held_out(subject, classes)):
        return only_held
    more = f"Write layers.Dense({int(most) + 1}) (or given.classes), or n" if bigger else "N"
    return f"{more}umber the classes from 0: {ONE_BY_ONE}."


def _only_held_out(subject: Subject, classes: int) -> str | None:
    """What to write where all rows of classes that the outputs lack are held out for validation."""
    if subject.trained is None or nested(subject.trained):
        return None
    y, trained = np.asarray(subject.targets["train"]), np.asarray(subject.trained)
    if not trained.max(initial=0) < classes:
        return None
    numbers, counts = np.unique(y[y >= classes], return_counts=True)
    numbers = numbers.astype("int64")
    several = "classes" if len(numbers) > 1 else "class"
    if subject.key == "y" and trained.ndim == 1 and counts.min() > 1:
        advice = "Write validation=Holdout(0.2, stratify=True), leave these rows out"
    else:
        advice = "Leave these rows out"
    return (
        f"Only rows held out for validation hold {several} {_listed(numbers.tolist())}, and "
        f"given.classes counts the rows for training alone. {advice}, or write the number of "
        f"units yourself: layers.Dense({int(numbers[-1]) + 1})."
    )


def unseen_classes(
    subjects: Iterable[Subject], held: Part | Holdout | None, digest: str, scans: Scans
) -> Iterator[Finding]:
    """Yield the classes of the validation part that no training row has.

    Args:
        subjects: with the targets of both parts after the split, which are class numbers of the
            outputs (see `class_numbers`), or rows of one number for each class.
        held: what the validation part was taken by, or that part itself.
    """
    for subject in subjects:
        if subject.loss.kind not in ("sparse", "classes") or "validation" in subject.weighted:
            continue
        seen, asked = (_present(subject, part, digest, scans) for part in ("train", "validation"))
        if seen and asked and (unseen := sorted(asked - seen)):
            several = "classes" if len(unseen) > 1 else "class"
            yield Finding(
                f"validation holds {several} {_listed(unseen)} that no training row has"
                f"{_how_to_hold(subject, held)}",
                sure=False,
            )


def _present(subject: Subject, part: str, digest: str, scans: Scans) -> frozenset[int]:
    """The classes that the targets of a part hold; none where they are not laid out as classes."""
    y, (_, output) = subject.targets[part], subject.shapes
    rows, sparse = tuple(y.shape[1:]), subject.loss.kind == "sparse"
    fits = rows in (output[:-1], (*output[:-1], 1)) if sparse else rows == output
    if not fits:
        return frozenset()
    key = (digest, part, subject.key, "present", sparse, output[-1], subject.loss.ignored)

    def find() -> frozenset[int]:
        counts = np.zeros(output[-1], dtype="int64")
        step = max(1, CHUNK // max(1, int(np.prod(rows))))
        for start in range(0, int(y.shape[0]), step):
            some = np.asarray(y[start : start + step])
            numbers = some.reshape(-1) if sparse else some.argmax(axis=-1).reshape(-1)
            numbers = numbers[(numbers >= 0) & (numbers < len(counts))].astype("int64")
            counts += np.bincount(numbers, minlength=len(counts))
        return frozenset(int(i) for i in np.flatnonzero(counts)) - {subject.loss.ignored}

    return scans.once(key, find)


def _how_to_hold(subject: Subject, held: Part | Holdout | None) -> str:
    """Why that may be, and what to write."""
    _, output = subject.shapes
    drawn = "stratify=True" if subject.key == "y" and len(output) == 1 else "shuffle=True"
    if not isinstance(held, Holdout):
        return (
            ": number the classes of both parts by one function, or take the validation rows from "
            f"those for training, validation=Holdout(0.2, {drawn})."
        )
    if held.shuffle and (held.stratify or drawn == "shuffle=True"):
        return ": it has few rows. Leave them out, or keep fewer rows for validation."
    why = "it has few rows." if held.shuffle else "are the rows sorted by class?"
    return f": {why} Write validation=Holdout({held.fraction}, {drawn})."


def _listed(classes: list[int]) -> str:
    named = [str(number) for number in classes[:MOST_NAMED]]
    left = len(classes) - len(named)
    last = f"{left} more" if left else named.pop()
    return f"{', '.join(named)} and {last}" if named else last
