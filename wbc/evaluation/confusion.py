"""The confusion matrix of one domain as a figure."""

from matplotlib.figure import Figure

from wbc.cells import ABBREVIATIONS
from wbc.evaluation.metrics import Metrics


def draw_confusion(metrics: Metrics, title: str) -> Figure:
    """Returns a figure of counts, shaded by the share of the true class; it belongs to no global figure manager."""
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
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
    axes.set_title(f"{title}: accuracy {metrics.accuracy:.1%} of {metrics.images}", fontsize=10)
    return figure
