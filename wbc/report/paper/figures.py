"""The figures: the paper's five with our runs, and training curves, ranks and all confusion matrices.

Each function returns a figure at print size, or None where the runs do not hold what it shows.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.evaluation.samples import SAMPLES
from wbc.report import style
from wbc.report.paper.projection import PER_CLASS, draw_projections
from wbc.report.paper.ranks import draw_ranks
from wbc.report.paper.tables import analysed
from wbc.report.query import read_samples
from wbc.report.statistics import seed_interval
from wbc.report.study import ScoredDomain, ScoredRun, Study, describe_model
from wbc.seeding import generator


def draw_figures(study: Study) -> Mapping[str, tuple[Figure | None, str]]:
    """Returns figures by file name, each with its caption; None where the runs do not hold what it shows."""
    made: dict[str, tuple[Callable[[Study], Figure | None], str]] = {
        "fig1_samples": (draw_samples, "Fig. 1. Sample cells of each class, as the networks see them, by domain."),
        "fig2_seeds": (
            draw_seeds,
            f"Fig. 2. Accuracy of each of up to {len(study.seeds)} seeds (dots), with quartiles. The axes differ.",
        ),
        "fig3_tsne": (
            draw_projections,
            f"Fig. 3. t-SNE of what the last layer is given, up to {PER_CLASS} cells of each class and domain, of each "
            "model's run closest to its mean. Marker: domain; colour: class.",
        ),
        "fig4_home_away": (
            draw_home_away,
            f"Fig. 4. Accuracy at home and away: mean and 95 % interval over up to {len(study.seeds)} seeds (Student). "
            "Dashed: always the largest class; dotted: a class at random.",
        ),
        "fig5_confusion": (draw_analysed, _caption_5(study)),
        "curves": (
            draw_curves,
            f"Training loss by epoch: mean over up to {len(study.seeds)} seeds, shaded from lowest to highest. "
            "Logarithmic, one scale.",
        ),
        "ranks": (
            draw_ranks,
            "Mean rank over seeds, 1 the best. Bars join models that Nemenyi's test at 5 % does not tell apart "
            "(CD: critical difference).",
        ),
    }
    for domain in study.domains:
        made[f"confusion_{domain.name}"] = (
            partial(draw_confusions, domain=domain),
            f"Confusion on {domain.name}, in % of the true class (rows), of all seeds together; n = "
            f"{len(domain.labels)} images a seed.",
        )
    with style.figure_style():
        return {name: (draw(study), caption) for name, (draw, caption) in made.items()}


def draw_samples(study: Study) -> Figure | None:
    """Returns Fig. 1: a row of cells for each domain, a block for each class."""
    sheets = {}
    for domain in study.domains:
        run = next((run for run in study.runs if domain.name in run.metrics), None)
        found = read_samples(run, domain.name) if run else None
        if found:
            sheets[domain.name] = np.asarray(found)
    if not sheets:
        return None
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


def draw_seeds(study: Study) -> Figure | None:
    """Returns Fig. 2: box plots over seeds, at home and on the first target."""
    domains = [domain for domain in (study.home, study.away) if domain]
    figure = style.new_figure(style.PAGE_IN, 1.15 + 0.17 * len(study.models))
    axes = figure.subplots(1, len(domains), sharey=True, squeeze=False)[0]
    for axis, domain in zip(axes, domains, strict=True):
        for place, model in enumerate(study.models):
            values = 100 * np.array(study.accuracies(model, domain.name))
            if not len(values):
                _missing(axis, place)
                continue
            axis.boxplot(
                [values],
                positions=[place],
                orientation="horizontal",
                widths=0.55,
                showfliers=False,
                medianprops={"color": "black", "linewidth": 1},
                boxprops={"linewidth": 0.6},
                whiskerprops={"linewidth": 0.6},
                capprops={"linewidth": 0.6},
            )
            shift = generator("jitter", model, domain.name).uniform(-0.14, 0.14, len(values))
            axis.plot(values, place + shift, style.marker(model), color=style.colour(model), markersize=3.5, alpha=0.6)
        axis.set_title(f"{domain.name} (n = {len(domain.labels)} images)")
        axis.set_xlabel("accuracy in %")
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, high - 1), min(high, 100.4))
        axis.set_ylim(len(study.models) - 0.5, -0.5)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(study.models)), [style.label(model) for model in study.models])
    figure.legend(handles=style.norm_legend(study.models), loc="outside lower center", ncols=6)
    return figure


def draw_home_away(study: Study) -> Figure | None:
    """Returns Fig. 4: each model's accuracy on every domain, the models in the tables' order."""
    figure = style.new_figure(style.PAGE_IN, 1.3 + 0.17 * len(study.models))
    panels = figure.subplots(1, len(study.domains), sharey=True, squeeze=False)[0]
    for axis, domain in zip(panels, study.domains, strict=True):
        for place, model in enumerate(study.models):
            values = study.accuracies(model, domain.name)
            if not values:
                _missing(axis, place)
                continue
            interval = seed_interval(values)
            axis.errorbar(
                100 * interval.mean,
                place,
                xerr=None if interval.half_width is None else 100 * interval.half_width,
                fmt=style.marker(model),
                color=style.colour(model),
                markersize=4.5,
                capsize=2,
                elinewidth=1,
            )
        axis.set_title(f"{domain.name}\n{'home' if domain.home else 'away'}, n = {len(domain.labels)}")
        axis.axvline(100 * domain.majority, color="#555555", linestyle="--", linewidth=0.7, zorder=0)
        axis.axvline(100 / len(CLASSES), color="#555555", linestyle=":", linewidth=0.7, zorder=0)
        axis.set_xlim(0, 103)
        axis.set_ylim(len(study.models) - 0.5, -0.5)
        axis.grid(axis="both")
        axis.set_axisbelow(True)
        axis.set_xlabel("accuracy in %")
    panels[0].set_yticks(range(len(study.models)), [style.label(model) for model in study.models])
    figure.legend(handles=style.norm_legend(study.models), loc="outside lower center", ncols=6)
    return figure


def draw_analysed(study: Study) -> Figure | None:
    """Returns Fig. 5: the confusion matrix of the run in Table 3."""
    domain = study.away
    run = study.representative(analysed(study, domain), domain.name) if domain else None
    if not (domain and run):
        return None
    figure = style.new_figure(style.COLUMN_IN, 2.9)
    axis = figure.subplots()
    counts = run.metrics[domain.name].confusion
    _matrix(axis, counts, [[f"{count}" for count in row] for row in counts])
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return figure


def draw_confusions(study: Study, domain: ScoredDomain) -> Figure | None:
    """Returns the confusion matrices of all models on a domain, the counts of all seeds together."""
    models = [model for model in study.models if study.of(model, domain.name)]
    if not models:
        return None
    columns = 3
    rows = -(-len(models) // columns)
    figure = style.new_figure(style.PAGE_IN, 0.3 + 2.05 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, model in zip(axes, models, strict=False):
        counts = np.sum([run.metrics[domain.name].confusion for run in study.of(model, domain.name)], axis=0)
        shares = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
        empty = counts.sum(1) == 0
        _matrix(
            axis, counts, [["–" if none else f"{s:.0f}" for s in row] for row, none in zip(shares, empty, strict=True)]
        )
        axis.set_title(style.label(model))
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    figure.supxlabel("predicted", fontsize=8)
    figure.supylabel("true", fontsize=8)
    return figure


def draw_curves(study: Study) -> Figure | None:
    """Returns the training loss of every model by epoch, a panel each, on one scale."""
    curves = {model: _curves(study, model) for model in study.models}
    curves = {model: values for model, values in curves.items() if values.size}
    if not curves:
        return None
    columns = min(5, len(curves))
    rows = -(-len(curves) // columns)
    figure = style.new_figure(style.PAGE_IN, 0.3 + 1.35 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (model, values) in zip(axes, curves.items(), strict=False):
        epochs = np.arange(1, values.shape[1] + 1)
        axis.fill_between(epochs, values.min(0), values.max(0), color=style.colour(model), alpha=0.3, linewidth=0)
        axis.plot(epochs, values.mean(0), color=style.colour(model), marker="" if len(epochs) > 1 else ".")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_title(_short(model), fontsize=7)
        axis.grid(axis="y")
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(curves) - columns) : len(curves)]:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("training loss", fontsize=8)
    return figure


def _missing(axis: Axes, place: int) -> None:
    axis.text(0.03, place, "missing", transform=axis.get_yaxis_transform(), va="center", fontsize=7, color="#555555")


def _matrix(axis: Axes, counts: np.ndarray, texts: list[list[str]]) -> None:
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            shade = "white" if shares[row, column] > 0.6 else "black"
            axis.text(column, row, text, ha="center", va="center", color=shade, fontsize=7)
    axis.set_xticks(range(len(CLASSES)), ABBREVIATIONS)
    axis.set_yticks(range(len(CLASSES)), ABBREVIATIONS)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(True)


def _curves(study: Study, model: str) -> np.ndarray:
    """Returns the training loss of each run of a model by epoch, as far as all of them go."""
    curves = [[run.losses[epoch] for epoch in sorted(run.losses)] for run in study.runs if run.model == model]
    shortest = min(map(len, curves), default=0)
    return np.array([curve[:shortest] for curve in curves], float).reshape(len(curves), shortest)


def _short(model: str) -> str:
    index = describe_model(model).index
    text = f"{index} {model.removeprefix('resnet50_') if index.startswith('(i') else model}".strip()
    return text if len(text) <= 22 else f"{text[:13]}…{text[-8:]}"


def _caption_5(study: Study) -> str:
    domain = study.away
    run: ScoredRun | None = study.representative(analysed(study, domain), domain.name) if domain else None
    if not (domain and run):
        return ""
    return (
        f"Fig. 5. Confusion of {run.model}, seed {run.seed}, on {domain.name}, in images; shaded by the share of the "
        f"true class. Accuracy {100 * run.metrics[domain.name].accuracy:.2f} %, n = {len(domain.labels)}."
    )
