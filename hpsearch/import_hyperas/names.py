"""What a name in the file means: the imports, followed to today's names of Keras.

A name is followed through every import of the file (``import keras as k``, ``from keras.layers.core
import Dense``, ``tf.keras``) to a dotted name, and that to the one of Keras 3. What Keras 3 does not
have any more is in `GONE`, with what takes its place.
"""

from __future__ import annotations

import ast
from collections.abc import Container
from typing import final

__all__ = ["BACKEND", "GONE", "HOMES", "WRITTEN", "Imports", "dotted", "free", "is_old", "modern"]

KERAS = (
    "tensorflow.contrib.keras.python.keras",
    "tensorflow.contrib.keras",
    "tensorflow.python.keras",
    "tensorflow.keras",
    "tf_keras",
)
OLD = ("hyperas", "hyperopt", "keras", *KERAS)
"""The modules that a space imports nothing from as the file did."""

HOMES = {
    name: module
    for module, names in {
        "hpsearch": "Data Fit Space choice delayed given integer lognormal loguniform match normal "
        "uniform when",
        "hpsearch.keras": "Input Model Sequential activations applications callbacks constraints "
        "initializers layers losses metrics optimizers regularizers",
        "hpsearch.spaces.pieces.data": "load_data",
    }.items()
    for name in names.split()
}
"""The names of ours that a converted space may import, with the module of each."""

WRITTEN = {*HOMES, "arrays", "exp", "functools", "keras", "ops", "prepared", "space"}
"""Every name that the conversion itself writes."""

SAME = (
    "activations applications callbacks constraints datasets initializers layers losses metrics "
    "models optimizers regularizers utils"
)
SECTIONS = {name: name for name in SAME.split()} | {
    "engine": "layers",
    "initializations": "initializers",
    "objectives": "losses",
}
"""Part of the old Keras: part of Keras 3. Modules inside them are gone."""

MODULES = (
    "advanced_activations convolutional convolutional_recurrent core cudnn_recurrent "
    "embeddings generic_utils legacy local merge noise normalization np_utils pooling "
    "recurrent topology training wrappers data_utils layer_utils vis_utils visualize_util "
    "io_utils experimental"
)
NESTED = {"applications", "datasets", "optimizers"}  # whose modules are there still

RENAMED = {
    "layers.AtrousConvolution1D": "layers.Conv1D",
    "layers.AtrousConvolution2D": "layers.Conv2D",
    "layers.Convolution1D": "layers.Conv1D",
    "layers.Convolution2D": "layers.Conv2D",
    "layers.Convolution3D": "layers.Conv3D",
    "layers.CuDNNGRU": "layers.GRU",
    "layers.CuDNNLSTM": "layers.LSTM",
    "layers.Deconvolution2D": "layers.Conv2DTranspose",
    "layers.Input": "Input",
    "layers.Model": "Model",
    "layers.SeparableConvolution2D": "layers.SeparableConv2D",
    "models.Model": "Model",
    "models.Sequential": "Sequential",
    "constraints.maxnorm": "constraints.MaxNorm",
    "constraints.max_norm": "constraints.MaxNorm",
    "constraints.nonneg": "constraints.NonNeg",
    "constraints.non_neg": "constraints.NonNeg",
    "constraints.unitnorm": "constraints.UnitNorm",
    "constraints.unit_norm": "constraints.UnitNorm",
    "optimizers.adadelta": "optimizers.Adadelta",
    "optimizers.adagrad": "optimizers.Adagrad",
    "optimizers.adam": "optimizers.Adam",
    "optimizers.adamax": "optimizers.Adamax",
    "optimizers.nadam": "optimizers.Nadam",
    "optimizers.rmsprop": "optimizers.RMSprop",
    "optimizers.sgd": "optimizers.SGD",
    "regularizers.WeightRegularizer": "regularizers.L1L2",
    "regularizers.activity_l1": "regularizers.L1",
    "regularizers.activity_l2": "regularizers.L2",
    "regularizers.l1": "regularizers.L1",
    "regularizers.l1_l2": "regularizers.L1L2",
    "regularizers.l1l2": "regularizers.L1L2",
    "regularizers.l2": "regularizers.L2",
    "preprocessing.image.array_to_img": "utils.array_to_img",
    "preprocessing.image.img_to_array": "utils.img_to_array",
    "preprocessing.image.load_img": "utils.load_img",
    "preprocessing.sequence.pad_sequences": "utils.pad_sequences",
    "utils.Sequence": "utils.PyDataset",
}

