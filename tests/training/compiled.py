"""Prints how compiled code differs from plain code; a process of its own, since type checks of tests do not compile.

`python -m tests.training.compiled DEVICE BACKEND SCALE "MODEL PRECISION"...`: of two seeds, a step's loss, gradient and
moving averages of batch norm, and frames compiled. Convolutions are in whole fp32: TF32 would hide what differs.
"""

import json
import sys

import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from wbc.compute import _Compiled, autocast, layout, place
from wbc.config import TrainConfig
from wbc.models.build import build_model
from wbc.studies import resolve


def main(device: str, backend: str, scale: str, *cases: str) -> None:
    for case in cases:
        torch._dynamo.reset()
        print_steps(device, backend, scale, *case.split())


def print_steps(device: str, backend: str, scale: str, model: str, precision: str) -> None:
    settings = {"device": device, "scale": scale, "model": model, "precision": precision}
    config = resolve(TrainConfig(image_size=64, pretrained="none", **settings))  # type: ignore[arg-type]
    images = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8, device=device)
    labels = torch.arange(8, device=device) % 5
    torch.backends.cudnn.allow_tf32 = False
    frames = torch._dynamo.utils.counters["frames"]
    for seed in (0, 1):
        found = []
        for compiled in (True, False):
            network = build_model(model, scale=scale, image_size=64, pretrained="none", seed=seed)
            place(network, config)
            network.train()
            frozen, rest = network.split_frozen() or (None, network)
            with autocast(config):
                inputs = images.contiguous(memory_format=layout(network, config))
                if frozen:
                    with torch.no_grad():
                        inputs = frozen(inputs)
                loss = cross_entropy((_Compiled(rest, backend=backend) if compiled else rest)(inputs), labels)
            loss.backward()
            gradient = torch.cat([each.grad.flatten() for each in network.parameters() if each.requires_grad])
            averages = torch.cat([each.flatten().float() for each in network.buffers()])
            found.append((loss.item(), gradient, averages))
        (loss, gradient, averages), (expected, expected_gradient, expected_averages) = found
        step = {
            "loss": loss,
            "expected": expected,
            "cosine": cosine_similarity(gradient, expected_gradient, dim=0).item(),
            "averages": (averages - expected_averages).abs().max().item(),
            "frames": frames["total"],
        }
        print(json.dumps(step))
        frames.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
