"""Critical-difference diagrams: which models are told apart by their ranks over seeds.

Reference: Demsar 2006, JMLR 7:1, Figure 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from wbc.arms import Arm
from wbc.report import style
from wbc.report.parts import Absent
from wbc.report.seeds import ENOUGH
from wbc.report.statistics import ALPHA
from wbc.report.study import Study
from wbc.report.style import Plot


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Mean ranks of models over blocks, 1 the best, and by how much two must differ to be told apart."""

    mean_ranks: tuple[float, ...]
    friedman_p: float
    critical_difference: float
    blocks: int


def rank_models(accuracies: Float[np.ndarray, "blocks models"], alpha: float = ALPHA) -> Ranking | None:
    """Ranks models within each block (a seed); None for fewer than three models or two blocks.

    Reference: Friedman 1937; Nemenyi 1963; Demsar 2006, JMLR 7:1, section 3.2.2. Ties share their mean rank.
    """
    blocks, models = accuracies.shape
    if blocks < 2 or models < 3:
        return None
    ranks = stats.rankdata(-accuracies, axis=1)
    spread = np.ptp(accuracies, axis=1).any()
    q = stats.studentized_range.ppf(1 - alpha, models, np.inf) / 2**0.5
    return Ranking(
        mean_ranks=tuple(ranks.mean(0).tolist()),
        friedman_p=float(stats.friedmanchisquare(*accuracies.T).pvalue) if spread else 1.0,
        critical_difference=float(q * (models * (models + 1) / (6 * blocks)) ** 0.5),
        blocks=blocks,
    )


def ranks(study: Study) -> Plot | Absent:
    """Returns critical-difference diagrams, one for each domain, where three arms or more have five seeds or more."""
    if len(study.seeds) < ENOUGH:
        why = "with fewer than five seeds the critical difference spans most ranks"
        return Absent(name="ranks", why=why)
    return Plot(
        name="ranks",
        caption="Mean rank over seeds, 1 the best. Bars join models that Nemenyi's test at 5 % does not tell apart, "
        "over seeds on these images alone (CD: critical difference). The tables say which model is better.",
        figure=_draw(study),
    )


def _draw(study: Study) -> Figure | None:
    ranked = []
    for domain in study.domains:
        arms = [arm for arm in study.arms if len(study.of(arm, domain.name)) == len(study.seeds)]
        values = np.array([study.accuracies(arm, domain.name) for arm in arms]).T
        ranking = rank_models(values) if len(arms) > 2 else None
        if ranking:
            ranked.append((domain, arms, ranking))
    if not ranked:
        return None
    most = max(len(arms) for _, arms, _ in ranked)
    figure = style.new_figure(style.PAGE_IN, 0.3 + len(ranked) * (0.7 + 0.11 * most))
    for axis, (domain, arms, ranking) in zip(figure.subplots(len(ranked), 1, squeeze=False)[:, 0], ranked, strict=True):
        _rank_axis(axis, study, arms, np.array(ranking.mean_ranks), ranking.critical_difference)
        axis.set_title(
            f"{domain.name}: {ranking.blocks} seeds, Friedman p = {ranking.friedman_p:.2g}, "
            f"CD = {ranking.critical_difference:.2f}",
            loc="left",
        )
    figure.legend(handles=style.norm_legend(study.arms), loc="outside lower center", ncols=6)
    return figure


def _rank_axis(axis: Axes, study: Study, arms: list[Arm], ranks: np.ndarray, critical: float) -> None:
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
        edge = 0.55 if left else len(arms) + 0.45
        rank, arm = ranks[index], arms[index]
        axis.plot([rank, rank, edge], [0, depth, depth], color="#555555", linewidth=0.6)
        axis.plot(rank, 0, style.marker(arm), color=style.colour(arm), markersize=4, clip_on=False)
        name = style.label(study, arm, 40)
        text = f"{name}  {rank:.1f}" if left else f"{rank:.1f}  {name}"
        axis.text(
            edge, depth, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", fontsize=7
        )
    for place, (begin, end) in enumerate(bars):
        axis.plot(
            [begin - 0.05, end + 0.05], [-0.5 - 0.42 * place] * 2, color="black", linewidth=2.2, solid_capstyle="butt"
        )
    axis.set_xlim(-2.2, len(arms) + 3.2)
    axis.set_ylim(-2 - 0.42 * len(bars) - half, 1.4)
    axis.plot([1, len(arms)], [0, 0], color="black", linewidth=0.8, zorder=0)
    for rank in range(1, len(arms) + 1):
        axis.plot([rank, rank], [0, 0.25], color="black", linewidth=0.8)
        axis.text(rank, 0.4, f"{rank}", ha="center", va="bottom", fontsize=7)
    axis.set_axis_off()
