"""The data section of a script: loading, and the study's own split into training and validation.

Delayed loaders are shown with their source. Arrays that stand in the space's file have no source:
the script asks for them in a function `load`, with their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from ..build import Construction, Part, stratified
from ..space import Data, Holdout
from .code import Made, Noun, Text
from .layout import Layout

__all__ = ["Names", "Section", "data_section"]


@final
@dataclass(slots=True)
class Names:
    """How the script calls one part of the data; None for what there is not.

    Attributes:
        x: the inputs; for a dataset the dataset itself.
    """

    x: str
    y: str | None = None
    weight: str | None = None
    dataset: bool = False

    @property
    def together(self) -> Any:
        """As ``validation_data`` takes it."""
        if self.dataset:
            return Text(self.x)
        names = [self.x, self.y, *([self.weight] if self.weight else [])]
        return tuple(None if name is None else Text(name) for name in names)


@final
@dataclass(slots=True)
class Section:
    """The lines that load and split, and the names that they leave behind."""

    lines: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    train: Names = field(default_factory=lambda: Names("x_train", "y_train"))
    validation: Names | None = None
    test: Names | None = None
    numpy: bool = False


def data_section(
    made: Construction, code: Any, made_in_data: Sequence[Made], layout: Layout, study_seed: int
) -> Section:
    """Write the data section.

    Args:
        made: the trial, whose data is loaded here if it is not yet.
        code: the data as code.
        made_in_data: everything made in it, in order.
    """
    section = Section()
    data = made.data if isinstance(made.data, Data) else Data(made.data)
    if made_in_data:
        section.lines.append(
            "# Every trial of the study has the same data: the seed is the study's."
        )
    direct = [id(item) for item in code.fields.values()] if isinstance(code, Noun) else []
    for one in made_in_data:
        if id(one) not in direct:
            one.variable = layout.free("data" if one is code else one.name)
            section.lines.append(f"keras.utils.set_random_seed({study_seed % 2**32})")
            section.lines += layout.statements([one], [one])
    asked: dict[str, Any] = {}
    raw = {}
    for name in ("train", "validation", "test"):
        value = getattr(data, name)
        if value is None or isinstance(value, float | Holdout):
            continue
        source = _source_of(code, name, made.data)
        if isinstance(source, Made) and source.variable is None:
            section.lines.append(f"keras.utils.set_random_seed({study_seed % 2**32})")
        suffix = "" if name == "train" and _split(data) else f"_{name}"
        raw[name] = _unpacked(section, layout, source, value, suffix, asked)
    if asked:
        section.definitions.append(_load(asked))
        section.lines.insert(0, f"{', '.join(asked)} = load()")
    section.train, section.test = raw["train"], raw.get("test")
    section.validation = raw.get("validation")
    _as_arrays(section, data, made)
    if _split(data):
        _write_split(section, layout, made, data.validation, study_seed)
    return section


def _split(data: Data) -> bool:
    return isinstance(data.validation, float | Holdout)


def _source_of(code: Any, name: str, declared: Any) -> Any:
    """Where a part comes from: a field of what was loaded, or what stands in the declaration."""
    if isinstance(code, Noun):
        return code.fields[name]
    return Text(f"{code.variable}.{name}" if isinstance(declared, Data) else str(code.variable))


def _unpacked(
    section: Section, layout: Layout, source: Any, value: Any, suffix: str, asked: dict[str, Any]
) -> Names:
    """Give the inputs, targets and weights of a part their names."""
    if isinstance(value, Part):
        value = value.as_tuple()
    if not isinstance(value, tuple):
        name = layout.free(suffix.removeprefix("_") or "train")
        if isinstance(source, Text | Made):
            section.lines += layout.assignment(name, source)
        else:
            asked[name] = value
        return Names(name, dataset=True)
    stems = ("x", "y", "weight")[: len(value)]
    names = [layout.free(f"{stem}{suffix}") for stem in stems]
    if isinstance(source, Text | Made):
        comma = "," if len(names) == 1 else ""
        section.lines += layout.assignment(", ".join(names) + comma, source)
    else:
        for name, item, one in zip(names, value, source, strict=True):
            if isinstance(one, Text | Made):
                section.lines += layout.assignment(name, one)
            else:
                asked[name] = item
    return _named([None if item is None else name for name, item in zip(names, value, strict=True)])


def _named(names: Sequence[str | None]) -> Names:
    x, y, weight = [*names, None, None][:3]
    return Names(str(x), y, weight)


def _load(asked: dict[str, Any]) -> str:
    """A function that says which arrays the study had, for the reader to fill in."""
    about = "\n".join(f"    {name}: {_shapes(value)}" for name, value in asked.items())
    wanted = ", ".join(asked)
    return (
        f'def load():\n    """Return {wanted} as the study had them.\n\n{about}\n    """\n'
        f'    raise NotImplementedError("load {wanted} here")'
    )


def _shapes(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_shapes(item)}" for key, item in value.items()) + "}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} of shape {tuple(int(n) for n in value.shape)}"
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        return "[" + ", ".join(_shapes(item) for item in value) + "]"
    return f"a {type(value).__name__}"


def _as_arrays(section: Section, data: Data, made: Construction) -> None:
    """Turn tables and lists into arrays where the study did."""
    for name in ("train", "validation", "test"):
        names, part = getattr(section, name), getattr(data, name)
        if names is None or names.dataset or isinstance(part, Part):
            continue
        for written, value in zip((names.x, names.y, names.weight), part, strict=False):
            if written is None or _all_arrays(value):
                continue
            section.numpy = True
            one = isinstance(getattr(made.parts, name).x, np.ndarray) or written != names.x
            call = (
                f"np.asarray({written})"
                if one
                else f"keras.tree.map_structure(np.asarray, {written})"
            )
            section.lines.append(f"{written} = {call}")


def _all_arrays(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_all_arrays(item) for item in value.values())
    if isinstance(value, list | tuple):
        return bool(value) and all(_all_arrays(item) for item in value)
    return hasattr(value, "shape") and hasattr(value, "dtype") and not hasattr(value, "iloc")


def _write_split(
    section: Section, layout: Layout, made: Construction, how: Any, study_seed: int
) -> None:
    """Hold out the rows that the study held out."""
    whole, parts = section.train, made.parts
    held = 0 if parts.validation is None else int(parts.validation.rows or 0)
    at = int(parts.train.rows or 0)
    if isinstance(how, Holdout) and how.shuffle:
        section.numpy = True
        order, train, validation = map(layout.free, ("order", "train_rows", "validation_rows"))
        section.lines += [
            "# The rows for validation are those of the study.",
            f"{order} = np.random.default_rng({study_seed}).permutation({at + held})",
        ]
        if how.stratify:
            labels = whole.y if parts.train.y.ndim == 1 else f"{whole.y}.argmax(axis=-1)"
            section.lines.append(f"{order} = {layout.text(stratified)}({order}, {labels}, {held})")
        section.lines.append(
            f"{train}, {validation} = np.sort({order}[:{at}]), np.sort({order}[{at}:])"
        )
        rows = (f"[{train}]", f"[{validation}]")
    else:
        section.lines.append(f"# The last {held} of {at + held} rows are for validation.")
        rows = (f"[:{at}]", f"[{at}:]")
    names = [
        [
            None if n is None else layout.free(f"{n}_{part}")
            for n in (whole.x, whole.y, whole.weight)
        ]
        for part in ("train", "validation")
    ]
    arrays = (parts.train.x, parts.train.y, parts.train.weight)
    sources = (whole.x, whole.y, whole.weight)
    for array, source, left, right in zip(arrays, sources, *names, strict=True):
        if source is None:
            continue
        if hasattr(array, "shape"):
            section.lines.append(f"{left}, {right} = {source}{rows[0]}, {source}{rows[1]}")
        else:
            section.lines += [
                _mapped(str(left), source, rows[0]),
                _mapped(str(right), source, rows[1]),
            ]
    section.train, section.validation = (_named(n) for n in names)


def _mapped(name: str, source: str, rows: str) -> str:
    return f"{name} = keras.tree.map_structure(lambda array: array{rows}, {source})"
