"""What Keras's own losses ask of outputs and targets, and what makes a model's outputs.

Only what is certainly Keras's own is known; of anything else (a loss of one's own, a subclass, an
axis that is not the last) nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

__all__ = ["Head", "KnownLoss", "heads_of", "known_loss", "own_step"]

Kind = Literal["sparse", "classes", "binary", "each"]
KINDS: dict[str, Kind] = {
    "sparse_categorical_crossentropy": "sparse",
    "categorical_crossentropy": "classes",
    "categorical_focal_crossentropy": "classes",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "mean_squared_error": "each",
    "mean_absolute_error": "each",
    "mean_absolute_percentage_error": "each",
    "mean_squared_logarithmic_error": "each",
    "huber": "each",
    "log_cosh": "each",
    "poisson": "each",
    "hinge": "each",
    "squared_hinge": "each",
}
"""Keras's losses by the name of their function; ``each`` compares number with number."""


@final
@dataclass(frozen=True, slots=True)
class KnownLoss:
    """One of Keras's own losses.

    Attributes:
        kind: what it asks of the targets.
        text: as it is written.
        from_logits: whether the outputs are logits rather than probabilities.
        ignored: the class that is left out (``ignore_class``).
    """

    kind: Kind
    text: str
    from_logits: bool = False
    ignored: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Head:
    """What an output comes out of.

    Attributes:
        text: as a message names it.
        activation: the name of its activation, one of Keras's; None where that is not known.
        unbounded: whether nothing keeps the output from being any number.
    """

    text: str
    activation: str | None
    unbounded: bool


def known_loss(loss: Any) -> KnownLoss | None:
    """What is known of a loss as ``compile`` takes it, or None."""
    import keras

    try:
        found = keras.losses.get(loss)
    except (ValueError, TypeError):
        return None  # "crossentropy", which Keras chooses by the shapes; or no loss
    if isinstance(found, keras.losses.Loss):
        if getattr(keras.losses, type(found).__name__, None) is not type(found):
            return None
        function, config = getattr(found, "fn", None), found.get_config()
    else:
        function, config = found, {}
    name = getattr(function, "__name__", "")
    if name not in KINDS or getattr(keras.losses, name, None) is not function:
        return None
    if config.get("axis", -1) != -1:
        return None
    logits = bool(config.get("from_logits", False))
    written = repr(loss) if isinstance(loss, str) else _written(found, name, logits)
    return KnownLoss(KINDS[name], written, logits, config.get("ignore_class"))


def _written(loss: Any, name: str, logits: bool) -> str:
    if getattr(loss, "fn", None) is None:
        return name
    return f"{type(loss).__name__}({'from_logits=True' if logits else ''})"


def heads_of(model: Any, outputs: Any) -> Any:
    """The heads of a model's outputs, structured as `outputs` are; None for each not known."""
    import keras

    flat = keras.tree.flatten(outputs)
    tensors = list(getattr(model, "outputs", None) or ())
    heads = [_head(tensor) for tensor in tensors] if len(tensors) == len(flat) else []
    return keras.tree.pack_sequence_as(outputs, heads or [None] * len(flat))


def _head(tensor: Any) -> Head | None:
    # `_keras_history` is how Keras itself names outputs (3.15, compile_utils).
    operation = getattr(getattr(tensor, "_keras_history", None), "operation", None)
    inner = getattr(operation, "outputs", None)
    if operation is not None and isinstance(inner, list) and hasattr(operation, "layers"):
        return _head(inner[0]) if len(inner) == 1 else None  # a model inside the model
    return None if operation is None else _head_of(operation)


def _head_of(layer: Any) -> Head:
    import keras

    kind = type(layer).__name__
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "")
    known = name if function and getattr(keras.activations, name, None) is function else None
    if kind in ("Softmax", "Sigmoid"):
        known = kind.lower()
    weighted = isinstance(layer, keras.layers.Layer) and hasattr(layer, "kernel_constraint")
    kept = weighted and (layer.kernel_constraint is not None or not layer.trainable)
    how = "no activation" if known == "linear" else f"activation {known!r}"
    text = f"{kind} with {how}" if known else kind
    return Head(text, known, known == "linear" and weighted and not kept)


def own_step(model: Any) -> bool:
    """Whether a model computes its loss in a way of its own, so that `loss` may mean anything."""
    import keras

    ways = ("train_step", "test_step", "compute_loss", "compile")
    plain = (keras.Model, keras.Sequential)
    return any(
        all(getattr(type(model), way, None) is not getattr(base, way, None) for base in plain)
        for way in ways
    )
