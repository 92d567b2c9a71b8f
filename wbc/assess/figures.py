"""The figures of the page: the map of labs, counts, expected accuracy, and what the labels show."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from wbc.assess.labelled import Merits, Truth
from wbc.assess.labs import Lab
from wbc.assess.unlabelled import Model
from wbc.cells import ABBREVIATIONS
from wbc.evaluation.calibration import reliability
from wbc.evaluation.counts import class_shares, counting_limits
from wbc.evaluation.selective import selective_accuracy
from wbc.report.paper.lines import GREY
from wbc.report.style import COLUMN_IN, PAGE_IN, Plot, new_figure

_OURS = "#D55E00"
_KNOWN = "#0072B2"
_LABS = ("C0", "C2", "C4", "C5", "C7", "C8", "C9")
"""Colours of known labs: none is like that of the slides."""
_LOOKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def lab_map(labs: list[Lab], model: str) -> Plot | None:
    """Returns the labs by how far their cells lie from home: to the eye, and to the model."""
    shown = [lab for lab in labs if lab.distance and lab.embedded]
    if len(shown) < 2:
        return None
    figure = new_figure(PAGE_IN, 2.9)
    axis = figure.subplots()
    for lab in shown:
        assert lab.distance
        x, y = float(np.mean(list(lab.distance.parts.values()))), lab.embedded or 0.0
        ours = lab is labs[-1]
        axis.plot(x, y, "*" if ours else "o", color=_OURS if ours else _KNOWN, markersize=12 if ours else 6)
        right = "" if lab.accuracy is None else f", {100 * lab.accuracy:.0f} % right"
        axis.annotate(f"{lab.name}{right}", (x, y), (7, 4), textcoords="offset points", fontsize=7)
    axis.set_xlabel("how other the cells look (colour, sharpness, size; in deviations of a cell at home)")
    axis.set_ylabel("how far the model sees them\nfrom home (1: like home)")
    axis.margins(0.18)
    axis.grid()
    caption = (
        f"Your slides among the known labs, as {model} sees them. To the right, cells look other than those it learned "
        "from. Upwards, the model itself finds them other, class by class. Beside each known lab: its accuracy there."
    )
    return Plot(name="map", caption=caption, figure=figure)


def counts(models: list[Model], labels: np.ndarray | None) -> Plot:
    """Returns the share of cells that each model calls each class, with the limits of counting, and the labels'."""
    who = [(model.name, model.chosen.scores.argmax(1)) for model in models]
    if labels is not None:
        who.insert(0, ("the labels", labels[labels >= 0]))
    figure = new_figure(PAGE_IN, 2.5 + 0.13 * len(who))
    axis = figure.subplots()
    width = 0.8 / len(who)
    for place, (name, said) in enumerate(who):
        shares = class_shares(said)
        low, high = counting_limits(shares, len(said))
        x = np.arange(len(ABBREVIATIONS)) - 0.4 + width * (place + 0.5)
        errors = 100 * np.array([shares - low, high - shares]).clip(min=0)
        is_truth = labels is not None and place == 0
        colour = "black" if is_truth else f"C{place - (labels is not None)}"
        axis.errorbar(
            x,
            100 * shares,
            errors,
            fmt=_LOOKS[place % len(_LOOKS)],
            color=colour,
            markersize=4,
            elinewidth=0.8,
            label=f"{name} (n = {len(said)})",
        )
    axis.set_xticks(range(len(ABBREVIATIONS)), ABBREVIATIONS)
    axis.set_ylabel("share of the cells in %")
    axis.set_ylim(-2, 102)
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    caption = (
        "Differential count of each model's chosen run, with the 95 % limits of counting as many cells (exact, "
        "binomial). "
        "Where models lie apart by more than these limits, at least one of them is wrong."
    )
    return Plot(name="counts", caption=caption, figure=figure)


