"""One trial's objects, in the order in which a Keras script makes them.

Data first (remembered per process, under a seed of the study), then model, compile arguments and
the phases of training, each built when asked for, so that every optimizer is new.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, final

from ..declare import plain_value
from ..errors import DataError
from ..space import Fit, Holdout, Space
from ..trial import Point
from .builder import Builder
from .data import Parts, batches_of, facts_of, holds_dataset, resolve_parts
from .make import Maker, Objects

__all__ = ["COMPILE", "Construction", "Memory"]

COMPILE = (
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
    "auto_scale_loss",
)
"""The arguments of ``Model.compile``, which `Space` takes under the same names."""

MOST_REMEMBERED = 8


@final
class Memory:
    """What delayed calls inside `data` have returned in this process, by their arguments.

    The last few results are kept: one for a fixed data set, more where its arguments are searched.
    A dataset is made anew each time, and so is what comes of one: a shuffled ``tf.data.Dataset``
    goes on from where the last trial left it, so that a trial would depend on those before it.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._results: OrderedDict[tuple[Any, ...], tuple[Any, ...]] = OrderedDict()
        self._most = most

    def call(
        self,
        seeded: Callable[[], None],
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Return what the call returned before, or make it, after `seeded` has set the seeds."""

        def make() -> Any:
            seeded()
            return function(*args, **kwargs)

        if holds_dataset(args) or holds_dataset(kwargs):
            return make()
        key = (id(function), _key(list(args)), _key(dict(kwargs)))
        return self._remembered(key, make, (function, args, kwargs))

    def parts(self, data: Any, seed: int) -> Parts:
        """The split of a resolved `Data`, the same object for the same arrays."""
        key = ("parts", _key({f.name: getattr(data, f.name) for f in fields(data)}), seed)
        found: Parts = self._remembered(key, lambda: resolve_parts(data, seed), data)
        return found

    def _remembered(self, key: tuple[Any, ...], make: Callable[[], Any], alive: Any) -> Any:
        if key not in self._results:
            made = make()
            if holds_dataset(made):
                return made
            self._results[key] = (made, alive)  # its makings are kept: their ids stay their own
        self._results.move_to_end(key)
        while len(self._results) > self._most:
            self._results.popitem(last=False)
        return self._results[key][0]


@final
class Construction:
    """Everything that one trial is made of.

    Args:
        space: the declaration.
        point: a complete point of it.
        seed: the trial's seed.
        study_seed: the seed of the study, for data and splits.
        folder: a folder of the trial's own, made when asked for; None: one that goes with this
            process.
        memory: this process's memory of data.
        seeded: sets the seeds of Python, NumPy and Keras to the number it is given.
    """

    def __init__(
        self,
        space: Space,
        point: Point,
        *,
        seed: int,
        study_seed: int,
        folder: str | None,
        memory: Memory,
        seeded: Callable[[int], None],
    ) -> None:
        self.space = space
        self._point, self._seed, self._folder = point, seed, folder
        self._memory, self._study_seed, self._seeded = memory, study_seed, seeded
        self._phase: int | None = None
        self._facts: dict[str, Callable[[], Any]] = {
            "seed": lambda: self._seed,
            "folder": self._own_folder,
        }

    @functools.cached_property
    def data(self) -> Any:
        """The data as declared, with its delayed calls made; see `Memory` for what is made anew."""
        seeds = functools.partial(self._seeded, self._study_seed)
        remember = functools.partial(self._memory.call, seeds)
        return self.data_builder(Objects(remember)).build(self.space.data, "data")

    @functools.cached_property
    def parts(self) -> Parts:
        """The data, split; arrays are remembered in this process."""
        if not hasattr(self.data, "train"):
            return resolve_parts(self.data, self._study_seed)
        return self._memory.parts(self.data, self._study_seed)

    def model(self) -> Any:
        """A new model, built as declared (compiled already if its function compiles it)."""
        return self.builder().build(self.space.model, "model")

    def compile_arguments(self) -> dict[str, Any]:
        """The arguments of ``Model.compile`` that the space gives."""
        builder = self.builder()
        given = [name for name in COMPILE if getattr(self.space, name) is not None]
        return {name: builder.build(getattr(self.space, name), name) for name in given}

    def phase(self, number: int) -> Fit:
        """Phase `number` from 0 with all its values known."""
        builder = self.builder(phase=number)
        built = builder.build(self.space.phases[number], self.phase_place(number))
        assert isinstance(built, Fit)
        return built

    def function(self, name: str) -> Any:
        """The function given as ``train`` or ``evaluate``, with its searched arguments bound."""
        return self.builder().build(getattr(self.space, name), name)

    def builder(self, maker: Maker | None = None, *, phase: int | None = None) -> Builder:
        """A builder that knows the facts of one phase of this trial, or (None) of all of them."""
        self._facts |= facts_of(self.parts) | {
            "batch_size": lambda: self._fit_value("batch_size") or 32,
            "epochs": self._epochs,
            "steps": self._steps,
            "steps_per_epoch": lambda: self._steps_per_epoch(self._phase or 0),
        }
        self._phase = phase
        return self._builder(maker)

    def data_builder(self, maker: Maker) -> Builder:
        """A builder for the data, which knows no fact but the study's seed."""
        walk, parameters = self.space.walk, self.space.parameters
        return Builder(walk, parameters, self._point, self._data_fact, maker)

    def phase_place(self, number: int) -> str:
        """Where phase `number` stands in the space."""
        return f"fit.{number}" if isinstance(self.space.fit, list | tuple) else "fit"

    def epochs(self, first: int = 0) -> int:
        """The epochs of all phases from number `first` on."""
        self._phase = None
        return sum(self._phase_epochs(i) for i in range(first, len(self.space.phases)))

    def fact(self, name: str) -> Any:
        """Look up a fact of `given`.

        Raises:
            DataError: if it is not known yet, or the data cannot supply it.
        """
        if name not in self._facts:
            raise DataError(
                f"given.{name} is known only after the data: it cannot stand inside it."
            )
        return self._facts[name]()

    def _own_folder(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="hpsearch-")
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _data_fact(self, name: str) -> Any:
        """Data is the same for every trial of a study, so its seed is the study's."""
        if name == "seed":
            return self._study_seed
        raise DataError(
            f"given.{name} cannot stand inside the data: every trial shares it. "
            "Write the value, or a word."
        )

    def _builder(self, maker: Maker | None = None) -> Builder:
        walk, parameters = self.space.walk, self.space.parameters
        return Builder(walk, parameters, self._point, self.fact, maker)

    def _phase_value(self, number: int, name: str) -> Any:
        phase = self.space.phases[number]
        return self._builder().build(getattr(phase, name), f"{self.phase_place(number)}.{name}")

    def _fit_value(self, name: str) -> Any:
        return self._phase_value(self._phase or 0, name)

    def _running(self) -> list[int]:
        return list(range(len(self.space.phases))) if self._phase is None else [self._phase]

    def _epochs(self) -> int:
        return sum(self._phase_epochs(i) for i in self._running())

    def _phase_epochs(self, number: int) -> int:
        first = int(self._phase_value(number, "initial_epoch") or 0)
        return int(self._phase_value(number, "epochs")) - first

    def _steps_per_epoch(self, number: int) -> int:
        given = self._phase_value(number, "steps_per_epoch")
        return given or batches_of(self.parts.train, self._phase_value(number, "batch_size"))

    def _steps(self) -> int:
        return sum(self._phase_epochs(i) * self._steps_per_epoch(i) for i in self._running())


def _key(value: Any) -> str:
    """Equal for equal plain arguments; by identity for everything else."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k!r}:{_key(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_key(item) for item in value) + "]"
    if isinstance(value, Holdout):
        return _key({f.name: getattr(value, f.name) for f in fields(value)})
    try:
        return json.dumps(plain_value(value))
    except TypeError:
        return f"<{id(value)}>"
