"""The weights that a run starts from; thin models, of which no hub has any, learn features on drawn patterns.

The patterns (`wbc.data.patterns`) have nothing to do with cells. They stand in for ImageNet in the demo: frozen batch
norm is frozen at statistics from elsewhere.
"""

import hashlib
import logging
from pathlib import Path
from typing import Final

import torch
from filelock import FileLock
from torch import nn
from torch.nn.functional import cross_entropy

from wbc.config import RunConfig, data_dir
from wbc.data.patterns import PATTERN_CLASSES, draw_patterns
from wbc.environment import code_version
from wbc.errors import ConfigError
from wbc.models.build import build_model, write_backbone
from wbc.models.catalog import find_model
from wbc.seeding import derive_seed, generator
from wbc.training.loop import batches, seeded
from wbc.training.schedule import learning_rates

SEED: Final = 0
IMAGES: Final = 3000
EPOCHS: Final = 5
BATCH_SIZE: Final = 32
LR: Final = 1e-3

_log = logging.getLogger(__name__)


def find_weights(config: RunConfig) -> str:
    """Returns what `build_model` takes as `pretrained`: imagenet, none, or a path, to which `patterns` are learned.

    Raises:
        ConfigError: `patterns` for a full model, which has ImageNet's weights.
    """
    if config.pretrained != "patterns":
        return config.pretrained
    if config.scale != "tiny":
        raise ConfigError("pretrained=patterns is for scale=tiny; a full model starts from imagenet, none, or a path.")
    backbone = find_model(config.model).backbone
    settings = (code_version(), IMAGES, EPOCHS, BATCH_SIZE, LR, SEED, torch.__version__)
    version = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    path = data_dir() / "weights" / f"{backbone}-tiny{config.image_size}-{version}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            _pretrain(config, path)
    return str(path)


def _pretrain(config: RunConfig, path: Path) -> None:
    """Trains the thin backbone to tell drawn patterns apart, and writes its weights."""
    backbone = find_model(config.model).backbone
    model = build_model(backbone, scale="tiny", image_size=config.image_size, pretrained="none", seed=SEED)
    images, labels = draw_patterns(IMAGES, config.image_size, derive_seed(SEED, "patterns"))
    pixels, truth = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    with seeded(torch.device("cpu"), SEED, "patterns"):
        head = nn.Linear(model.embed(pixels[:2]).shape[1], len(PATTERN_CLASSES))
        optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=LR)
        model.train()
        for epoch, lr in enumerate(learning_rates(epochs=EPOCHS, warmup_epochs=1, peak=LR, rotated=False)):
            for group in optimiser.param_groups:
                group["lr"] = lr
            correct = 0
            for rows in batches(generator(SEED, "patterns", epoch).permutation(IMAGES), BATCH_SIZE):
                scores = head(model.embed(pixels[rows]))
                optimiser.zero_grad()
                cross_entropy(scores, truth[rows]).backward()
                optimiser.step()
                correct += int((scores.argmax(1) == truth[rows]).sum())
    _log.info("%s pretrained on %d drawn patterns: %.1f %% in the last epoch", backbone, IMAGES, 100 * correct / IMAGES)
    part = path.with_suffix(".part")
    write_backbone(model, part)
    part.replace(path)


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
