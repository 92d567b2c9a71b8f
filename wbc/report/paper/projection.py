"""Fig. 3: what the networks see, in two dimensions."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from threadpoolctl import threadpool_limits

from wbc.cells import CLASSES
from wbc.report import style
from wbc.report.files import read_embeddings
from wbc.report.study import ScoredDomain, Study
from wbc.report.style import Plot
from wbc.seeding import derive_seed, generator

PROJECTED: Final = ("resnet50", "vgg16", "resnet50_gn")
"""The models of the paper's Fig. 3."""
PER_CLASS: Final = 39
"""Cells of each class and domain in it: as many as LISC's smallest class has."""


def projections(study: Study) -> Plot:
    """Returns Fig. 3: the embeddings of the paper's three models in two dimensions, home and first target together."""
    return Plot(
        name="fig3_tsne",
        caption=f"Fig. 3. t-SNE of what the last layer is given, up to {PER_CLASS} cells of each class and domain, of "
        "each model's run closest to its mean. Marker: domain; colour: class.",
        figure=_draw(study),
    )


def _draw(study: Study) -> Figure | None:
    if not (study.home and study.away):
        return None
    domains = (study.home, study.away)
    panels = []
    for arm in study.named(PROJECTED):
        run = study.representative(arm, study.away.name)
        parts = [read_embeddings(run, domain.name) for domain in domains] if run else [None]
        if run and all(part is not None for part in parts):
            panels.append((arm, _project([part for part in parts if part is not None], domains)))
    if not panels:
        return None
    figure = style.new_figure(style.PAGE_IN, 2.75)
    for axis, (arm, (points, labels, places)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for place, _ in enumerate(domains):
            for label, colour in enumerate(style.CLASS_COLOURS):
                chosen = points[(labels == label) & (places == place)]
                look = {"s": 11, "linewidths": 0.8} if place == 0 else {"s": 9, "linewidths": 0.8, "facecolors": "none"}
                edge = {"color": colour} if place == 0 else {"edgecolors": colour}
                axis.scatter(*chosen.T, marker=style.DOMAIN_MARKERS[place], **look, **edge)
        axis.set_title(style.label(study, arm, 34), fontsize=7)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(True)
    handles = [
        Line2D([], [], marker="s", linestyle="", markersize=5, color=colour, label=name)
        for name, colour in zip(CLASSES, style.CLASS_COLOURS, strict=True)
    ] + [
        Line2D(
            [], [], marker=mark, linestyle="", markersize=4, color="#555555", markerfacecolor="none", label=domain.name
        )
        for domain, mark in zip(domains, style.DOMAIN_MARKERS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=7, columnspacing=1.0, handletextpad=0.2)
    return figure


def _project(
    embeddings: list[np.ndarray], domains: tuple[ScoredDomain, ScoredDomain]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns points in the plane, the class and the domain of each; standardised, with the same draws every time."""
    from sklearn.manifold import TSNE

    chosen = []
    for place, domain in enumerate(domains):
        rng = generator("t-SNE", domain.name)
        for label in range(len(CLASSES)):
            rows = np.flatnonzero(domain.labels == label)
            rows = rng.choice(rows, min(PER_CLASS, len(rows)), replace=False)
            chosen.append((embeddings[place][rows], np.full(len(rows), label), np.full(len(rows), place)))
    features, labels, places = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
    features = (features - features.mean(0)) / features.std(0).clip(min=1e-6)
    perplexity = min(30.0, (len(features) - 1) / 3)
    projection = TSNE(perplexity=perplexity, init="pca", random_state=derive_seed("t-SNE") % 2**32)
    with threadpool_limits(1):  # more threads wait for each other longer than they work, on a few hundred points
        return projection.fit_transform(features), labels, places
