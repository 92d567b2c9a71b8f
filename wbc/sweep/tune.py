"""`tune`: learning rate and epochs of a study, chosen on held-out images of its source; no target is read."""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from wbc.arms import Arm
from wbc.config import PlanConfig, ReproduceConfig, RunConfig, TuneConfig, numbers
from wbc.data.hold_out import is_held_out
from wbc.errors import ConfigError, TrainingError
from wbc.outcome import Outcome
from wbc.studies import plan, study_name
from wbc.sweep.reproduce import run_plan
from wbc.sweep.runners.base import find_runner
from wbc.terminal import print_table

Choice = tuple[float, int]
"""A peak learning rate and a number of epochs."""


def tune_study(options: TuneConfig) -> None:
    """Trains the grid on what is not held out, prints each choice's score on what is, and the best of each arm.

    A score is the mean over seeds of the accuracy on the held-out images of all sources of an arm. Of equal ones the
    fewer epochs and then the lower rate are chosen.

    Raises:
        ConfigError: a rate, a number of epochs or a share that is not allowed.
        TrainingError: some runs failed.
    """
    if not 0 < options.validation <= 0.5:
        raise ConfigError(f"validation={options.validation}: must be above 0 and at most 0.5.")
    configs = grid(options)
    runner = find_runner("local")(ReproduceConfig(profile=options.profile, jobs=options.jobs))
    outcomes, _ = run_plan(configs, f"{study_name(options.profile)}-tune", runner)
    if len(outcomes) < len(configs):
        raise TrainingError(
            f"{len(configs) - len(outcomes)} of {len(configs)} runs failed: run the same command again."
        )
    scores = validation_scores(outcomes)
    _print(scores, options)
    for arm, by_choice in scores.items():
        lr, epochs = best(by_choice)
        print(f"{arm.full_name}: lr={lr:g} epochs={epochs}")


def grid(options: TuneConfig) -> list[RunConfig]:
    """Returns the runs: each arm of the study with each rate, each number of epochs and each seed, without targets."""
    arms = plan(
        PlanConfig(profile=options.profile, models=options.models, methods=options.methods, seeds=options.seeds)
    )
    rates = numbers("lrs", options.lrs, float)
    epochs = numbers("epochs", options.epochs) if options.epochs else [arms[0].epochs]
    return [
        replace(
            run,
            profile=f"{run.profile}-tune",
            targets=(),
            adapt=(),
            validation=options.validation,
            lr=lr,
            epochs=count,
            warmup_epochs=count // 10,
        )
        for run, lr, count in itertools.product(arms, rates, epochs)
    ]


def validation_scores(outcomes: Sequence[Outcome]) -> dict[Arm, dict[Choice, float]]:
    """Returns by arm and choice the mean accuracy on held-out images, over seeds and sources, in [0, 1]."""
    found: dict[Arm, dict[Choice, list[float]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        held = [accuracy for name, accuracy in outcome.accuracies.items() if is_held_out(name)]
        found[outcome.config.arm][outcome.config.lr, outcome.config.epochs].append(statistics.mean(held))
    return {arm: {key: statistics.mean(each) for key, each in by.items()} for arm, by in found.items()}


def best(scores: dict[Choice, float]) -> Choice:
    """Returns the choice with the highest score; of equal ones the fewest epochs, then the lowest rate."""
    return min(scores, key=lambda choice: (-round(scores[choice], 9), choice[1], choice[0]))


def _print(scores: dict[Arm, dict[Choice, float]], options: TuneConfig) -> None:
    choices = list(next(iter(scores.values())))
    rows = [[arm.full_name, *(f"{100 * by[choice]:.2f}" for choice in choices)] for arm, by in scores.items()]
    print(f"Accuracy in % on held-out source images (share {options.validation:g}); mean over seeds {options.seeds}")
    print_table(["model", *(f"lr {lr:g}, {epochs} epochs" for lr, epochs in choices)], rows)
