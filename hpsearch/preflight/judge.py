"""The data judged by a model that is built and not trained: targets, NaN, and parts that differ."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, final

import numpy as np

from ..build import Construction, Part, named_leaves, unsplit
from ..errors import BuildError, DataError
from .agree import findings
from .classes import unseen_classes
from .explain import part_differs, shapes_of
from .goal import goal_without_sense
from .known import own_step
from .subjects import Finding, subjects
from .values import Offence, Scans, offences

__all__ = ["Judge", "first_batch", "first_rows"]

SHOWN = 16  # rows whose outputs are looked at
BATCH = 32  # rows that a model is shown


def first_rows(part: Part) -> Part:
    """The first rows of a part; a dataset stays as it is, of which one batch is read."""
    return part if part.dataset else part.take(slice(0, BATCH))


def first_batch(part: Part, name: str = "train") -> Part:
    """The first rows of a part as arrays; of a dataset its first batch.

    Raises:
        DataError: if the dataset turns out to be empty.
    """
    if not part.dataset:
        return first_rows(part)
    batch = next(iter(part.x), None) if hasattr(part.x, "__iter__") else part.x[0]
    if batch is None:
        raise DataError(
            f"The {name} part of the data is a dataset that gives no batch. Look at what selects "
            "its elements (filter, skip, take), or leave the part out."
        )
    items = batch if isinstance(batch, tuple) else (batch,)
    return Part(*items[:3])


@final
class Judge:
    """Judges the data of one trial by its model.

    Args:
        model: the compiled model, untrained.
        made: what it was made from.
        digest: of the data, "" where a part is a dataset.
        scans: what was found in the data before.
    """

    def __init__(self, model: Any, made: Construction, digest: str, scans: Scans) -> None:
        self._model, self._made = model, made
        self._digest, self._scans = digest, scans
        self._own_loop = made.space.train is not None

    def agreement(self, compiled: Any, place: str) -> Iterator[str]:
        """Yield warnings about outputs and targets under the loss that `compiled` has.

        Nothing is said of a loop, a step or a loss of the user's own.

        Raises:
            BuildError: where they cannot be meant to go together.
        """
        loss = getattr(compiled, "loss", None)
        if self._own_loop or loss is None or own_step(self._model) or self._outputs is None:
            return
        found = findings(
            model=self._model,
            loss=loss,
            place=place,
            outputs=self._outputs,
            parts=self._parts,
            trained=None if self._made.parts.train.dataset else self._made.parts.train,
            digest=self._digest,
            scans=self._scans,
        )
        for finding in found:
            if finding.sure:
                raise BuildError(finding.text)
            yield finding.text
        given = subjects(self._model, loss, place, self._outputs, self._parts)
        goal = goal_without_sense(self._made.space, given, self._digest, self._scans)
        for finding in itertools.chain(self._unseen(loss, place), goal):
            yield finding.text

    def _unseen(self, loss: Any, place: str) -> Iterator[Finding]:
        """Classes of the validation part that no training row has; only arrays are read whole."""
        train, validation = self._made.parts.train, self._made.parts.validation
        if validation is None or train.dataset or validation.dataset:
            return
        parts = {"train": train, "validation": validation}
        split = subjects(self._model, loss, place, self._outputs, parts)
        held = unsplit(self._made.data).get("validation")
        yield from unseen_classes(split, held, self._digest, self._scans)

    def first_values(self) -> dict[str, float] | None:
        """What the first batch of the training part gives; None where a loop of one's own trains."""
        return None if self._own_loop else self._evaluate(self._made.parts.train)

    def numbers(self, values: dict[str, float] | None) -> Iterator[str]:
        """Yield warnings about NaN and infinity, in the data or in the first batch's loss.

        Args:
            values: what `first_values` gave.

        Raises:
            DataError: for those in the data that make the output or the loss NaN or infinite. A
                layer or a loss that handles them is given them.
        """
        found = [
            (name, part, key, offence)
            for name, part in self._parts.items()
            for key, offence in offences(part, name, self._digest, self._scans)
        ]
        for name, part, key, offence in found:
            if values is None:
                yield f"There is NaN or infinity in {key} of the {name} part: {_told(key, offence)}."
            elif not self._bears(part, offence):
                raise DataError(
                    "The model's output or loss becomes NaN or infinite where "
                    f"{key} of the {name} part does: {_told(key, offence)}; a layer of your own "
                    "that handles them in the model will be let through."
                )
        loss = None if values is None else values.get("loss")
        if not found and loss is not None and not np.isfinite(loss):
            yield (
                f"The loss of the untrained model on the first batch is {loss}, though the data "
                "is finite: such a trial will fail. Look at what the loss takes (a logarithm of 0 or "
                "of negative outputs), and at layers that divide or were adapted."
            )

    def parts(self) -> Iterator[str]:
        """Yield warnings about a validation or test part that is not as the training part.

        Raises:
            BuildError: if the model does not take it.
        """
        train = self._made.parts.train
        for name in ("validation", "test"):
            part = getattr(self._made.parts, name)
            if part is None or part.dataset or train.dataset:
                continue
            if not self._own_loop and _signature(part) != _signature(train):
                self._try_part(name, part, train)
            if _types(part) != _types(train):
                yield (
                    f"Whole numbers and real ones in the inputs: {shapes_of(part, name)}; "
                    f"{shapes_of(train, 'train')}. If one part is scaled, scale both."
                )

    def _try_part(self, name: str, part: Part, train: Part) -> None:
        try:
            self._evaluate(part)
        except Exception as error:
            raise BuildError(part_differs(name, part, train, error)) from error

    def _bears(self, part: Part, offence: Offence) -> bool:
        """Whether outputs and loss are finite on rows of a part that hold NaN or infinity."""
        try:
            rows = part.take(np.array(offence.rows))
        except Exception:  # tensors take a slice only
            rows = part.take(slice(offence.rows[0], offence.rows[0] + 1))
        loss = self._evaluate(rows).get("loss")
        outputs = _arrays(self._model(rows.x, training=False))
        finite = all(np.all(np.isfinite(a)) for _, a in named_leaves(outputs, ""))
        return finite and (loss is None or bool(np.isfinite(loss)))

    def _evaluate(self, part: Part) -> dict[str, float]:
        """Loss and metrics of the first rows of a part, or of a dataset's first batch."""
        rows = first_rows(part)
        arrays = {} if rows.dataset else {"y": rows.y, "sample_weight": rows.weight}
        steps = {"steps": 1} if rows.dataset else {"batch_size": BATCH}
        values: dict[str, float] = self._model.evaluate(
            rows.x, **arrays, **steps, verbose=0, return_dict=True
        )
        return values

    @functools.cached_property
    def _parts(self) -> dict[str, Part]:
        """Parts of arrays as they were given, before the split; of datasets the first batches."""
        given = {
            name: part for name, part in unsplit(self._made.data).items() if isinstance(part, Part)
        }
        return {
            name: first_batch(part, name) if part.dataset else part for name, part in given.items()
        }

    @functools.cached_property
    def _outputs(self) -> Any:
        """What the model gives for the first rows, as NumPy arrays; None where it cannot."""
        try:
            rows = self._parts["train"].take(slice(0, SHOWN))
            return _arrays(self._model(rows.x, training=False))
        except Exception:  # showing it the batch says why
            return None


