"""Runs all models and seeds of a profile that are not done yet: `python -m entrypoints.reproduce --profile demo`."""

from entrypoints.command import main
from wbc.config import ReproduceConfig


def reproduce(options: ReproduceConfig) -> None:
    """Runs the plan with progress on stderr, then prints a table of the models' accuracies."""
    from wbc.sweep.reproduce import reproduce_profile

    reproduce_profile(options)


if __name__ == "__main__":
    main(ReproduceConfig, reproduce)
