"""Chooses learning rate and epochs on the source alone: `python -m entrypoints.tune --profile demo`."""

from entrypoints.command import main
from wbc.config import TuneConfig


def tune(options: TuneConfig) -> None:
    """Trains a small grid and prints what each choice scores on held-out images, and the best."""
    from wbc.sweep.tune import tune_study

    tune_study(options)


if __name__ == "__main__":
    main(TuneConfig, tune)