def _arrays(value: Any) -> Any:
    import keras

    return keras.tree.map_structure(lambda one: np.asarray(one), value)


def _told(key: str, offence: Offence) -> str:
    rows = f"{offence.count} rows hold" if offence.count > 1 else "one row holds"
    axes = ", ".join(str(axis) for axis in range(1, offence.place.count(",") + 1))
    whole = f".all(axis=({axes}))" if "," in axes else f".all(axis={axes})" if axes else ""
    return (
        f"{rows} such numbers, the first is {key}{offence.place} = {offence.value}. "
        f"Leave the rows out, keep = np.isfinite({key}){whole}, or fill them in, "
        f"np.nan_to_num({key})"
    )


def _signature(part: Part) -> list[tuple[str, tuple[int, ...], bool]]:
    """What a model is built for: the arrays, their shapes of a row, whether they hold texts."""
    return [
        (key, tuple(array.shape[1:]), getattr(array.dtype, "kind", "f") in "OUS")
        for what, value in (("x", part.x), ("y", part.y))
        for key, array in named_leaves(value, what)
    ]


def _types(part: Part) -> list[bool]:
    """For each input whether it holds real numbers; others count as they are."""
    kinds = [
        str(getattr(array.dtype, "name", array.dtype)) for _, array in named_leaves(part.x, "x")
    ]
    return ["float" in kind for kind in kinds]
