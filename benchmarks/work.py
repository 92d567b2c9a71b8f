"""What is measured: this project's side of each case, and the images that both sides take."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.baseline import Released
from benchmarks.measure import Rates, Side, interleave
from wbc.cells import CLASSES
from wbc.compute import autocast, computes_in_bf16, keep_memory, place
from wbc.config import RunConfig, TrainConfig
from wbc.data.batches import draw_augmentation
from wbc.data.drawn.smears import STAININGS, draw_cell
from wbc.data.images import Images, load_images
from wbc.data.splits import parse_source
from wbc.evaluation.predict import predict_pixels
from wbc.methods.average import WeightAverage
from wbc.models.build import build_model
from wbc.processes import cores
from wbc.recipes import RECIPES
from wbc.studies import resolve
from wbc.surroundings import data_dir
from wbc.training.features import FLIPS
from wbc.training.feed import Feed
from wbc.training.loop import batches, build_optimiser, train_epoch
from wbc.training.pretrain import starting_weights

SOURCE_PX: Final = 575
"""Side of the JPEGs, which is that of Raabin's."""
DISTINCT: Final = 100
EPOCHS: Final = 100
"""Over which the cost of what is done once is spread: the paper's."""


GPU_IMAGES: Final = 80 * 128
"""Of an epoch on a GPU: as many as Raabin has, in whole batches."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how much is measured."""

    device: str
    rounds: int
    folder: Path
    """JPEGs in folders of the five classes, in a folder of their own for each number of images."""
    limits: Mapping[str, float]

    @property
    def unit(self) -> str:
        """Images per second: of processor time at one thread on a CPU, of wall time on a GPU."""
        return "images/s" if self.device == "cuda" else "images/CPU-s"

    def jpegs(self, count: int) -> Path:
        """Returns the folder with so many images; on a GPU with as many as Raabin has, in whole batches."""
        return self.exactly(GPU_IMAGES if self.device == "cuda" else count)

    def exactly(self, count: int) -> Path:
        """Returns the folder with so many images."""
        folder = self.folder / str(count)
        return folder if folder.exists() else write_jpegs(folder, count)

    def loaders(self) -> int:
        """Returns how many processes load the baseline's images: none beside a CPU, which is busy anyway."""
        return min(8, cores()) if self.device == "cuda" else 0

    def walls(self, sides: Mapping[str, Side]) -> Rates | None:
        """Returns the rates on a CPU at all of its threads, on the wall; a GPU's are that already."""
        return interleave(sides, 3, device="cpu", threads=cores(), wall=True) if self.device == "cpu" else None


Case = Callable[[Bench], Iterator[dict[str, Any]]]


def write_jpegs(folder: Path, count: int, side_px: int = SOURCE_PX) -> Path:
    """Writes `count` drawn cells as square JPEGs in folders of the five classes, a hundred distinct."""
    rng = np.random.default_rng(0)
    staining = next(iter(STAININGS.values()))
    drawn = []
    for number in range(min(count, DISTINCT)):
        cell = Image.fromarray(draw_cell(number % len(CLASSES), staining, size_px=96, rng=rng))
        encoded = BytesIO()
        cell.resize((side_px, side_px), Image.Resampling.BICUBIC).save(encoded, "JPEG", quality=92)
        drawn.append(encoded.getvalue())
    for number in range(count):
        path = folder / CLASSES[number % len(CLASSES)] / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn[number % len(drawn)])
    return folder


def full_run(folder: Path, model: str, device: str, **settings: Any) -> RunConfig:
    """Returns a run of a full model at the paper's settings on a folder of images; it never saves a checkpoint.

    It is in bf16 where the device computes in it, unless told otherwise.
    """
    defaults = {"profile": "paper", "source": f"folder:{folder}", "targets": f"folder:{folder}", "pretrained": "none"}
    batch = {"batch_size": 128 if device == "cuda" else 32, "epochs": EPOCHS, "checkpoint_every": EPOCHS + 1}
    defaults["precision"] = "bf16" if computes_in_bf16(device) else "fp32"
    return resolve(TrainConfig(model=model, device=device, **(defaults | batch | settings)))


def folder_of(config: RunConfig) -> Path:
    """Returns the folder that a full run trains on."""
    return Path(config.source.removeprefix("folder:"))


def demo_run(seed: int, device: str, **settings: Any) -> RunConfig:
    """Returns a run of the demo."""
    return resolve(TrainConfig(model="resnet50", seed=seed, device=device, **settings))


def load(config: RunConfig) -> Images:
    """Returns the run's training images, from the pixel cache."""
    return load_images(
        parse_source(config.source), RECIPES[config.recipe].geometry(config.image_size), data_dir=data_dir()
    )


