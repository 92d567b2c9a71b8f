"""Runs all arms and seeds of a study that are not done yet: `python -m entrypoints.reproduce --profile demo`."""

from entrypoints.command import main
from wbc.config import ReproduceConfig


def reproduce(options: ReproduceConfig) -> None:
    """Runs the plan with progress on stderr, then prints a table of the models' accuracies."""
    from wbc.sweep.reproduce import reproduce_study

    reproduce_study(options)


if __name__ == "__main__":
    main(ReproduceConfig, reproduce)
