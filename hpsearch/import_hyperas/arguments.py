"""The arguments of old Keras calls: their names and forms in Keras 3."""

from __future__ import annotations

import ast

from .marks import called, mark_of, marked
from .notes import Notes

__all__ = [
    "FIRST",
    "KEYWORDS",
    "UNKNOWN",
    "alone",
    "merged",
    "metric_name",
    "modernised",
    "parameter_names",
    "without_shapes",
]

FIRST: dict[str, tuple[str, ...]] = {
    "layers.Activation": ("activation",),
    "layers.AlphaDropout": ("rate",),
    "layers.AveragePooling1D": ("pool_size", "strides", "padding"),
    "layers.AveragePooling2D": ("pool_size", "strides", "padding"),
    "layers.BatchNormalization": ("axis", "momentum", "epsilon"),
    "layers.Bidirectional": ("layer", "merge_mode"),
    "layers.Conv1D": ("filters", "kernel_size", "strides", "padding"),
    "layers.Conv2D": ("filters", "kernel_size", "strides", "padding"),
    "layers.Conv2DTranspose": ("filters", "kernel_size", "strides", "padding"),
    "layers.Conv3D": ("filters", "kernel_size", "strides", "padding"),
    "layers.Dense": ("units", "activation", "use_bias"),
    "layers.Dropout": ("rate", "noise_shape", "seed"),
    "layers.ELU": ("alpha",),
    "layers.Embedding": ("input_dim", "output_dim", "embeddings_initializer"),
    "layers.GRU": ("units", "activation", "recurrent_activation"),
    "layers.GaussianDropout": ("rate",),
    "layers.GaussianNoise": ("stddev",),
    "layers.LSTM": ("units", "activation", "recurrent_activation"),
    "layers.Lambda": ("function", "output_shape"),
    "layers.LeakyReLU": ("negative_slope",),
    "layers.MaxPooling1D": ("pool_size", "strides", "padding"),
    "layers.MaxPooling2D": ("pool_size", "strides", "padding"),
    "layers.RepeatVector": ("n",),
    "layers.Reshape": ("target_shape",),
    "layers.SeparableConv2D": ("filters", "kernel_size", "strides", "padding"),
    "layers.SimpleRNN": ("units", "activation"),
    "layers.SpatialDropout1D": ("rate",),
    "layers.SpatialDropout2D": ("rate",),
    "layers.TimeDistributed": ("layer",),
    "layers.UpSampling2D": ("size",),
    "layers.ZeroPadding2D": ("padding",),
    "constraints.MaxNorm": ("max_value", "axis"),
    "optimizers.Adadelta": ("learning_rate", "rho", "epsilon"),
    "optimizers.Adagrad": ("learning_rate", "initial_accumulator_value", "epsilon"),
    "optimizers.Adam": ("learning_rate", "beta_1", "beta_2", "epsilon"),
    "optimizers.Adamax": ("learning_rate", "beta_1", "beta_2", "epsilon"),
    "optimizers.Nadam": ("learning_rate", "beta_1", "beta_2", "epsilon"),
    "optimizers.RMSprop": ("learning_rate", "rho", "momentum", "epsilon"),
    "optimizers.SGD": ("learning_rate", "momentum", "nesterov"),
    "optimizers.schedules.InverseTimeDecay": ("initial_learning_rate", "decay_steps"),
    "regularizers.L1": ("l1",),
    "regularizers.L1L2": ("l1", "l2"),
    "regularizers.L2": ("l2",),
    "callbacks.EarlyStopping": ("monitor", "min_delta", "patience"),
    "callbacks.LearningRateScheduler": ("schedule",),
    "callbacks.ReduceLROnPlateau": ("monitor", "factor", "patience"),
    "Input": ("shape", "batch_size"),
    "Model": ("inputs", "outputs"),
}
"""What the arguments without a keyword are called, in Keras 3."""

UNKNOWN = "unknown-argument"

KEYWORDS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "beta_init": "beta_initializer",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "filter_length": "kernel_size",
    "gamma_init": "gamma_initializer",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "nb_filter": "filters",
    "pool_length": "pool_size",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}
