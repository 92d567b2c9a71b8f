"""The advised adaptation on the slides: which cells change class, and what accuracy is to be expected then."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from wbc.assess.advice import Advice
from wbc.assess.labelled import Truth
from wbc.assess.pixels import Decoded
from wbc.assess.predict import Answers, cropped_geometry
from wbc.assess.runs import Known
from wbc.assess.unlabelled import TRUSTED
from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.compute import enough_memory, place
from wbc.config import RunConfig
from wbc.data.cache import PixelCache
from wbc.data.images import Images, list_images
from wbc.errors import DataError, WbcError
from wbc.evaluation.counts import class_shares
from wbc.evaluation.metrics import Metrics, score
from wbc.inputs import load_train, splits_of
from wbc.methods.adapt import predict_adapted
from wbc.methods.catalog import find_adaptation
from wbc.report.files import read_under
from wbc.report.render import NOTHING, Cell, Table, cells
from wbc.report.trials import Range, expect, trials, within
from wbc.surroundings import data_dir
from wbc.training.checkpoint import Checkpoint, restore_model

MOST_MOVES: Final = 3
"""Changes of class that are named."""
_SEES: Final = {
    "source": "It looks at one cell at a time.",
    "target": "It is fitted to all your cells together, without labels: other cells beside them would change it.",
}


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What the chosen run says of the slides under the advised adaptation; or why that is not known."""

    advice: Advice
    failed: str = ""
    """Why it could not be applied; empty: it was."""
    scores: Float[np.ndarray, "cells 5"]
    """Without one that could be applied, the run's own."""
    expected: dict[str, Range]
    """By estimator, with the errors that it made on the known labs under this adaptation."""

    def changed(self, before: Answers) -> Bool[np.ndarray, " cells"]:
        """Returns which cells change class."""
        found: Bool[np.ndarray, " cells"] = self.scores.argmax(1) != before.scores.argmax(1)
        return found


def adapt(
    advice: Advice, chosen: Answers, checkpoint: Checkpoint, slides: Decoded, known: Known, crop: float
) -> Adapted:
    """Returns what the advised adaptation changes; nothing is downloaded for it."""
    config, name = chosen.config, advice.adaptation
    images = _images(slides, slides.pixels[cropped_geometry(config, crop)])
    try:
        with enough_memory(config):
            model = restore_model(checkpoint)
            place(model, config)
            ((_, found),) = predict_adapted([name], model, images, partial(_source, config), config)
    except WbcError as error:
        return Adapted(advice=advice, failed=str(error), scores=chosen.scores, expected={})
    return Adapted(advice=advice, scores=found.scores, expected=_expected(known, chosen, found.scores, name))


def _expected(known: Known, chosen: Answers, scores: Float[np.ndarray, "cells 5"], name: str) -> dict[str, Range]:
    home, under = known.home_of(chosen.run), read_under(chosen.run, name)
    if home is None or home.name not in under.scores:
        return {}
    tried = trials([read_under(run, name) for run in known.runs], known.domains)
    said = expect(home.labels, under.scores[home.name], scores, [scores])
    return {each: within(each, value, tried) for each, value in said.items()}


def _images(slides: Decoded, pixels: PixelCache) -> Images:
    ids = tuple(cell.id for cell in slides.slides.cells)
    return Images(
        name="your_slides",
        ids=ids,
        labels=np.zeros(len(ids), np.int64),  # no adaptation that is advised reads them
        contents=slides.sha256,
        groups=slides.slides.clusters,
        digest="",
        labs=np.zeros(len(ids), np.int64),
        pixels=pixels,
        origin="",
    )


def _source(config: RunConfig) -> Images:
    """Returns the training images, where they are on this machine."""
    if any(list_images(split, data_dir=data_dir()) is None for split in splits_of(config)[0]):
        raise DataError("it needs the training images, which are not on this machine (make data)")
    return load_train(config)


def adapted_words(found: Adapted, before: Answers) -> str:
    """Returns what is advised and why, and what it changes."""
    advice = found.advice
    why = (
        f"Advised: {advice.title}. On {advice.labs} known lab{'s' * (advice.labs != 1)} it raised balanced accuracy by "
        f"{100 * advice.gain:.0f} points on average, and by {100 * advice.least:.0f} at least. "
    )
    if found.failed:
        return f"{why}It was not applied: {found.failed.rstrip('.')}."
    changed, total = int(found.changed(before).sum()), len(found.scores)
    moves = ", ".join(_moves(found, before))
    return (
        f"{why}{_SEES[find_adaptation(advice.adaptation).access]} Of your {total} cells {changed} "
        f"({100 * changed / total:.0f} %) change class{f', most of them {moves}' if moves else ''}. "
        "The answer at the top is about the model without it."
    )


def _moves(found: Adapted, before: Answers) -> Iterator[str]:
    rows = np.flatnonzero(found.changed(before))
    pairs = Counter(zip(before.scores[rows].argmax(1).tolist(), found.scores[rows].argmax(1).tolist(), strict=True))
    for (old, new), count in pairs.most_common(MOST_MOVES):
        yield f"{CLASSES[old]} to {CLASSES[new]} ({count})"


def adapted_table(found: Adapted, before: Answers, expected: dict[str, Range], truth: Truth | None) -> Table:
    """Returns expected accuracy, accuracy where there are labels, and the differential count, before and after."""
    rows, data = [], []
    for name, scores, ranges in (
        ("as trained", before.scores, expected),
        (found.advice.adaptation, found.scores, found.expected),
    ):
        shares = class_shares(scores.argmax(1))
        merits = _merits(scores, truth)
        labelled = (_share(merits.accuracy), _share(merits.balanced_accuracy)) if merits else ()
        rows.append(
            cells(
                name,
                *(_range(ranges.get(each)) for each in TRUSTED),
                *labelled,
                *(Cell(text=f"{100 * share:.1f}", sort=float(share)) for share in shares),
            )
        )
        known = {each: value.expected for each, value in ranges.items()}
        data.append({"model": name, **known, **dict(zip(CLASSES, shares.tolist(), strict=True))})
    n = len(truth.fair if len(truth.fair) else truth.rows) if truth else 0
    return Table(
        name="adapted",
        title="Before and after the adaptation, in %",
        note=(
            "Expected: the accuracy that an estimator expects without labels, and below it the range by its largest "
            f"errors on the known labs.{f' Right and balanced: accuracy on {n} labelled cells.' if n else ''} "
            "Then the differential count."
        ),
        header=(
            "model",
            *(f"{each} expects" for each in TRUSTED),
            *(("right", "balanced") if n else ()),
            *ABBREVIATIONS,
        ),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame(data),
    )


def _merits(scores: Float[np.ndarray, "cells 5"], truth: Truth | None) -> Metrics | None:
    if truth is None:
        return None
    rows = truth.fair if len(truth.fair) else truth.rows
    return score(truth.labels[rows], scores[rows])


def _range(value: Range | None) -> Cell:
    if value is None:
        return Cell(text=NOTHING)
    low, high = (f"{100 * each:.0f}" for each in (value.low, value.high))
    return Cell(text=f"{100 * value.expected:.0f}", second=f"{low} to {high}", sort=value.expected)


def _share(value: float) -> Cell:
    return Cell(text=f"{100 * value:.0f}", sort=value)
