"""Scores an earlier run on further domains: `python -m entrypoints.evaluate --run RUN_ID --targets folder:slides`."""

from entrypoints.command import main
from wbc.config import EvaluateConfig


def evaluate(options: EvaluateConfig) -> None:
    """Scores and prints the run's id and its accuracy on each domain, then what each accuracy rests on."""
    from wbc.scoring import score_run

    outcome = score_run(options)
    print(*outcome.lines(), sep="\n")


if __name__ == "__main__":
    main(EvaluateConfig, evaluate)
