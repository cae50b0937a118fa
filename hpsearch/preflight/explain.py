"""What Keras said about a first batch that failed, in a few lines, with the shapes and what to change."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..build import Part, named_leaves, where_raised
from ..errors import nearest
from ..train.keras_engine import OUT_OF_MEMORY

__all__ = [
    "FLATTEN",
    "asks_axes",
    "batch_failed",
    "on_axes",
    "part_differs",
    "rows",
    "said",
    "shapes_of",
    "takes",
]

LONGEST = 400  # characters of what Keras says
NOISE = r"\x1b\[[0-9;]*m|\{\{[^}]*\}\} ?|<stack traces unavailable>\s*|\[Op:\w+\].*"
UNKNOWN = r"Could not interpret (loss|metric) (?:function )?identifier: '?(\w+)"
SKIPPED = r"Graph execution error|Detected at node|File \"|Exception encountered when|\[\[\{\{|$"
AXES = r"expected (?:min_)?ndim=(\d+), found ndim=\d+\. Full shape received: \(([^)]*)\)"
TEXT = "OUS"
FLATTEN = (
    "Write layers.Flatten() in front of the first layers.Dense (for images), or "
    "return_sequences=False in the last recurrent layer."
)
"""What to write for a model that gives several rows of numbers where the target is one."""


def said(error: BaseException) -> str:
    """An exception in one line: the user's own line if there is one, without Keras's ornaments."""
    kind = type(error).__name__
    place, _, rest = where_raised(error).partition(f"{kind}: ")
    rest = re.sub(NOISE, "", rest).split("Arguments received by")[0]
    lines = [line.strip() for line in rest.splitlines()]
    kept = " ".join(line for line in lines if not re.match(SKIPPED, line)) or lines[0]
    short = kept if len(kept) <= LONGEST else f"{kept[:LONGEST]}…"
    memory = kind in OUT_OF_MEMORY or "RESOURCE_EXHAUSTED" in str(error)
    return f"{'out of memory: ' if memory else ''}{place}{kind}: {short}"


def batch_failed(model: Any, part: Part, error: BaseException) -> str:
    """The message for the first rows of the training part, as arrays, that raised."""
    if "out of memory" in (what := said(error)):
        return f"The first batch failed: {what}"
    about = f"Here {shapes_of(part, 'train')}.{_outputs(model)}"
    return f"The first batch failed: {what}\n{about}\n{_advice(model, part, error)}"


def part_differs(name: str, part: Part, train: Part, error: BaseException) -> str:
    """The message for a validation or test part that the model does not take."""
    return (
        f"The {name} part of the data does not fit the model: {said(error)}\n"
        f"Here {shapes_of(part, name)}; {shapes_of(train, 'train')}.\n"
        "Prepare both parts by the same function, so that their rows have one shape and type."
    )


def takes(model: Any, x: Any) -> bool:
    """Whether the model can be called with these inputs."""
    try:
        model(x, training=False)
    except Exception:
        return False
    return True


def shapes_of(part: Part, name: str) -> str:
    """``x of the train part is (n, 4) float32, y (n,) int64``."""
    told: list[str] = []
    for what, value in (("x", part.x), ("y", part.y), ("sample_weight", part.weight)):
        for key, array in named_leaves(value, what):
            shape = f"{rows(tuple(array.shape[1:])) if len(array.shape) else 'one number'} {_kind(array)}"
            told.append(f"{key} of the {name} part is {shape}" if not told else f"{key} {shape}")
    return ", ".join(told)


def rows(shape: tuple[Any, ...]) -> str:
    """A shape of a row with its rows as n: ``(n, 3)``, ``(n,)``."""
    return "(" + ", ".join(["n", *map(str, shape)]) + ("" if shape else ",") + ")"


def _kind(array: Any) -> str:
    return str(getattr(array.dtype, "name", array.dtype))


def _outputs(model: Any) -> str:
    shapes = [rows(tuple(tensor.shape[1:])) for tensor in getattr(model, "outputs", None) or ()]
    return f" The model's output is {' and '.join(shapes)}.".replace("None", "?") if shapes else ""


def _advice(model: Any, part: Part, error: BaseException) -> str:
    if unknown := re.search(UNKNOWN, str(error)):
        import keras

        names = dir(keras.losses if unknown[1] == "loss" else keras.metrics)
        return nearest(unknown[2], [name for name in names if not name.startswith("_")])
    if any(not len(array.shape) for _, array in named_leaves([part.x, part.y], "")):
        return "The elements of the dataset are single rows: write dataset.batch(32)."
    texts = [key for key, array in named_leaves(part.x, "x") if _is_text(array)]
    if texts:
        return (
            f"{texts[0]} holds texts or objects: for numbers write x.astype('float32'); texts go "
            "to a model that begins with layers.TextVectorization or StringLookup, in a "
            "tf.data.Dataset.from_tensor_slices((x, y)).batch(32)."
        )
    if any(_is_text(array) for _, array in named_leaves(part.y, "y")):
        return (
            "y holds texts or objects: for classes write y = np.unique(y, return_inverse=True)[1], "
            "for numbers y.astype('float32')."
        )
    if not takes(model, part.x):
        return on_axes(error, part) or (
            "The model does not take x: write layers.Input(given.shape) in its first place, or no "
            "Input at all, and give x as the layers need it (images to Dense: layers.Flatten() first)."
        )
    if part.y is None:
        return "There is no y, which the loss needs: write Data((x, y)), or yield (x, y)."
    return _advice_on_targets(model, part, error)


def asks_axes(error: BaseException) -> bool:
    """Whether a layer was given fewer or more axes than it asks for."""
    return re.search(AXES, str(error)) is not None


def on_axes(error: BaseException, part: Part) -> str | None:
    """What to write where the first layer asks for more axes than x has; None for anything else.

    Args:
        part: the first rows, as arrays.
    """
    found, arrays = re.search(AXES, str(error)), [array for _, array in named_leaves(part.x, "x")]
    targets = [array for _, array in named_leaves(part.y, "y")]
    if found is None or len(arrays) != 1 or any(not len(array.shape) for array in targets):
        return None
    shape, missing = tuple(arrays[0].shape[1:]), int(found[1]) - len(arrays[0].shape)
    if found[2].replace(" ", "").split(",")[1:] != [str(size) for size in shape] or missing < 1:
        return None  # what the layer got is not x, but what a layer before it gave
    if missing > 1 and (int(found[1]) != 4 or len(shape) != 1):
        return None
    where = "an Input, if there is one, is layers.Input(given.shape)."
    if missing == 1:
        return (
            f"The first layer takes an axis more, for channels or features, than x {rows(shape)}: "
            f"give x[..., None], which is {rows((*shape, 1))}; {where}"
        )
    return (
        f"The first layer takes images, and x is flat rows {rows(shape)}: give "
        f"x.reshape({_image(math.prod(shape))}); {where}"
    )


def _image(size: int) -> str:
    """The shape of a square image of so many numbers, gray or in three colours, if it is one."""
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if side > 1 and side * side * channels == size:
            return f"-1, {side}, {side}, {channels}"
    return "-1, height, width, channels"


def _advice_on_targets(model: Any, part: Part, error: BaseException) -> str:
    outputs: Any = getattr(model, "outputs", None) or ()
    several = part.y if isinstance(part.y, list | tuple | Mapping) else [part.y]
    if len(outputs) > 1 and len(outputs) != len(several):
        names = getattr(model, "output_names", None) or range(len(outputs))
        each = ", ".join(f"{name!r}: …" for name in names)
        return (
            f"The model has {len(outputs)} outputs, and y is {len(several)} array: give targets "
            f"and a loss for each, y={{{each}}} and loss={{{each}}}."
        )
    if len(outputs) == 1 and several is part.y:
        kind = "dict" if isinstance(part.y, Mapping) else "list"
        return f"The model has one output, and y is a {kind}: give y as one array."
    if not where_raised(error).startswith(type(error).__name__):
        return "Look at this line of yours."
    if len(outputs) == 1 and several is not part.y:
        given, wanted = tuple(outputs[0].shape[1:]), tuple(part.y.shape[1:])
        if len(given) > 1 and wanted in ((), (1,), given[-1:]):
            return f"The model gives {rows(given)} where one target stands for a row. {FLATTEN}"
    return (
        "Give targets of the shape that the loss compares with this output, or write another loss "
        "or another last layer."
    )


def _is_text(array: Any) -> bool:
    return getattr(array.dtype, "kind", "f") in TEXT
