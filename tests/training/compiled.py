"""Prints how compiled code differs from plain code; a process of its own, since type checks of tests do not compile.

`python -m tests.training.compiled DEVICE BACKEND SCALE`: of two seeds, a step's loss and gradient, and frames compiled.
"""

import json
import sys

import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from wbc.compute import _Compiled
from wbc.models.build import build_model


def main(device: str, backend: str, scale: str) -> None:
    images = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8, device=device)
    labels = torch.arange(8, device=device) % 5
    frames = torch._dynamo.utils.counters["frames"]
    for seed in (0, 1):
        found = []
        for compiled in (True, False):
            model = build_model("resnet50_gn", scale=scale, image_size=64, pretrained="none", seed=seed).to(device)
            forward = _Compiled(model, backend=backend) if compiled else model
            loss = cross_entropy(forward(images), labels)
            loss.backward()
            found.append((loss.item(), torch.cat([each.grad.flatten() for each in model.parameters()])))
        (loss, gradient), (expected, expected_gradient) = found
        cosine = cosine_similarity(gradient, expected_gradient, dim=0).item()
        print(json.dumps({"loss": loss, "expected": expected, "cosine": cosine, "frames": frames["total"]}))
        frames.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
