"""The figures: the paper's with our runs, and training curves and all confusion matrices, at print size."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wbc.arms import Arm
from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.evaluation.samples import SAMPLES
from wbc.report import style
from wbc.report.files import read_samples
from wbc.report.names import in_sentence
from wbc.report.paper.domains import domain_of, may_show
from wbc.report.paper.tables import analysed
from wbc.report.seeds import ENOUGH
from wbc.report.study import ScoredDomain, Study
from wbc.report.style import Plot
from wbc.seeding import generator


def samples(study: Study) -> Plot:
    """Returns Fig. 1: a row of cells for each domain whose licence lets them be shown, a block for each class."""
    hidden = [each.name for each in study.domains if not may_show(each.name)]
    caption = "Fig. 1. Sample cells of each class, as the networks see them, by domain."
    caption += f" Not shown, since their licence does not allow it: {', '.join(hidden)}." if hidden else ""
    rows = {row.key: row for each in study.domains if (row := domain_of(each.name)) and row.pictures}
    caption += "".join(f" {key}: {row.licence} {row.citation}" for key, row in rows.items())
    sheets = {}
    for domain in (each for each in study.domains if each.name not in hidden):
        run = next((run for run in study.runs if domain.name in run.metrics), None)
        found = read_samples(run, domain.name) if run else None
        if found:
            sheets[domain.name] = np.asarray(found)
    return Plot(name="fig1_samples", caption=caption, figure=_sheets(sheets) if sheets else None)


def _sheets(sheets: dict[str, np.ndarray]) -> Figure:
    shown = SAMPLES // 2
    figure = style.new_figure(style.PAGE_IN, 0.25 + 0.42 * len(sheets))
    axes = figure.subplots(len(sheets), 1, squeeze=False)[:, 0]
    for axis, (name, sheet) in zip(axes, sheets.items(), strict=True):
        side = sheet.shape[0] // len(CLASSES)
        gap = np.zeros((side, side // 4, 4), np.uint8)
        blocks = [sheet[row * side : (row + 1) * side, : shown * side] for row in range(len(CLASSES))]
        strip = np.concatenate([part for block in blocks for part in (block, gap)][:-1], axis=1)
        axis.imshow(strip, interpolation="none", aspect="equal")
        axis.set_ylabel(name.replace("_", "\n", 1), rotation=0, ha="right", va="center", fontsize=7)
        axis.set_xticks([(shown * side + side // 4) * block + shown * side / 2 for block in range(len(CLASSES))])
        axis.set_xticklabels(CLASSES if axis is axes[0] else [""] * len(CLASSES), fontsize=8)
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    return figure


def seeds(study: Study) -> Plot:
    """Returns Fig. 2: every seed at home and on the first target; quartiles from five seeds on, else the range."""

    def draw(axis: Axes, place: int, arm: Arm, domain: ScoredDomain, values: list[float]) -> None:
        shares = 100 * np.array(values)
        if len(values) >= ENOUGH:
            _quartiles(axis, place, shares)
        else:
            axis.plot([shares.min(), shares.max()], [place, place], color="black", linewidth=0.6)
            axis.plot(shares.mean(), place, "|", color="black", markersize=9)
        shift = generator("jitter", study.label(arm), domain.name).uniform(-0.14, 0.14, len(shares))
        axis.plot(shares, place + shift, style.marker(arm), color=style.colour(arm), markersize=3.5, alpha=0.6)

    domains = [domain for domain in (study.home, study.away) if domain]
    figure, axes = _rows(study, domains, 1.15, draw)
    for axis, domain in zip(axes, domains, strict=True):
        axis.set_title(f"{domain.name} (n = {len(domain.labels)} images)")
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, high - 1), min(high, 100.4))
        axis.grid(axis="x")
    boxes = any(len(study.of(arm, each.name)) >= ENOUGH for arm in study.arms for each in domains)
    spread = "with quartiles" if boxes else "with mean and range"
    caption = f"Fig. 2. Accuracy of each of up to {len(study.seeds)} seeds (dots), {spread}. The axes differ."
    return Plot(name="fig2_seeds", caption=caption, figure=figure)


def _quartiles(axis: Axes, place: int, shares: np.ndarray) -> None:
    thin: dict[str, Any] = {f"{part}props": {"linewidth": 0.6} for part in ("box", "whisker", "cap")}
    thin["medianprops"] = {"color": "black", "linewidth": 1}
    axis.boxplot([shares], positions=[place], orientation="horizontal", widths=0.55, showfliers=False, **thin)


def _rows(
    study: Study, domains: Sequence[ScoredDomain], base_in: float, draw: Callable[..., None]
) -> tuple[Figure, list[Axes]]:
    """Returns a figure of accuracies with a panel for each domain and a row for each arm, which `draw` fills."""
    figure = style.new_figure(style.PAGE_IN, base_in + 0.17 * len(study.arms))
    axes = list(figure.subplots(1, len(domains), sharey=True, squeeze=False)[0])
    for axis, domain in zip(axes, domains, strict=True):
        for place, arm in enumerate(study.arms):
            if values := study.accuracies(arm, domain.name):
                draw(axis, place, arm, domain, values)
            else:
                beside = {"transform": axis.get_yaxis_transform(), "va": "center"}
                axis.text(0.03, place, "missing", fontsize=7, color="#555555", **beside)
        axis.set_ylim(len(study.arms) - 0.5, -0.5)
        axis.set_axisbelow(True)
        axis.set_xlabel("accuracy in %")
    axes[0].set_yticks(range(len(study.arms)), [style.label(study, arm) for arm in study.arms])
    figure.legend(handles=style.norm_legend(study.arms), loc="outside lower center", ncols=6)
    return figure, axes


def analysed_confusion(study: Study) -> Plot:
    """Returns Fig. 5: the confusion matrix of the run in Table 3."""
    domain = study.away
    run = analysed(study, domain) if domain else None
    if not (domain and run):
        return Plot(name="fig5_confusion", caption="", figure=None)
    figure = style.new_figure(style.COLUMN_IN, 2.9)
    axis = figure.subplots()
    counts = run.metrics[domain.name].confusion
    _matrix(axis, counts, [[f"{count}" for count in row] for row in counts])
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    accuracy = 100 * run.metrics[domain.name].accuracy
    caption = (
        f"Fig. 5. Confusion of {in_sentence(study, run.arm)}, seed {run.seed}, on {domain.name}, in images; shaded by "
        f"the share of the true class. Accuracy {accuracy:.2f} %, n = {len(domain.labels)}."
    )
    return Plot(name="fig5_confusion", caption=caption, figure=figure, narrow=True)


def confusions(study: Study) -> list[Plot]:
    """Returns for each domain the confusion matrices of all arms, the counts of all seeds together."""
    return [
        Plot(
            name=f"confusion_{domain.name}",
            caption=f"Confusion on {domain.name}, in % of the true class (rows), of all seeds together; n = "
            f"{len(domain.labels)} images a seed.",
            figure=_matrices(study, domain),
        )
        for domain in study.domains
    ]


def _matrices(study: Study, domain: ScoredDomain) -> Figure | None:
    arms = [arm for arm in study.arms if study.of(arm, domain.name)]
    if not arms:
        return None
    columns = 3
    rows = -(-len(arms) // columns)
    figure = style.new_figure(style.PAGE_IN, 0.3 + 2.05 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, arm in zip(axes, arms, strict=False):
        counts = np.sum([run.metrics[domain.name].confusion for run in study.of(arm, domain.name)], axis=0)
        shares = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
        empty = counts.sum(1) == 0
        _matrix(
            axis, counts, [["–" if none else f"{s:.0f}" for s in row] for row, none in zip(shares, empty, strict=True)]
        )
        axis.set_title(style.label(study, arm, 34), fontsize=7)
    for axis in axes[len(arms) :]:
        axis.set_axis_off()
    figure.supxlabel("predicted", fontsize=8)
    figure.supylabel("true", fontsize=8)
    return figure


def curves(study: Study) -> Plot:
    """Returns the training loss of every arm by epoch, a panel each, on one scale."""
    caption = (
        f"Training loss by epoch: mean over up to {len(study.seeds)} seeds, shaded from lowest to highest. "
        "Logarithmic, one scale."
    )
    losses = {arm: values for arm in study.arms if (values := _losses(study, arm)).size}
    return Plot(name="curves", caption=caption, figure=_curves(study, losses) if losses else None)


def _curves(study: Study, curves: dict[Arm, np.ndarray]) -> Figure:
    columns = min(5, len(curves))
    rows = -(-len(curves) // columns)
    figure = style.new_figure(style.PAGE_IN, 0.3 + 1.35 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (arm, values) in zip(axes, curves.items(), strict=False):
        epochs = np.arange(1, values.shape[1] + 1)
        axis.fill_between(epochs, values.min(0), values.max(0), color=style.colour(arm), alpha=0.3, linewidth=0)
        axis.plot(epochs, values.mean(0), color=style.colour(arm), marker="" if len(epochs) > 1 else ".")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_title(style.label(study, arm, 24), fontsize=6.5)
        axis.grid(axis="y")
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(curves) - columns) : len(curves)]:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("training loss", fontsize=8)
    return figure


def _matrix(axis: Axes, counts: np.ndarray, texts: list[list[str]]) -> None:
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            shade = style.ink(np.asarray(image.cmap(image.norm(shares[row, column]))).tolist())
            axis.text(column, row, text, ha="center", va="center", color=shade, fontsize=7)
    axis.set_xticks(range(len(CLASSES)), ABBREVIATIONS)
    axis.set_yticks(range(len(CLASSES)), ABBREVIATIONS)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(True)


def _losses(study: Study, arm: Arm) -> np.ndarray:
    """Returns the training loss of each run of an arm by epoch, as far as all of them go."""
    curves = [[run.losses[epoch] for epoch in sorted(run.losses)] for run in study.runs if run.arm == arm]
    shortest = min(map(len, curves), default=0)
    return np.array([curve[:shortest] for curve in curves], float).reshape(len(curves), shortest)