OWN_KEYWORDS: dict[str, dict[str, str]] = {
    "layers.Conv1D": {"atrous_rate": "dilation_rate"},
    "layers.Conv2D": {"atrous_rate": "dilation_rate"},
    "layers.Dense": {"output_dim": "units"},
    "layers.Dropout": {"p": "rate"},
    "layers.Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "layers.GRU": {"output_dim": "units"},
    "layers.GaussianDropout": {"p": "rate"},
    "layers.GaussianNoise": {"sigma": "stddev"},
    "layers.LSTM": {"output_dim": "units"},
    "layers.LeakyReLU": {"alpha": "negative_slope"},
    "layers.Reshape": {"dims": "target_shape"},
    "layers.SimpleRNN": {"output_dim": "units"},
    "constraints.MaxNorm": {"m": "max_value"},
    "regularizers.L1": {"l": "l1"},
    "regularizers.L2": {"l": "l2"},
    "callbacks.ReduceLROnPlateau": {"epsilon": "min_delta"},
    "Model": {"input": "inputs", "output": "outputs"},
}
DROPPED = {"consume_less", "forget_bias_init", "input_length"}
DROPPED_BY = {"layers.Embedding": {"dropout"}, "callbacks.ModelCheckpoint": {"period"}}
WORDS = {
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "val_acc": "val_accuracy",
    "acc": "accuracy",
    "lr": "learning_rate",
    "tf": "channels_last",
    "th": "channels_first",
}
RATES = {
    "optimizers.SGD": 0.01,
    "optimizers.Adagrad": 0.01,
    "optimizers.Adadelta": 1.0,
    "optimizers.Adamax": 0.002,
    "optimizers.Nadam": 0.002,
}
"""The learning rates that old optimizers started with, where they are not 0.001."""
CHANGED_RATES = (
    "optimizers.Adagrad",
    "optimizers.Adadelta",
    "optimizers.Adamax",
    "optimizers.Nadam",
)
KERNELS = {
    "layers.Conv2D": 2,
    "layers.Conv2DTranspose": 2,
    "layers.Conv3D": 3,
    "layers.SeparableConv2D": 2,
}
ACTIVATED = {"layers.Dense": 2, "layers.Conv1D": 4, "layers.Conv2D": 4}
"""The layers that an activation behind them goes into, with its place among their arguments."""
NO_SHAPE = {"input_shape", "batch_input_shape", "input_dim"}


def parameter_names(name: str, count: int) -> list[str]:
    """The names of the first `count` arguments of a Keras call; `UNKNOWN` where it is not known."""
    known = FIRST.get(name, ())
    return [known[i] if i < len(known) else UNKNOWN for i in range(count)]


def metric_name(name: str) -> str:
    """A metric as today's Keras calls it: ``val_acc`` is ``val_accuracy``."""
    before, _, bare = name.rpartition("val_")
    return ("val_" if before or name.startswith("val_") else "") + WORDS.get(bare, bare)


def modernised(name: str, call: ast.Call, notes: Notes, rate_set_by: str = "") -> bool:
    """Give a call of the Keras thing `name` today's arguments; return whether any changed.

    Args:
        rate_set_by: the callback of the file that sets the learning rate, "" for none.
    """
    before = ast.dump(call)
    own = OWN_KEYWORDS.get(name, {})
    kept = []
    for keyword in call.keywords:
        if keyword.arg is None:
            kept.append(keyword)
            continue
        keyword.arg = own.get(keyword.arg, keyword.arg)
        if name.startswith("layers."):
            keyword.arg = KEYWORDS.get(keyword.arg, keyword.arg)
        if name.startswith("optimizers.") and keyword.arg == "lr":
            keyword.arg = "learning_rate"
        if _dropped(name, keyword):
            _note_dropped(name, keyword, call.lineno, notes)
        else:
            keyword.value = _words(keyword.arg, keyword.value)
            kept.append(keyword)
    call.keywords = kept
    if name == "Model":
        call.args[:2] = [alone(item) for item in call.args[:2]]
        for keyword in call.keywords:
            if keyword.arg in ("inputs", "outputs"):
                keyword.value = alone(keyword.value)
    if name in KERNELS:
        _kernel(call, KERNELS[name])
    if name.startswith("optimizers."):
        _optimizer(name, call, notes, rate_set_by)
    return ast.dump(call) != before


def alone(node: ast.expr) -> ast.expr:
    """What stands in a list of one, anything else itself: Keras 3 tells ``[x]`` from ``x``."""
    match node:
        case ast.List(elts=[item]) if not isinstance(item, ast.Starred):
            return item
    return node


def _dropped(name: str, keyword: ast.keyword) -> bool:
    if keyword.arg in DROPPED_BY.get(name, ()):
        return True
    if keyword.arg == "mode":
        return name == "layers.BatchNormalization"
    if name.startswith("optimizers."):
        nothing = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        return keyword.arg == "schedule_decay" or (keyword.arg in ("decay", "epsilon") and nothing)
    return name.startswith("layers.") and keyword.arg in DROPPED