class Ours:
    """A run of this project without tracking."""

    def __init__(self, config: RunConfig, *, fused: bool = True) -> None:
        """Loads the training images; without `fused`, AdamW's kernel is not, whatever else is fast."""
        self.config, self.images = config, load(config)
        weights = starting_weights(config)
        self.model = build_model(
            config.model,
            scale=config.scale,
            image_size=config.image_size,
            pretrained=str(weights or "none"),
            seed=config.seed,
        )
        place(self.model, config)
        self._optimiser = build_optimiser(self.model, config if fused else dataclasses.replace(config, fast=False))
        self._feed: Feed | None = None
        self._average: WeightAverage | None = None
        self._epoch = 0
        self.loss = math.nan
        """Of the last epoch."""

    @property
    def feed(self) -> Feed:
        """The training set, made ready when it is first asked for."""
        if self._feed is None:
            self._feed = Feed(self.model, self.images, self.config)
        return self._feed

    def make_ready(self) -> int:
        """Does anew what is done once per run: features of frozen layers."""
        self._feed = None
        return self.feed.images

    def load(self, *, normalise: bool = False) -> int:
        """Loads the training images once, augmented, as bytes or normalised."""
        drawn = draw_augmentation(0, self._epoch, self.feed.images)
        self._epoch += 1
        for pixels, _ in self.feed.load(batches(drawn.order, self.config.batch_size), drawn):
            if normalise:
                self.model.normalise(pixels)
        return self.feed.images

    def train(self, epoch: int | None = None) -> int:
        """Trains an epoch, the next one unless it is said which; returns the number of images."""
        if epoch is None:
            epoch, self._epoch = self._epoch % (self.config.epochs - 1), self._epoch + 1
        if self._average is None and self.feed.parts.average:
            self._average = WeightAverage(self.model, self.feed.parts.average)
        self.loss = train_epoch(self.model, self._optimiser, self.feed, epoch, self.config, self._average).loss
        return self.feed.images

    def repeat_step(self) -> int:
        """Trains as many steps as an epoch has, all on one batch that is in place: what data leaves possible."""
        inputs, labels = self._first_batch()
        steps = math.ceil(self.feed.images / self.config.batch_size)
        self.model.train()
        for _ in range(steps):
            self._update(inputs, labels)
        return steps * len(labels)

    def update_first(self) -> int:
        """Makes the first update; returns the number of its images."""
        inputs, labels = self._first_batch()
        self._update(inputs, labels)
        if self.config.device == "cuda":
            torch.cuda.synchronize()
        return len(labels)

    def features_gb(self) -> float:
        """Returns the size of what the frozen layers give for all images in all flips."""
        inputs, _ = self._first_batch()
        return inputs[0].nbytes * len(FLIPS) * self.feed.images / 1e9

    def _first_batch(self) -> tuple[Tensor, Tensor]:
        drawn = draw_augmentation(self.config.seed, 0, self.feed.images)
        return next(self.feed.load(batches(drawn.order, self.config.batch_size)[:1], drawn))

    def _update(self, inputs: Tensor, labels: Tensor) -> None:
        with autocast(self.config):
            loss = cross_entropy(self.feed.forward(inputs), labels)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def evaluate(self) -> int:
        """Scores the training images; returns how many."""
        predict_pixels(self.model, self.images.pixels, self.config, device=self.config.device)
        return len(self.images.labels)


def by_ours(action: Callable[[Ours], int], config: RunConfig) -> None:
    """Does a run's work once, in a process of its own: for its peak of memory."""
    if config.fast and config.device == "cpu" and config.scale == "full":
        keep_memory()
    action(Ours(config))


def by_released(action: Callable[[Released], int], config: RunConfig, folder: Path) -> None:
    """The same as the released code does it."""
    action(Released(config, folder, workers=0))


def run_thin(config: RunConfig) -> None:
    """One run of the grid without its tracking: trained and scored."""
    torch.set_num_threads(1)
    run = Ours(config)
    for epoch in range(config.epochs):
        run.train(epoch)
    run.evaluate()


def train_tracked(config: RunConfig, store: str) -> float:
    """Trains, scores and logs a run as a sweep's worker does; returns the seconds of its training alone."""
    import mlflow

    from wbc.run import train_and_score

    mlflow.set_tracking_uri(store)
    run_id = train_and_score(config).run_id
    rates = mlflow.MlflowClient().get_metric_history(run_id, "train/images_per_s")
    return sum(len(load(config).labels) / point.value for point in rates)


def first_update(config: RunConfig) -> None:
    """From nothing but what a worker has imported to the first update of a run."""
    Ours(config).update_first()


def first_update_released(config: RunConfig, folder: Path) -> None:
    """The same as the released code does it, which starts a process for each run."""
    Released(config, folder, workers=0).update_first()


@contextmanager
def warm_workers(count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Yields worker processes that have PyTorch and this package imported."""
    pools = [ProcessPoolExecutor(1, mp_context=get_context("spawn")) for _ in range(count)]
    try:
        for imported in [pool.submit(torch.set_num_threads, 1) for pool in pools]:
            imported.result()
        yield pools
    finally:
        for pool in pools:
            pool.shutdown()
