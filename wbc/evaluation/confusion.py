"""The confusion matrix of one domain as a figure."""

from matplotlib.figure import Figure

from wbc.cells import ABBREVIATIONS
from wbc.evaluation.metrics import Metrics


def draw_confusion(metrics: Metrics, title: str) -> Figure:
    """Returns a figure of counts, shaded by the share of the true class; it belongs to no global figure manager."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    shares = metrics.confusion / metrics.confusion.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(metrics.confusion):
        for column, count in enumerate(counts):
            dark = shares[row, column] > 0.5
            axes.text(column, row, f"{count}", ha="center", va="center", color="white" if dark else "black")
    places = range(len(ABBREVIATIONS))
    axes.set_xticks(places, ABBREVIATIONS)
    axes.set_yticks(places, ABBREVIATIONS)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    figure.suptitle(f"{title}\naccuracy {100 * metrics.accuracy:.1f} % of {metrics.images} images", fontsize=9)
    return figure
