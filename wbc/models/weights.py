"""Pretrained weights: where they are, what they declare, and loading them into a backbone with nothing left over.

A file holds a state dictionary in timm's names (torchvision's for ViT) or, where timm can translate them, in those of
the network's authors. The ImageNet classifier in it is ignored; any other difference stops the run.
"""

import inspect
import pickle
import re
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import huggingface_hub
import requests
import safetensors
import safetensors.torch
import timm
import torch
import torchvision
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from wbc.errors import WeightsError, first_line
from wbc.models.catalog import Backbone
from wbc.models.packages import find_package_file, read_squeezenet, rename_lite
from wbc.surroundings import expanded, hub_is_offline

EXTENSIONS: Final = (".safetensors", ".pth", ".pt", ".bin")
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

_TIMEOUT_S: Final = 10


def declared_normalisation(backbone: Backbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation of red, green and blue, in [0, 1], that the weights were trained with."""
    package = backbone.package
    if package and package.mean and package.std:
        return package.mean, package.std
    if backbone.library == "torchvision":
        preset = torchvision.models.get_weight(backbone.weights).transforms()
        return tuple(preset.mean), tuple(preset.std)
    declared = timm.get_pretrained_cfg(backbone.weights or backbone.name)
    return (tuple(declared.mean), tuple(declared.std)) if declared else (IMAGENET_MEAN, IMAGENET_STD)


def find_weights(pretrained: str, key: str, backbone: Backbone, *, download: bool = True) -> Path:
    """Returns the file that `pretrained` stands for, downloading it if need be and allowed.

    That is "imagenet", a file, or a folder with a file named after the weights or after `key`, the backbone's.

    Raises:
        WeightsError: there is no such file, or there are several, or the download fails.
    """
    if pretrained == "imagenet":
        return _imagenet_file(backbone, download)
    path = expanded(pretrained)
    if path.is_file():
        return path
    names = [stem + extension for stem in (backbone.weights, key) if stem for extension in EXTENSIONS]
    found = [path / name for name in dict.fromkeys(names) if (path / name).is_file()]
    if len(found) > 1:
        listed = " and ".join(each.name for each in found)
        raise WeightsError(f"folder pretrained={pretrained} holds {listed} for '{key}': give the file that you mean.")
    if found:
        return found[0]
    if path.is_dir():
        raise WeightsError(
            f"no weights of '{key}' in folder pretrained={pretrained}: expected {names[0]} or {key}.pth."
        )
    raise WeightsError(f"pretrained={pretrained} is not there: give a file, a folder, 'imagenet' or 'none'.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns the tensors in a .safetensors or PyTorch file; nothing in the file is executed.

    Raises:
        WeightsError: the file cannot be read or is not a state dictionary.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if path.suffix == ".pkl":
            return read_squeezenet(path)
        refuse_packed(path)
        with warnings.catch_warnings(action="ignore"):  # of what is refused here
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        *(OSError, RuntimeError, EOFError, KeyError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError),
        safetensors.SafetensorError,
    ) as error:
        code = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if code:
            raise WeightsError(
                f"weights '{path}' hold {code[1]} beside the tensors, which is code and is never run. Use a file of "
                "tensors only (.safetensors); if you trust this file, save its state dictionary as one."
            ) from error
        foreign = isinstance(error, pickle.UnpicklingError) and path.suffix != ".pkl"
        if foreign or "weights_only" in str(error):  # whose advice is to run it
            raise WeightsError(
                f"weights '{path}' are no state dictionary that PyTorch has saved, such as a page in place of the "
                "file, a pickle or a TorchScript model: fetch the file again, or save its state dictionary as one."
            ) from error
        raise WeightsError(f"weights '{path}' cannot be read: {first_line(error)}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            names = _tensors(state[wrapper])
            beside = [name for name, value in state.items() if name != wrapper and names & _tensors(value)]
            if beside:
                raise WeightsError(
                    f"weights '{path}' hold both '{wrapper}' and '{beside[0]}', such as trained and averaged weights: "
                    "save the one that you mean as a file and give that."
                )
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"weights '{path}' are not a state dictionary of tensors.")
    return state


def refuse_packed(path: Path) -> None:
    """Raises a ValueError if a zip of PyTorch's, which packs nothing, would unpack to more than it is."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
                raise ValueError("it unpacks to more than it is, and PyTorch packs nothing.")


def _tensors(value: object) -> set[str]:
    """Returns the names of the tensors in a dictionary, and in dictionaries that it holds, as of a bare network."""
    items = value.items() if isinstance(value, dict) else ()
    own = {str(name).removeprefix("module.") for name, each in items if isinstance(each, Tensor)}
    return own.union(*(_tensors(each) for _, each in items if isinstance(each, dict)))


def load_weights(network: nn.Module, path: Path, key: str, backbone: Backbone) -> None:
    """Fills the network with the file's tensors, each of them and nothing else; ViT's positions are interpolated.

    Raises:
        WeightsError: tensors other than the ImageNet classifier's are missing, left over, or of another shape or type.
            A value is not finite, a variance is below 0, or all weights are 0.
    """
    expected = network.state_dict()
    try:
        given = _translate(read_weights(path), network)
    except (RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(f"weights '{path}' do not fit backbone '{key}': {first_line(error)}") from error
    classifier = _classifier_names(backbone)
    given = {name: value for name, value in given.items() if not name.startswith(classifier) or name in expected}
    # Files older than PyTorch 0.4.1 lack this counter, which only momentum=None reads.
    missing = [name for name in expected if name not in given and not name.endswith("num_batches_tracked")]
    surplus = [name for name in given if name not in expected]
    reshaped = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    odd = [name for name in expected if name in given and not _is_of_kind(given[name], expected[name])]
    faults = {"missing": missing, "not in the network": surplus, "of another shape": reshaped, "of another type": odd}
    if any(faults.values()):
        listed = "; ".join(f"{what}: {_first_few(names)}" for what, names in faults.items() if names)
        raise WeightsError(f"weights '{path}' do not fit backbone '{key}' ({listed}).")
    values = {name: given[name].to(expected[name].dtype) for name in expected if name in given}
    spoilt = [name for name, value in values.items() if not _is_sound(name, value)]
    if not any(bool(value.any()) for value in values.values() if value.dim() > 1):
        raise WeightsError(f"weights '{path}' are all 0: get the file again, or choose other weights.")
    if spoilt:
        raise WeightsError(
            f"weights '{path}' hold values that are not finite, or variances below 0, in {_first_few(spoilt)}: "
            "get the file again, or choose other weights."
        )
    network.load_state_dict(given, strict=False)


def _imagenet_file(backbone: Backbone, download: bool) -> Path:
    if backbone.package:
        return find_package_file(backbone.package)
    if not backbone.weights:
        raise WeightsError(f"timm has no weights for '{backbone.name}': give pretrained=PATH or pretrained=none.")
    try:
        if backbone.library == "torchvision":
            return _torch_hub_file(torchvision.models.get_weight(backbone.weights).url, download)
        declared = timm.get_pretrained_cfg(backbone.weights)
        if declared and declared.hf_hub_id:
            return _hugging_face_file(declared.hf_hub_id, download)
        return _torch_hub_file(str(declared and declared.url), download)
    # Hugging Face's client raises errors of httpx, of its own and of the standard library.
    except Exception as error:
        raise WeightsError(
            f"ImageNet weights '{backbone.weights}' cannot be reached ({first_line(error)}): fetch them where there "
            "is a network (make data PROFILE=...), or set pretrained=PATH (train, or a study's file), a file or folder "
            f"that holds {backbone.weights}.safetensors or .pth, or pretrained=none."
        ) from error


def _hugging_face_file(repository: str, download: bool) -> Path:
    name = "model.safetensors"
    cached = huggingface_hub.try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return Path(cached)
    _check_reachable(huggingface_hub.hf_hub_url(repository, name), download)
    return Path(huggingface_hub.hf_hub_download(repository, name))


def _torch_hub_file(url: str, download: bool) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if not path.is_file():
        _check_reachable(url, download)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = torch.hub.HASH_REGEX.search(path.name)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest and digest.group(1), progress=False)
    return path


def _check_reachable(url: str, download: bool) -> None:
    """Fails within seconds where there is no network; the libraries' own downloads retry for a minute."""
    if not download:
        raise ConnectionError("not downloaded yet")
    if hub_is_offline():
        raise ConnectionError("HF_HUB_OFFLINE is set")
    try:
        requests.head(url, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise ConnectionError(f"no answer from {urlsplit(url).netloc}: {type(error).__name__}") from error


def _translate(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    if isinstance(network, torchvision.models.VisionTransformer):
        return dict(interpolate_embeddings(network.image_size, network.patch_size, state))
    if isinstance(network, EfficientNet) and "_conv_stem.weight" in state:
        return rename_lite(state, network)
    source = sys.modules[type(network).__module__]
    translate = getattr(source, "checkpoint_filter_fn", None) or getattr(source, "_filter_fn", None)
    if translate is None:
        return state
    takes_network = len(inspect.signature(translate).parameters) > 1
    translated: dict[str, Tensor] = translate(state, network) if takes_network else translate(state)
    return translated


def _classifier_names(backbone: Backbone) -> tuple[str, ...]:
    if backbone.library == "torchvision":
        return ("heads.", "classifier.")
    declared = timm.get_pretrained_cfg(backbone.weights or backbone.name)
    names = declared.classifier if declared and declared.classifier else ()
    # With its classifier timm also drops what only serves it: levit's "head.linear" takes "head.bn" along.
    return tuple(f"{name.split('.')[0]}." for name in ((names,) if isinstance(names, str) else names))


def _is_of_kind(given: Tensor, expected: Tensor) -> bool:
    """Returns whether values can be taken as they are: real and dense, and no numbers of a quantised network."""
    return given.layout == torch.strided and (given.is_floating_point() or not expected.is_floating_point())


def _is_sound(name: str, values: Tensor) -> bool:
    return bool(values.isfinite().all()) and not (name.endswith("running_var") and bool((values < 0).any()))


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
