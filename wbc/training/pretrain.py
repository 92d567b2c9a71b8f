"""The weights that a run starts from; thin models, of which no hub has any, learn features on drawn patterns.

The patterns (`wbc.data.drawn.patterns`) have nothing to do with cells. They stand in for ImageNet in the demo: frozen
batch norm is frozen at statistics from elsewhere. A plan asks only whether weights are here: PyTorch is imported where
they are made.
"""

import hashlib
import logging
from pathlib import Path
from typing import Final

from wbc.code import torch_build
from wbc.config import RunConfig
from wbc.data.disk import disk_errors, one_writer, whole_file
from wbc.data.fetch.checksums import file_sha256
from wbc.errors import ConfigError, WeightsError
from wbc.models.catalog import find_backbone, find_model
from wbc.surroundings import data_dir
from wbc.terminal import progress

PRETRAIN_VERSION: Final = 2
"""Part of the name of learned weights: raised by a change of the code that moves a loss, as the golden test finds."""
IMAGES: Final = 2000
EPOCHS: Final = 3
BATCH_SIZE: Final = 32
LR: Final = 2e-3

_log = logging.getLogger(__name__)


def starting_weights(config: RunConfig, *, make: bool = True) -> Path | None:
    """Returns the file of weights that a run starts from, None for `pretrained=none`.

    ImageNet's are downloaded, and patterns learned, if they are not there yet; or, without `make`, missed.

    Raises:
        ConfigError: `patterns` for a full model, or `imagenet` for a thin one.
        WeightsError: the weights cannot be reached, or there is no such file or folder.
    """
    thin = config.scale == "tiny"
    if config.pretrained == "none":
        return None
    if config.pretrained == "imagenet" and thin:
        raise ConfigError("pretrained=imagenet: a thin model (scale=tiny) starts from patterns, none, or a path.")
    if config.pretrained == "patterns" and not thin:
        raise ConfigError("pretrained=patterns is for scale=tiny; a full model starts from imagenet, none, or a path.")
    key = find_model(config.model).backbone
    if config.pretrained != "patterns":
        from wbc.models.weights import find_weights

        return find_weights(config.pretrained, key, find_backbone(key), download=make)
    settings = (PRETRAIN_VERSION, IMAGES, EPOCHS, BATCH_SIZE, LR, torch_build())
    version = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    path = data_dir() / "weights" / f"{key}-tiny{config.image_size}-seed{config.seed}-{version}.safetensors"
    if _is_whole(path):  # also where the data folder can only be read
        return path
    if not make:
        raise WeightsError(f"the weights '{path}' are not learned yet: a run that starts from them does that first.")
    from wbc.models.build import write_backbone
    from wbc.training.patterns import learn_patterns

    with disk_errors(data_dir()), one_writer(path.parent / path.stem):
        if not _is_whole(path):
            with progress(f"{key} learns drawn patterns", EPOCHS, "epochs") as advance:
                of = {"seed": config.seed, "images": IMAGES, "epochs": EPOCHS}
                model, losses = learn_patterns(key, config.image_size, **of, advance=advance)
            _log.info("%s learned %d drawn patterns: loss %.2f in the last epoch", key, IMAGES, losses[-1])
            _digest_file(path).unlink(missing_ok=True)  # of weights that were damaged
            write_backbone(model, path)
            with whole_file(_digest_file(path)) as file:
                file.write(file_sha256(path).encode())
    return path


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Returns whether learned weights are there, as they were written; those of before have no digest beside them."""
    if not path.exists():
        return False
    digest = _digest_file(path)
    whole = not digest.exists() or digest.read_bytes() == file_sha256(path).encode()
    if not whole:
        _log.warning("'%s' is not what was written there; it is learned again", path)
    return whole


def standing_weights(config: RunConfig) -> tuple[bool, Path | None]:
    """Returns whether the weights that a run starts from are here, and their file, if they are in one; makes none."""
    try:
        return True, starting_weights(config, make=False)
    except WeightsError:
        return False, None