OPS = (
    "abs all any argmax argmin binary_crossentropy cast categorical_crossentropy clip "
    "concatenate cos cumprod cumsum elu equal exp expand_dims greater greater_equal less "
    "less_equal log logical_and max maximum mean min minimum not_equal one_hot ones_like prod "
    "relu reshape round shape sigmoid sign sin softmax softplus "
    "sparse_categorical_crossentropy sqrt square squeeze stack std stop_gradient sum tanh "
    "tile transpose var zeros_like"
)
BACKEND = {name: f"ops.{name}" for name in OPS.split()} | {
    "clear_session": "utils.clear_session",
    "dot": "ops.matmul",
    "epsilon": "config.epsilon",
    "flatten": "ops.ravel",
    "floatx": "config.floatx",
    "image_data_format": "config.image_data_format",
    "l2_normalize": "ops.normalize",
    "permute_dimensions": "ops.transpose",
    "pow": "ops.power",
    "repeat_elements": "ops.repeat",
    "set_floatx": "config.set_floatx",
    "set_image_data_format": "config.set_image_data_format",
    "switch": "ops.where",
}
"""What was in `keras.backend`: where it is in Keras 3."""

GONE = {
    "preprocessing.image.ImageDataGenerator": "augment with layers at the start of the model "
    "(layers.RandomFlip, RandomRotation, RandomTranslation, RandomZoom), or give a "
    "keras.utils.PyDataset as the training part of Data",
    "preprocessing.text.Tokenizer": "use layers.TextVectorization, adapted(…, on=given.train)",
    "preprocessing.text.one_hot": "use layers.Hashing",
    "preprocessing.text.text_to_word_sequence": "use layers.TextVectorization",
    "wrappers.scikit_learn.KerasClassifier": "write the model in place; hpsearch searches it itself",
    "wrappers.scikit_learn.KerasRegressor": "write the model in place; hpsearch searches it itself",
    "layers.Highway": "write it as a layer of your own",
    "layers.LocallyConnected1D": "write it as a layer of your own, or use layers.Conv1D",
    "layers.LocallyConnected2D": "write it as a layer of your own, or use layers.Conv2D",
    "layers.MaxoutDense": "write it as a layer of your own",
    "layers.Merge": "use a functional model with layers.Concatenate, Add, Multiply …",
    "layers.SReLU": "write it as a layer of your own",
    "layers.ThresholdedReLU": "use layers.ReLU(threshold=…)",
    "models.Graph": "use a functional model",
    "utils.multi_gpu_model": "train on one device",
    "backend.function": "call the model itself",
    "backend.set_session": "it was TensorFlow 1: leave it out",
    "backend.tensorflow_backend.set_session": "it was TensorFlow 1: leave it out",
    "backend.get_session": "it was TensorFlow 1: leave it out",
}
"""What Keras 3 does not have any more, and what to do."""