def _note_dropped(name: str, keyword: ast.keyword, line: int, notes: Notes) -> None:
    """Say so where something was meant by it."""
    if name == "layers.Embedding" and keyword.arg == "dropout":
        notes.add(line, "Embedding takes no dropout in Keras 3", "write a layers.Dropout after it")
    elif any(isinstance(one, ast.Call) for one in ast.walk(keyword.value)):
        what = f"{name.rpartition('.')[2]} takes no {keyword.arg} in Keras 3"
        notes.add(line, what, "it is left out")


def _words(argument: str, value: ast.expr) -> ast.expr:
    """Strings that have another name today: a monitored metric, a loss, an order of dimensions."""
    if argument == "data_format":
        known = {key: WORDS[key] for key in ("tf", "th")}
    elif argument == "monitor":
        known = {key: WORDS[key] for key in ("val_acc", "acc", "lr")}
    elif argument == "loss":
        known = {
            k: WORDS[k] for k in ("cosine_proximity", "kullback_leibler_divergence", "logcosh")
        }
    else:
        return value
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = known.get(node.value, node.value)
    return value


def _kernel(call: ast.Call, dimensions: int) -> None:
    """``Convolution2D(32, 3, 3)`` gave the sides of the kernel one by one."""
    named = {k.arg: k for k in call.keywords}
    old = [named[n] for n in ("nb_row", "nb_col") if n in named]
    if len(old) == 2:
        sides: list[ast.expr] = [k.value for k in old]
        call.keywords = [k for k in call.keywords if k not in old]
    elif len(call.args) == 1 + dimensions and "kernel_size" not in named:
        sides = call.args[1:]
        call.args = call.args[:1]
    else:
        return
    size = ast.Tuple(sides, ast.Load())
    if any(keyword.arg == "filters" for keyword in call.keywords):
        call.keywords.append(ast.keyword("kernel_size", size))
    else:
        call.args.append(size)


def _optimizer(name: str, call: ast.Call, notes: Notes, rate_set_by: str) -> None:
    """``decay=d`` divided the rate by 1 + d · step: a schedule in Keras 3, which no callback sets."""
    named = {keyword.arg: keyword for keyword in call.keywords}
    if name in CHANGED_RATES and not call.args and "learning_rate" not in named:
        was = RATES[name]
        notes.add(
            call.lineno,
            f"{name.rpartition('.')[2]} without a learning rate began with {was} then, and with "
            "0.001 in Keras 3",
            f"write learning_rate={was} for the old one",
        )
    decay = named.get("decay")
    if decay is None:
        return
    call.keywords.remove(decay)
    if rate_set_by:
        notes.add(
            decay.value.lineno,
            f"decay={ast.unparse(decay.value)[:40]} is left out: it is a schedule in Keras 3, whose "
            f"rate {rate_set_by} cannot set, so that every trial in which it does would fail",
            f"for the decay instead leave {rate_set_by} out and write learning_rate="
            "optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=…)",
        )
        return
    own = named.get("learning_rate", ast.keyword("", ast.Constant(RATES.get(name, 0.001))))
    function = ast.Name("InverseTimeDecay", ast.Load())
    schedule = ast.Call(
        marked(function, keras="optimizers.schedules.InverseTimeDecay"),
        [call.args[0] if call.args else own.value],
        [
            ast.keyword("decay_steps", ast.Constant(1)),
            ast.keyword("decay_rate", decay.value),
        ],
    )
    if call.args:
        call.args[0] = schedule
    elif "learning_rate" in named:
        named["learning_rate"].value = schedule
    else:
        call.args.insert(0, schedule)


def merged(layer: ast.expr, after: ast.expr) -> bool:
    """Put an activation that comes after a layer into it; return whether that could be done."""
    place = ACTIVATED.get(called(layer), 0)
    if called(after) != "layers.Activation" or "above" in mark_of(after):
        return False
    assert isinstance(after, ast.Call)
    if not isinstance(layer, ast.Call) or len(layer.args) >= place:
        return False
    if len(after.args) != 1 or after.keywords or "activation" in {k.arg for k in layer.keywords}:
        return False
    layer.keywords.append(ast.keyword("activation", after.args[0]))
    return True


def without_shapes(node: ast.expr) -> ast.expr:
    """Layers without the shape of their input: the data tells it."""
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        if called(call).startswith("layers."):
            dropped = NO_SHAPE - ({"input_dim"} if called(call) == "layers.Embedding" else set())
            call.keywords = [k for k in call.keywords if k.arg not in dropped]
    return node
