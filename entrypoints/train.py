"""Trains one model with one seed and scores it: `python -m entrypoints.train --model vgg16`."""

from entrypoints.command import main
from wbc.config import TrainConfig


def train(options: TrainConfig) -> None:
    """Trains and prints the run's id and its accuracy on each domain."""
    from wbc.run import train_and_score
    from wbc.studies import resolve

    print(*train_and_score(resolve(options)).lines(), sep="\n")


if __name__ == "__main__":
    main(TrainConfig, train)
