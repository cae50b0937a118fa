"""A space and a point to the text of a script that trains the same model with Keras alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

from ..build import COMPILE, Construction, Memory
from ..space import Fit, Space
from ..train import compile_again, set_seeds, with_metric
from ..trial import Point
from .code import Code, Labelled, Noun, Text, plain
from .layout import Layout
from .loading import Names, Section, data_section
from .sources import Sources

__all__ = ["plain_keras"]

NOT_FIT = ("prepare", "optimizer", "loss")  # fields of `Fit` that `Model.fit` does not take
PART = '''class Part(NamedTuple):
    """The inputs, targets and sample weights of one part of the data."""

    x: Any
    y: Any = None
    weight: Any = None'''
RESERVED = ("load", "keras", "np", "report", "Part", "Parts")
PARTS = '''class Parts(NamedTuple):
    """The data, as the functions of the space receive it."""

    train: Part
    validation: Part | None = None
    test: Part | None = None'''
REPORT = '''def report(metrics, *, fraction=1.0):
    """Print the metrics; returns False: go on training."""
    print(metrics)
    return False'''


def plain_keras(
    space: Space,
    point: Mapping[str, Any],
    *,
    seed: int,
    study_seed: int,
    name: str,
    path: Path | None = None,
) -> str:
    """Print one trial as a Keras script in which nothing is searched.

    Run in a new process it builds the same model and trains it to the same weights: the same
    seeds, the same data and split, everything made in the same order.

    Args:
        point: a complete point of the space.
        seed: the seed of the trial.
        study_seed: the seed of the study, for data and splits.
        name: what to call the trial in the first line.
        path: the space's file, named in the first line.

    Raises:
        PointError: if the point is not one of the space.
        DataError, BuildError: if the data cannot be loaded (its shapes are in the script).
    """
    checked = space.check(point)
    made = Construction(
        space,
        checked,
        seed=seed,
        study_seed=study_seed,
        folder=None,
        memory=Memory(),
        seeded=set_seeds,
    )
    script = _Script(made, checked, seed, study_seed)
    text = script.text(name, path)
    if not script.clashes:
        return text
    # A global of the space's file has a name of ours, which was seen after that was written.
    return _Script(made, checked, seed, study_seed, theirs=script.clashes).text(name, path)


@final
class _Script:
    """Writes the sections of one script.

    Args:
        theirs: names that the copied functions use, so that no variable of the script has them.
    """

    def __init__(
        self,
        made: Construction,
        point: Point,
        seed: int,
        study_seed: int,
        theirs: Iterable[str] = (),
    ) -> None:
        self._made, self._space, self._point = made, made.space, point
        self._seed, self._study_seed = seed, study_seed
        self._sources = Sources(
            set(RESERVED),
            lambda name, value: self._layout.assignment(name, value),
            theirs,
        )
        self._layout = Layout(
            self._sources.reference, self._array, self._sources.thing, self._sources.taken
        )
        self._data = Section()
        self._seed_name, self._model_name = self._layout.free("SEED"), self._layout.free("model")

    @property
    def clashes(self) -> set[str]:
        """Names of the script that the copied functions use for something else."""
        return self._sources.clashes

    def text(self, name: str, path: Path | None) -> str:
        """The whole script."""
        self._sources.module("keras")
        self._load()
        sections = [self._data.lines, self._model(), self._compile(), *self._training()]
        source = f", from {path.name}" if path is not None else ""
        if self._data.numpy or any("np." in line for part in sections for line in part):
            self._sources.module("numpy", "np")
        definitions = [*self._sources.definitions, *self._data.definitions]
        head = [
            f'"""{name}{source}, as plain Keras."""',
            "",
            *self._sources.import_lines(),
            "",
            f"{self._seed_name} = {self._seed}",
        ]
        after_block = False
        for text in definitions:
            block = text.startswith(("def ", "class ", "@", "async "))
            head += [*([""] * 2 if block or after_block else []), *text.splitlines()]
            after_block = block
        head += [""] if after_block else []
        body = [line for section in sections if section for line in ["", *section]]
        return _tidy([*head, *body])

    def _code(self) -> Code:
        return Code(self._space.parameters.label, self._sources.reference, self._facts())

    def _facts(self) -> dict[str, Any]:
        train = self._data.train
        inputs = f"{train.x}.map(lambda *element: element[0])" if train.dataset else train.x
        here = Labelled(".", "given.folder")
        return {"seed": Text(self._seed_name), "train": Text(inputs), "folder": here}

    def _load(self) -> None:
        code = Code(
            self._space.parameters.label,
            self._sources.reference,
            {"seed": Labelled(self._study_seed, "the study's seed")},
        )
        built = self._made.data_builder(code).build(self._space.data, "data")
        self._data = data_section(self._made, built, code.made, self._layout, self._study_seed)

    def _model(self) -> list[str]:
        code = self._code()
        model = self._made.builder(code).build(self._space.model, "model")
        model.variable = self._model_name
        lines = self._layout.statements(code.made, [model])
        return [f"keras.utils.set_random_seed({self._seed_name})", *lines]

    def _compile(self, phase: Noun | None = None) -> list[str]:
        code = self._code()
        builder = self._made.builder(code)
        fields = {} if phase is None else phase.fields
        changes = {name: fields[name] for name in COMPILE if fields.get(name) is not None}
        given = [name for name in COMPILE if getattr(self._space, name) is not None]
        if not given and phase is not None:  # as its function compiled it
            again = self._layout.text(compile_again)
            return self._layout.call(again, [Text(self._model_name)], changes)
        if not given:
            return []  # its function compiled it, or a loop of one's own needs no loss
        arguments = {
            name: changes[name]
            if name in changes
            else builder.build(getattr(self._space, name), name)
            for name in COMPILE
            if name in given or name in changes
        }
        metrics = with_metric(arguments.get("metrics"), self._space)
        if metrics is not None:
            arguments["metrics"] = metrics
        lines = self._layout.statements(code.made, list(arguments.values()))
        return [*lines, *self._layout.call(f"{self._model_name}.compile", [], arguments)]

    def _training(self) -> list[list[str]]:
        if self._space.train is not None:
            sections = [self._own_loop()]
        else:
            sections = [self._phase(number) for number in range(len(self._space.phases))]
        if self._space.keep == "best" and self._by_epoch() and not self._keeps_best():
            sections[-1].append(
                "# The study kept the weights of its best epoch by "
                f"{self._space.metric}; these are those of the last."
            )
        return [*sections, self._evaluation()]

    def _phase(self, number: int) -> list[str]:
        code = self._code()
        builder = self._made.builder(code, phase=number)
        phase = builder.build(self._space.phases[number], self._made.phase_place(number))
        lines: list[str] = []
        if phase.fields["prepare"] is not None:
            lines.append(f"{self._layout.text(phase.fields['prepare'])}({self._model_name})")
        inside = [value for name, value in phase.fields.items() if name != "prepare"]
        lines += self._layout.statements(code.made, inside)
        again = any(phase.fields[name] is not None for name in NOT_FIT)
        compiled = self._compile(phase) if again else []
        train = self._data.train
        arguments = self._fit_arguments(phase)
        args = [Text(train.x)] if train.dataset else [Text(train.x), Text(str(train.y))]
        return [*lines, *compiled, *self._layout.call(f"{self._model_name}.fit", args, arguments)]

    def _fit_arguments(self, phase: Noun) -> dict[str, Any]:
        """The arguments of ``Model.fit`` that differ from its own defaults."""
        arguments: dict[str, Any] = {}
        if self._data.train.weight:
            arguments["sample_weight"] = Text(self._data.train.weight)
        for field in dataclasses.fields(Fit):
            value = phase.fields[field.name]
            unchanged = not isinstance(value, Text) and _same(plain(value), field.default)
            if field.name in NOT_FIT or (unchanged and field.name != "epochs"):
                continue
            if field.name != "batch_size" or not self._data.train.dataset:
                arguments[field.name] = value
        if self._keeps_best():
            callbacks = list(arguments.get("callbacks") or [])
            arguments["callbacks"] = [*callbacks, self._keeper(plain(phase.fields["epochs"]))]
        if not self._made.parts.train.shuffled:
            arguments["shuffle"] = False  # Keras warns that it leaves such a dataset in its order
        if self._data.validation is not None:
            arguments["validation_data"] = self._data.validation.together
        return arguments

    def _keeps_best(self) -> bool:
        """Whether a callback can keep what the study kept: the best epoch of a single phase."""
        space = self._space
        often = space.phases[0].validation_freq == 1
        alone = len(space.phases) == 1 and space.train is None
        return space.keep == "best" and self._by_epoch() and often and alone

    def _by_epoch(self) -> bool:
        """Whether the metric is reported by each epoch, rather than by `evaluate` at the end."""
        return self._space.evaluate is None or self._space.metric.startswith("val_")

    def _keeper(self, epochs: int) -> Any:
        code = self._code()
        arguments = {
            "monitor": self._space.metric,
            "mode": "max" if self._space.maximize is not None else "min",
            "patience": Labelled(epochs, "never stops; keeps the best epoch, as the study did"),
            "restore_best_weights": True,
        }
        return code.call(Text("keras.callbacks.EarlyStopping"), [], arguments)

    def _own_loop(self) -> list[str]:
        code = self._code()
        loop = self._made.builder(code).build(self._space.train, "train")
        lines = self._layout.statements(code.made, [loop])
        self._sources.definitions.append(REPORT)
        fit = self._own_loop_fit()
        return [
            *lines,
            *self._parts(),
            *self._layout.call(
                self._layout.text(loop), [Text(self._model_name), Text("data")], fit
            ),
        ]

    def _own_loop_fit(self) -> dict[str, Any]:
        import inspect

        arguments: dict[str, Any] = {"report": Text("report")}
        if "fit" not in inspect.signature(self._made.function("train")).parameters:
            return arguments
        code = self._code()
        phase = self._made.builder(code, phase=0).build(self._space.phases[0], "fit")
        namespace = self._sources.from_import("types", "SimpleNamespace")
        arguments["fit"] = code.call(Text(namespace), [], phase.fields)
        return arguments

    def _parts(self) -> list[str]:
        """The data as the space's own functions receive it."""
        if PART not in self._sources.definitions:
            self._sources.typing()
            self._sources.definitions += [PART, PARTS]
        parts = [self._data.train, self._data.validation, self._data.test]
        code = self._code()
        written = [None if part is None else _part(code, part) for part in parts]
        while written[-1] is None:
            written.pop()
        return self._layout.assignment("data", code.call(Text("Parts"), written, {}))

    def _evaluation(self) -> list[str]:
        lines: list[str] = []
        if self._space.evaluate is not None:
            code = self._code()
            function = self._made.builder(code).build(self._space.evaluate, "evaluate")
            lines += self._layout.statements(code.made, [function])
            lines += self._parts() if self._space.train is None else []
            lines.append(f"print({self._layout.text(function)}({self._model_name}, data))")
        test = self._data.test
        if test is not None and self._space.train is None:
            arguments: dict[str, Any] = {"verbose": 0, "return_dict": True}
            args = [Text(test.x)] if test.dataset else [Text(test.x), Text(str(test.y))]
            if test.weight:
                arguments = {"sample_weight": Text(test.weight), **arguments}
            call = self._layout.text(
                self._code().call(Text(f"{self._model_name}.evaluate"), args, arguments)
            )
            lines.append(f"print({call})")
        return lines

    def _array(self, array: Any) -> str:
        """A small array in full, a large one as a name to be filled in."""
        if getattr(array, "size", 1000) > SMALL:
            return self._sources.thing(array, "array")
        self._sources.module("numpy", "np")
        return f"np.array({array.tolist()!r}, dtype={str(array.dtype)!r})"


SMALL = 32  # elements of an array that is written in full


def _part(code: Code, part: Names) -> Any:
    names = [part.x] if part.dataset else [part.x, part.y, part.weight]
    while names[-1] is None:
        names.pop()
    return code.call(Text("Part"), [None if n is None else Text(n) for n in names], {})


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, list | tuple) and not value:
        return not default
    return type(value) is type(default) and bool(value == default)


def _tidy(lines: list[str]) -> str:
    """At most two empty lines together, none at the end."""
    kept: list[str] = []
    for line in lines:
        if line or kept[-2:] != ["", ""]:
            kept.append(line.rstrip())
    return "\n".join(kept).rstrip() + "\n"