@final
class Imports:
    """The imports of a file, at its head and inside functions alike."""

    def __init__(self, tree: ast.AST) -> None:
        self.bound: dict[str, str] = {}
        self.nodes: dict[str, ast.Import | ast.ImportFrom] = {}
        self.stars: list[str] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    self._bind(name, alias.name if alias.asname else name, node)
            elif isinstance(node, ast.ImportFrom):
                self._from(node)

    def _from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
            else:
                dot = "" if module.endswith(".") else "."
                self._bind(alias.asname or alias.name, f"{module}{dot}{alias.name}", node)

    def _bind(self, name: str, full: str, node: ast.Import | ast.ImportFrom) -> None:
        self.bound[name] = full
        self.nodes[name] = node

    def full(self, node: ast.AST) -> str | None:
        """The dotted name that a name or attribute stands for by the imports, None if for none."""
        chain = dotted(node)
        if chain is None:
            return None
        root, dot, rest = chain.partition(".")
        if root in self.bound:
            return self.bound[root] + dot + rest
        if not dot and root in STARRED:
            for module in self.stars:
                if modern(f"{module}.{root}") == f"keras.{STARRED[root]}":
                    return f"{module}.{root}"
        return None

    def keras(self, node: ast.AST) -> str | None:
        """The Keras 3 name without ``keras.`` (`layers.Dense`), None for what is not Keras's."""
        full = self.full(node)
        if full is None:
            return None
        today = modern(full)
        return today.removeprefix("keras.") if today.startswith("keras.") else None


LAYERS = (
    "Activation AveragePooling2D BatchNormalization Bidirectional Conv1D Conv2D Dense Dropout "
    "ELU Embedding Flatten GRU GaussianNoise GlobalAveragePooling2D GlobalMaxPooling1D LSTM "
    "Lambda LeakyReLU MaxPooling1D MaxPooling2D PReLU Permute RepeatVector Reshape SimpleRNN "
    "SpatialDropout1D TimeDistributed ZeroPadding2D"
)
STARRED = {name: f"layers.{name}" for name in LAYERS.split()} | {
    "Convolution1D": "layers.Conv1D",
    "Convolution2D": "layers.Conv2D",
    "Input": "Input",
    "Model": "Model",
    "Sequential": "Sequential",
    "Adadelta": "optimizers.Adadelta",
    "Adagrad": "optimizers.Adagrad",
    "Adam": "optimizers.Adam",
    "RMSprop": "optimizers.RMSprop",
    "SGD": "optimizers.SGD",
    "EarlyStopping": "callbacks.EarlyStopping",
    "ModelCheckpoint": "callbacks.ModelCheckpoint",
    "ReduceLROnPlateau": "callbacks.ReduceLROnPlateau",
}
"""What ``from … import *`` may have brought; other names are taken for the file's own."""


def free(wanted: str, taken: Container[str]) -> str:
    """The name, or with a number where it is taken: ``units_1``."""
    name, again = wanted, 0
    while name in taken:
        again += 1
        name = f"{wanted}_{again}"
    return name


def is_old(module: str) -> bool:
    """Whether a module is one of Keras, hyperas or hyperopt; ``keras_contrib`` is not."""
    return any(module == old or module.startswith(f"{old}.") for old in OLD)


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` for an attribute of an attribute of a name, None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def modern(full: str) -> str:
    """Today's name of what an old dotted name means; other libraries' names are left as they are."""
    for prefix in KERAS:
        if full == prefix or full.startswith(f"{prefix}."):
            full = "keras" + full.removeprefix(prefix)
    head, _, rest = full.partition(".")
    if head != "keras" or not rest:
        return full
    section, *parts = rest.split(".")
    if section == "backend":
        return f"keras.{BACKEND.get(parts[-1], rest) if parts else 'backend'}"
    if section not in SECTIONS:
        return f"keras.{RENAMED.get(rest, rest)}"
    section = SECTIONS[section]
    if section not in NESTED or (parts and parts[0] in ("legacy", "optimizers")):
        parts = [part for part in parts[:-1] if part not in MODULES.split()] + parts[-1:]
    if section == "applications" and len(parts) == 2 and parts[1][:1].isupper():
        parts = parts[1:]  # applications.vgg16.VGG16
    today = ".".join([section, *parts])
    return f"keras.{RENAMED.get(today, today)}"
