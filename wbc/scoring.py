"""Scores: a run's model on splits, logged with its predictions; also those of an earlier run or a checkpoint file."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from wbc.cells import CLASSES
from wbc.compute import choose_device, enough_memory, place
from wbc.config import EvaluateConfig, RunConfig, adaptation_names
from wbc.data.fetch.checksums import file_sha256
from wbc.data.images import Images, join
from wbc.errors import CheckpointError, ConfigError
from wbc.evaluation.metrics import LEAST_CLASSES, score
from wbc.identity import wanted_scores
from wbc.inputs import Inputs, load_targets, load_train
from wbc.methods.adapt import predict_adapted
from wbc.methods.adapt_norms import gather_statistics
from wbc.methods.catalog import PLAIN_SCORE, find_adaptation, unsuited
from wbc.models.build import Classifier
from wbc.models.catalog import find_model
from wbc.models.seen import marked
from wbc.models.surgery import live_batch_norms
from wbc.outcome import Outcome, seen
from wbc.tracking.read import read_run
from wbc.tracking.runs import fetch_checkpoint, open_scoring
from wbc.tracking.schema import score_name
from wbc.tracking.score_log import ScoreLog
from wbc.tracking.store import which_run
from wbc.training.checkpoint import read_checkpoint, restore_model
from wbc.training.soup import average_weights


def score_splits(
    model: Classifier,
    inputs: Inputs[Images],
    config: RunConfig,
    log: ScoreLog,
    scores: Mapping[str, str],
    adaptations: Sequence[str] = (),
) -> None:
    """Logs predictions and figures of merit on each split, plain and adapted, that the run does not hold yet.

    Args:
        model: stays as it is.
        inputs: the splits.
        config: the run's.
        log: where the scores go.
        scores: what each score should be, by its name.
        adaptations: rows of ADAPTATIONS, beside plain.
    """
    source = cache(lambda: join(inputs.train) if inputs.train else load_train(config))
    passed, seconds = 0, 0.0
    for images in inputs.tests:
        named = {each: _named(images, each) for each in (PLAIN_SCORE, *adaptations)}
        wanted = {each: scores[part.name] for each, part in named.items() if part.name in scores}
        left = [each for each, scored_as in wanted.items() if not log.has(named[each], scored_as)]
        began = time.perf_counter()
        for adaptation, predictions in predict_adapted(left, model, images, source, config):
            if adaptation == PLAIN_SCORE:  # it comes first
                passed, seconds = passed + len(images.labels), seconds + time.perf_counter() - began
            metrics = score(predictions.labels, predictions.scores)
            log.log(named[adaptation], inputs.role(images), wanted[adaptation], predictions, metrics)
    if passed:
        log.log_rate(passed / seconds)


def _named(images: Images, adaptation: str) -> Images:
    """Returns images under the name that their score has."""
    return dataclasses.replace(images, name=score_name(images.name, adaptation))


def score_run(options: EvaluateConfig) -> Outcome:
    """Scores the model of an earlier run on further splits, logged to it; that of a checkpoint file, to a new run.

    Of several runs it scores the average of their weights, logged to a new run. Batch norms that trained get their
    statistics anew from the training images.

    Raises:
        CheckpointError: the checkpoint is of another model than `options.model`.
        ConfigError: a target or adaptation is not known, or does not suit what was trained.
    """
    path, named = Path(options.run), re.findall(r"[^\s,]+", options.run) or [""]
    from_file = path.suffix == ".pt" or ((len(named) == 1 or "/" in options.run) and path.is_file())
    run_ids = [] if from_file else [which_run(each) for each in named]
    checkpoints = [read_checkpoint(path)] if from_file else [fetch_checkpoint(run_id) for run_id in run_ids]
    checkpoint = average_weights(checkpoints) if len(checkpoints) > 1 else checkpoints[0]
    if options.model not in (None, checkpoint.config.model):
        raise CheckpointError(f"{options.run} holds {checkpoint.config.model}, not {options.model}.")
    config = dataclasses.replace(checkpoint.config, device=choose_device(options.device))
    adapt = _chosen(options.adapt, config)
    inputs = load_targets(config, options.targets)
    identity = ",".join(read_run(each).trained_as or each for each in run_ids) or file_sha256(path)
    scores = wanted_scores(identity, inputs, dataclasses.replace(config, adapt=adapt))
    with open_scoring(config, run_ids) as log:
        with enough_memory(config):
            model = restore_model(checkpoint)
            place(model, config)
            if len(run_ids) > 1 and (norms := live_batch_norms(model)):
                gather_statistics(model, norms, load_train(config), config)
            score_splits(model, inputs, config, log, scores, adapt)
        found = outcome(log, config, inputs, done_already=False)
        recalls = log.recalls(found.accuracies)
        lines = [
            _in_full(each, found.accuracies[each.name], recalls[each.name], marked(each.name, seen(config)))
            + _collapse(each, each.name, log)
            for each in inputs.tests
        ]
        lines += [
            _adapted(each, adaptation, log, marked(each.name, seen(config)))
            for adaptation, each in product(adapt, inputs.tests)
        ]
        return dataclasses.replace(found, in_full=tuple(lines), averaged=len(checkpoints))


def _in_full(images: Images, accuracy: float, recalls: Mapping[str, float], named: str) -> str:
    """Returns the accuracy on a split with its interval (Wilson's, 95 %), and each class's recall with its images."""
    total = len(images.labels)
    low, high = binomtest(round(accuracy * total), total).proportion_ci(method="wilson")
    counts = np.bincount(images.labels, minlength=len(CLASSES))
    shown = ", ".join(
        f"{name} {100 * recalls[name]:.1f} % of {count}" if name in recalls else f"{name} has no image"
        for name, count in zip(CLASSES, counts, strict=True)
    )
    return (
        f"  {named}: {100 * accuracy:.2f} % of {total} images "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}; largest class {100 * images.guessing:.2f} %). "
        f"Recall: {shown}."
    )


def _chosen(adapt: str, config: RunConfig) -> tuple[str, ...]:
    """Returns the adaptations asked for; raises a ConfigError if one is not known or does not suit the model."""
    chosen = adaptation_names(adapt)
    for name in chosen:
        if reason := unsuited(name, find_model(config.model).norm):
            raise ConfigError(f"adapt={name}: {reason} ({config.model}): leave it out.")
    return chosen


def _adapted(images: Images, adaptation: str, log: ScoreLog, named: str) -> str:
    """Returns balanced accuracy and accuracy of a split under an adaptation, and what that saw of the split."""
    name = score_name(images.name, adaptation)
    balanced, accuracy = log.figure(name, "balanced_accuracy"), log.figure(name, "accuracy")
    sees = {
        "source": "one image at a time",
        "target": f"all {len(images.labels)} images, unlabelled",
        "labels": "labels of a few images, which are not scored",
    }[find_adaptation(adaptation).access]
    return (
        f"  {named} under {adaptation}: balanced accuracy {100 * balanced:.2f} %, "
        f"accuracy {100 * accuracy:.2f} %. It sees {sees}.{_collapse(images, name, log)}"
    )


def _collapse(images: Images, name: str, log: ScoreLog) -> str:
    """Returns a sentence that names a collapse: of five classes fewer than three are ever predicted."""
    predicted = log.classes_predicted(name)
    return (
        f" Collapsed: it predicts {predicted} of 5 classes."
        if predicted < min(LEAST_CLASSES, len(np.unique(images.labels)))
        else ""
    )


def outcome(log: ScoreLog, config: RunConfig, inputs: Inputs[Images], *, done_already: bool) -> Outcome:
    """Returns what the store holds of a run's scores."""
    guessing = {images.name: images.guessing for images in inputs.tests}
    accuracies = log.accuracies(guessing)
    return Outcome(run_id=log.id, config=config, accuracies=accuracies, guessing=guessing, done_already=done_already)