def expected_accuracy(tried: pd.DataFrame, model: Model) -> Plot | None:
    """Returns expected against true accuracy on the known labs, and what is expected of the slides."""
    names = [name for name in model.expected if len(tried[tried["estimator"] == name])]
    if not names:
        return None
    figure = new_figure(PAGE_IN, 2.7)
    for axis, name in zip(np.atleast_1d(figure.subplots(1, len(names), sharey=True)), names, strict=True):
        own = tried[tried["estimator"] == name]
        for place, (lab, rows) in enumerate(own.groupby("lab", sort=False)):
            axis.plot(
                100 * rows["expected"],
                100 * rows["true"],
                _LOOKS[place % len(_LOOKS)],
                color=_LABS[place % len(_LABS)],
                alpha=0.7,
                markersize=4,
                label=str(lab),
            )
        axis.plot([0, 100], [0, 100], color=GREY, linewidth=0.7)
        value = model.expected[name]
        axis.axvline(100 * value.expected, color=_OURS, linewidth=1)
        axis.plot([100 * value.expected] * 2, [100 * value.low, 100 * value.high], color=_OURS, linewidth=4, alpha=0.35)
        axis.set(xlim=(-3, 103), ylim=(-3, 103), title=name, xlabel="expected accuracy in %")
    figure.axes[0].set_ylabel("true accuracy in %")
    figure.axes[0].legend(loc="upper left")
    caption = (
        "When may one believe what is expected? Each point is a run on a known lab: what the estimator expected "
        "there, and "
        f"what came out. On the grey line it was right. Orange: your slides by {model.name}; the bar is the range "
        "of the "
        "largest errors."
    )
    return Plot(name="expected", caption=caption, figure=figure)


def right_and_sure(model: Model, truth: Truth, found: Merits, error: float) -> Plot:
    """Returns the mistakes among signed cells by their share, and confidence against accuracy, before and after."""
    rows = truth.fair if len(truth.fair) else truth.rows
    labels, chosen = truth.labels[rows], model.chosen
    figure = new_figure(PAGE_IN, 2.7)
    left, right = figure.subplots(1, 2)
    risk = 100 * (1 - selective_accuracy(labels, chosen.calibrated[rows]))
    share = 100 * np.arange(1, len(rows) + 1) / len(rows)
    left.plot(share, risk, color=_KNOWN)
    left.axhline(100 * error, color=GREY, dashes=(4, 3), linewidth=0.8)
    if found.signed.coverage:
        left.axvline(100 * found.signed.coverage, color=_OURS, linewidth=0.9)
    left.set(xlim=(0, 103), ylim=(-1, max(10, risk.max() * 1.05)), title="mistakes among the surest")
    left.set_xlabel(f"signed, surest first, in % of {len(rows)} cells")
    left.set_ylabel("mistakes in %")
    for scores, name, look in ((chosen.scores, "as it is", "o-"), (chosen.calibrated, "at home's temperature", "s--")):
        _reliability(right, labels, scores[rows], name, look)
    right.plot([0, 100], [0, 100], color=GREY, linewidth=0.7)
    right.set(xlim=(0, 103), ylim=(-3, 103), xlabel="confidence in %", ylabel="right in %", title="confidence")
    right.legend(loc="upper left")
    caption = (
        "Left: how many of the signed cells are wrong if the surest are signed first. Dashed: the share that you "
        "accept. "
        "Orange: how far one may go with 95 % confidence. Right: of cells of equal confidence, how many are right; "
        "below "
        "the grey line the model is too sure."
    )
    return Plot(name="signed", caption=caption, figure=figure)


def confusion(metrics_confusion: np.ndarray, name: str) -> Plot:
    """Returns counts of labelled by predicted class."""
    figure = new_figure(COLUMN_IN, 3.0)
    axis = figure.subplots()
    shares = metrics_confusion / metrics_confusion.sum(1, keepdims=True).clip(min=1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(metrics_confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{count}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(ABBREVIATIONS)), ABBREVIATIONS)
    axis.set_yticks(range(len(ABBREVIATIONS)), ABBREVIATIONS)
    axis.set(xlabel=f"{name} says", ylabel="label")
    caption = "Labelled cells by their label (rows) and by what the model says (columns); shaded by the share of a row."
    return Plot(name="confusion", caption=caption, figure=figure, narrow=True)


def _reliability(axis: Axes, labels: np.ndarray, scores: np.ndarray, name: str, look: str) -> None:
    found = reliability(labels, scores, bins=10)
    kept = found.images >= 5
    x, y = (100 * each[kept] / found.images[kept] for each in (found.confidence, found.hits))
    axis.plot(x, y, look, markersize=3.5, linewidth=0.9, label=f"{name}: error {100 * found.error:.0f} points")
