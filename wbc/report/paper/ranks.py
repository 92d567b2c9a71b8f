"""Critical-difference diagrams: which models are told apart by their ranks over seeds.

Reference: Demsar 2006, JMLR 7:1, Figure 1.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wbc.report import style
from wbc.report.statistics import rank_models
from wbc.report.study import Study


def draw_ranks(study: Study) -> Figure | None:
    """Returns critical-difference diagrams, one for each domain; None below three models or two seeds."""
    ranked = []
    for domain in study.domains:
        models = [m for m in study.models if len(study.of(m, domain.name)) == len(study.seeds)]
        values = np.array([study.accuracies(model, domain.name) for model in models]).T
        ranking = rank_models(values) if len(models) > 2 else None
        if ranking:
            ranked.append((domain, models, ranking))
    if not ranked:
        return None
    most = max(len(models) for _, models, _ in ranked)
    figure = style.new_figure(style.PAGE_IN, 0.3 + len(ranked) * (0.7 + 0.11 * most))
    for axis, (domain, models, ranking) in zip(
        figure.subplots(len(ranked), 1, squeeze=False)[:, 0], ranked, strict=True
    ):
        _rank_axis(axis, models, np.array(ranking.mean_ranks), ranking.critical_difference)
        axis.set_title(
            f"{domain.name}: {ranking.blocks} seeds, Friedman p = {ranking.friedman_p:.2g}, "
            f"CD = {ranking.critical_difference:.2f}",
            loc="left",
        )
    figure.legend(handles=style.norm_legend(study.models), loc="outside lower center", ncols=6)
    return figure


def _rank_axis(axis: Axes, models: list[str], ranks: np.ndarray, critical: float) -> None:
    """Draws the models below a line of ranks, the better half to the left, and bars over those not told apart."""
    order = np.argsort(ranks, kind="stable")
    bars: list[tuple[float, float]] = []
    for start in order:
        end = ranks[ranks <= ranks[start] + critical].max()
        if end > ranks[start] and not any(left <= ranks[start] and end <= right for left, right in bars):
            bars.append((float(ranks[start]), float(end)))
    half = -(-len(order) // 2)
    for place, index in enumerate(order):
        left = place < half
        depth = -1 - 0.9 * len(bars) * 0.45 - (place if left else len(order) - 1 - place)
        edge = 0.55 if left else len(models) + 0.45
        rank, model = ranks[index], models[index]
        axis.plot([rank, rank, edge], [0, depth, depth], color="#555555", linewidth=0.6)
        axis.plot(rank, 0, style.marker(model), color=style.colour(model), markersize=4, clip_on=False)
        text = f"{style.label(model)}  {rank:.1f}" if left else f"{rank:.1f}  {style.label(model)}"
        axis.text(
            edge, depth, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", fontsize=7
        )
    for place, (begin, end) in enumerate(bars):
        axis.plot(
            [begin - 0.05, end + 0.05], [-0.5 - 0.42 * place] * 2, color="black", linewidth=2.2, solid_capstyle="butt"
        )
    axis.set_xlim(-2.2, len(models) + 3.2)
    axis.set_ylim(-2 - 0.42 * len(bars) - half, 1.4)
    axis.plot([1, len(models)], [0, 0], color="black", linewidth=0.8, zorder=0)
    for rank in range(1, len(models) + 1):
        axis.plot([rank, rank], [0, 0.25], color="black", linewidth=0.8)
        axis.text(rank, 0.4, f"{rank}", ha="center", va="bottom", fontsize=7)
    axis.set_axis_off()
