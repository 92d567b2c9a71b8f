"""Learning a thin backbone on drawn patterns (`wbc.data.drawn.patterns`)."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from wbc.data.drawn.patterns import PATTERN_CLASSES, draw_patterns
from wbc.models.build import Classifier, build_model
from wbc.seeding import derive_seed, generator
from wbc.training.loop import batches, seeded
from wbc.training.pretrain import BATCH_SIZE, LR
from wbc.training.schedule import learning_rates


def learn_patterns(
    backbone: str,
    image_size: int,
    *,
    seed: int,
    images: int,
    epochs: int,
    advance: Callable[[float], None] = lambda _: None,
) -> tuple[Classifier, list[float]]:
    """Trains a thin backbone to tell drawn patterns apart, on one thread; returns it and each epoch's mean loss.

    Weights, order and patterns are the seed's, so that a spread over seeds holds what they do. `advance` is called with
    the share of an epoch that a step has done.
    """
    torch.set_num_threads(1)
    model = build_model(backbone, scale="tiny", image_size=image_size, pretrained="none", seed=seed)
    drawn, labels = draw_patterns(images, image_size, derive_seed(seed, "patterns"))
    pixels, truth = torch.from_numpy(drawn).permute(0, 3, 1, 2), torch.from_numpy(labels)
    found = []
    with seeded(torch.device("cpu"), seed, "patterns"):
        head = nn.Linear(model.embed(pixels[:2]).shape[1], len(PATTERN_CLASSES))
        optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=LR)
        model.train()
        for epoch, lr in enumerate(learning_rates(epochs=epochs, warmup_epochs=1, peak=LR, rotated=False)):
            for group in optimiser.param_groups:
                group["lr"] = lr
            losses = []
            for rows in batches(generator(seed, "patterns", epoch).permutation(images), BATCH_SIZE):
                loss = cross_entropy(head(model.embed(pixels[rows])), truth[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
                advance(len(rows) / images)
            found.append(sum(losses) / len(losses))
    return model, found
