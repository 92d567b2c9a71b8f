"""The released code's path, as the baseline: each epoch decodes each JPEG anew, and all arithmetic is fp32.

Written after the paper's public code: torchvision's ImageFolder and PIL transforms, a DataLoader, contiguous tensors,
PyTorch's default AdamW. Frozen layers are computed like the others. Loss and hits leave the device at each step.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from wbc.config import RunConfig
from wbc.models.build import build_model
from wbc.models.weights import IMAGENET_MEAN, IMAGENET_STD


class Released:
    """One run as the released code does it, at the geometry of `recipe=paper`: squashed to the size, then flips."""

    def __init__(self, config: RunConfig, folder: Path, workers: int) -> None:
        """Takes a folder of class folders; `workers` processes load images, or none but this one."""
        self._config = config
        self._data = {
            train: DataLoader(
                ImageFolder(str(folder), self._transform(train)),
                batch_size=config.batch_size,
                shuffle=train,
                num_workers=workers,
                pin_memory=config.device == "cuda",
                persistent_workers=workers > 0,
            )
            for train in (True, False)
        }
        built = build_model(
            config.model, scale=config.scale, image_size=config.image_size, pretrained="none", seed=config.seed
        )
        # Images come normalised from the loader, as in the released code.
        self.model = nn.Sequential(built.backbone, built.head).to(config.device)
        self._classifier = built
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.AdamW(trainable, lr=config.lr, weight_decay=config.weight_decay)

    def _transform(self, train: bool) -> transforms.Compose:
        flips = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()] if train else []
        size = (self._config.image_size, self._config.image_size)
        normalise = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        return transforms.Compose([transforms.Resize(size), *flips, *normalise])

    def load(self) -> int:
        """Loads the training images once, augmented; returns how many."""
        return sum(len(labels) for _, labels in self._data[True])

    def train(self) -> int:
        """Trains an epoch; returns the number of images."""
        self.model.train()
        self._classifier.train()  # which keeps frozen batch norms frozen
        seen, loss_sum, correct = 0, 0.0, 0
        for images, labels in self._data[True]:
            images, labels = images.to(self._config.device), labels.to(self._config.device)
            scores = self.model(images)
            loss = cross_entropy(scores, labels)
            self._update(loss)
            loss_sum += loss.item() * len(labels)
            correct += int((scores.argmax(1) == labels).sum())
            seen += len(labels)
        return seen

    def update_first(self) -> int:
        """Makes the first update; returns the number of its images."""
        images, labels = next(iter(self._data[True]))
        scores = self.model(images.to(self._config.device))
        self._update(cross_entropy(scores, labels.to(self._config.device)))
        if self._config.device == "cuda":
            torch.cuda.synchronize()
        return len(labels)

    def _update(self, loss: Tensor) -> None:
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def evaluate(self) -> int:
        """Scores the images; returns how many."""
        self.model.eval()
        seen, correct = 0, 0
        with torch.no_grad():
            for images, labels in self._data[False]:
                scores = self.model(images.to(self._config.device)).softmax(1).cpu()
                correct += int((scores.argmax(1) == labels).sum())
                seen += len(labels)
        return seen
