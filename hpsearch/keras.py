"""The Keras names, with every call recorded instead of made.

`from hpsearch.keras import layers, optimizers, Sequential` gives what Keras gives, and
`layers.Dense(choice([32, 64]))` is a recorded call that becomes a layer in each trial. Mirrored is
every public name that makes part of a model or its training; the rest is refused with a word on
where it belongs. Keras itself is imported when the first name is asked for.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any, final

from .declare import Recorder
from .errors import SpaceError, nearest

if TYPE_CHECKING:
    from keras import (
        DTypePolicy as DTypePolicy,
    )
    from keras import (
        Input as Input,
    )
    from keras import (
        Model as Model,
    )
    from keras import (
        Sequential as Sequential,
    )
    from keras import (
        activations as activations,
    )
    from keras import (
        applications as applications,
    )
    from keras import (
        callbacks as callbacks,
    )
    from keras import (
        constraints as constraints,
    )
    from keras import (
        dtype_policies as dtype_policies,
    )
    from keras import (
        initializers as initializers,
    )
    from keras import (
        layers as layers,
    )
    from keras import (
        losses as losses,
    )
    from keras import (
        metrics as metrics,
    )
    from keras import (
        mixed_precision as mixed_precision,
    )
    from keras import (
        models as models,
    )
    from keras import (
        optimizers as optimizers,
    )
    from keras import (
        quantizers as quantizers,
    )
    from keras import (
        regularizers as regularizers,
    )

__all__ = ["MODULES", "NAMES", "NESTED", "REFUSED", "REFUSED_INSIDE"]

MODULES = (
    "activations",
    "applications",
    "callbacks",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "optimizers",
    "quantizers",
    "regularizers",
)
APPLICATIONS = (
    "convnext",
    "densenet",
    "efficientnet",
    "efficientnet_v2",
    "imagenet_utils",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "nasnet",
    "resnet",
    "resnet50",
    "resnet_v2",
    "vgg16",
    "vgg19",
    "xception",
)
NESTED = ("optimizers.schedules", *(f"applications.{name}" for name in APPLICATIONS))
NAMES = ("DTypePolicy", "FloatDTypePolicy", "Input", "Model", "Sequential")
REFUSED = {
    "Function": "it computes with live tensors",
    "Initializer": "it is a base class",
    "InputSpec": "it belongs to a layer of your own",
    "KerasTensor": "it is a live tensor",
    "Layer": "it is a base class",
    "Loss": "it is a base class",
    "Metric": "it is a base class",
    "Operation": "it is a base class",
    "Optimizer": "it is a base class",
    "Quantizer": "it is a base class",
    "Regularizer": "it is a base class",
    "RematScope": "it is a context for live code",
    "StatelessScope": "it is a context for live code",
    "SymbolicScope": "it is a context for live code",
    "Variable": "it is live state",
    "backend": "it is a setting of the process",
    "config": "it is a setting of the process",
    "datasets": "data is loaded when it is needed",
    "device": "it is a context for live code",
    "distillation": "it trains with a loop of its own",
    "distribution": "it is a setting of the process",
    "dtensor": "it is a setting of the process",
    "export": "it writes files",
    "legacy": "it is Keras 2",
    "name_scope": "it is a context for live code",
    "ops": "it computes with live tensors",
    "preprocessing": "it works on live data",
    "random": "it draws at once",
    "remat": "it computes with live tensors",
    "saving": "it reads and writes files",
    "src": "it is private to Keras",
    "tree": "it works on live structures",
    "utils": "it works on live objects",
    "version": "it is about the installation",
    "visualization": "it draws live objects",
    "wrappers": "it makes scikit-learn estimators, which search by themselves",
}
REFUSED_INSIDE = {
    "get": "it turns a name into a live object; write the name itself",
    "serialize": "it works on live objects",
    "deserialize": "it makes live objects",
    "clone_model": "it works on live objects",
    "load_model": "it reads files",
    "save_model": "it writes files",
    "model_from_json": "it makes live objects",
    "abs_max_quantize": "it computes with live tensors",
    "abs_max_quantize_grouped_with_zero_point": "it computes with live tensors",
    "compute_float8_amax_history": "it computes with live tensors",
    "compute_float8_scale": "it computes with live tensors",
    "fake_quant_with_min_max_vars": "it computes with live tensors",
    "pack_int4": "it computes with live tensors",
    "quantize_and_dequantize": "it computes with live tensors",
    "unpack_int4": "it computes with live tensors",
    "dtype_policy": "it is a setting of the process",
    "global_policy": "it is a setting of the process",
    "set_dtype_policy": "it is a setting of the process",
    "set_global_policy": "it is a setting of the process",
    "decode_predictions": "it works on live arrays",
    "legacy": "it is Keras 2",
}
EXTRA = {  # what `__init__` takes under `**kwargs` before it refuses the rest
    "Model": ("inputs", "outputs"),
    "Layer": ("input_shape", "input_dim"),
    "BaseOptimizer": (),
}


@final
class _Mirror(types.ModuleType):
    """One Keras module with its classes and functions as recorders."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _recorded(self.__name__.removeprefix("hpsearch."), name)

    def __dir__(self) -> list[str]:
        return _public(self.__name__.removeprefix("hpsearch."))


def _module(path: str) -> _Mirror:
    """The mirror of a Keras module, importable as ``hpsearch.<path>``."""
    name = f"hpsearch.{path}"
    if name not in sys.modules:
        mirror = _Mirror(name, f"{path}, with every call recorded.")
        mirror.__package__ = __name__
        mirror.__path__ = []  # it holds modules of its own, which are here already
        sys.modules[name] = mirror
    mirrored = sys.modules[name]
    assert isinstance(mirrored, _Mirror)
    return mirrored


def _public(path: str) -> list[str]:
    module = importlib.import_module(path)
    return sorted(name for name in vars(module) if not name.startswith("_"))


def _recorded(path: str, name: str) -> Any:
    module = importlib.import_module(path)
    if name in REFUSED_INSIDE and hasattr(module, name):
        raise _refusal(f"{path}.{name}", REFUSED_INSIDE[name])
    found = getattr(module, name, None)
    if found is None:
        raise SpaceError(f"{path} has no {name!r}. {nearest(name, _public(path))}")
    if isinstance(found, types.ModuleType):
        return _module(f"{path}.{name}")
    if not callable(found):
        return found
    kinds = [kind.__name__ for kind in getattr(found, "__mro__", ())]
    extra = next((extra for kind, extra in EXTRA.items() if kind in kinds), None)
    return Recorder(f"{path}.{name}", extra)


def _refusal(name: str, reason: str) -> SpaceError:
    return SpaceError(
        f"{name} cannot be recorded: {reason}. "
        "Use `import keras` inside a function made with `delayed`."
    )


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in MODULES:
        return _module(f"keras.{name}")
    if name in NAMES:
        return _recorded("keras", name)
    if name in REFUSED:
        raise _refusal(f"keras.{name}", REFUSED[name])
    raise SpaceError(f"keras has no {name!r} to record. {nearest(name, (*MODULES, *NAMES))}")


def __dir__() -> list[str]:
    return sorted((*MODULES, *NAMES))


for _name in (*MODULES, *NESTED):  # so that `from hpsearch.keras.layers import Dense` works
    _module(f"keras.{_name}")
