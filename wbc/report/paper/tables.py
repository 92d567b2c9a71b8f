"""The paper's four tables with our numbers, and every figure of merit."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import pandas as pd

from wbc.arms import Arm
from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.report.names import in_sentence, name_cell
from wbc.report.paper.comparison import GROUP_NORM, not_comparable
from wbc.report.paper.domains import cautions, domain_of
from wbc.report.paper.published import AWAY, published_classes, published_counts
from wbc.report.render import NOTHING, Cell, Table, cells, percent
from wbc.report.seeds import ENOUGH, how_over_seeds, interval_of, over_seeds
from wbc.report.statistics import CHANCE, RESAMPLES, two_way_interval
from wbc.report.study import ScoredDomain, ScoredRun, Study, describe_arm

ANALYSED: Final = "resnet50_gn"
"""The model that the paper's Table 3 and Fig. 5 look into."""
_NARROW: Final = "; too narrow with so few seeds, of whose variance it sees but a part"
_ABLATION: Final = ("resnet50", "resnet50_fc", "vgg16", "vgg16_bn")


def data_sets(study: Study) -> Table:
    """Returns Table 1: images of each class as prepared, with the paper's counts where it has the set."""
    published = published_counts()
    rows, data = [], []
    for name, use, counts in _counts(study):
        paper = published.get(name, [])
        theirs = [f"{count:,}" for count in (*paper, sum(paper))] if paper else [""] * 6
        numbers = [
            Cell(text=f"{ours:,}", second=second, sort=ours)
            for ours, second in zip((*counts, sum(counts)), theirs, strict=True)
        ]
        rows.append(cells(name, _title(name), use, *numbers))
        beside = {f"published_{cell}": count for cell, count in zip(CLASSES, paper, strict=False)}
        data.append({"domain": name, "use": use, **dict(zip(CLASSES, counts, strict=True)), **beside})
    shared = any(cell.second for row in rows for cell in row)
    return Table(
        name="table1",
        title="Table 1. Images of each class, as prepared",
        note="Second lines: the paper's Table 1." if shared else "The paper's Table 1 has none of these sets.",
        header=("domain", "images", "use", *ABBREVIATIONS, "total"),
        groups=(tuple(rows),),
        left=3,
        data=pd.DataFrame(data),
        wide=1,
    )


def ablation(study: Study) -> Table | None:
    """Returns Table 2: fully-connected layers and batch norm, added and left out; None without one of the four rows."""
    domains = [domain for domain in (study.home, study.away) if domain]
    arms = study.named(_ABLATION)
    best = {domain.name: study.best(domain, arms) for domain in domains}
    rows, data = [], []
    for arm in arms:
        row = describe_arm(arm)
        layers = {"fc": row.head == "fc" or row.backbone.startswith("vgg"), "bn": row.norm == "batch"}
        values = [_accuracy(study, arm, domain, bold=best[domain.name] == arm) for domain in domains]
        marks = ("✓" if has else NOTHING for has in layers.values())
        rows.append((arm, cells(row.index, name_cell(study, arm), *marks, *values)))
        data += [{**layers, **_numbers(study, arm, domain)} for domain in domains]
    if not rows:
        return None
    return Table(
        name="table2",
        title="Table 2. Fully-connected layers (FC) and batch norm (BN), added and left out: accuracy in %",
        note=reading(study),
        header=("", "model", "FC", "BN", *map(_heading, domains)),
        groups=_grouped(rows),
        left=4,
        data=pd.DataFrame(data),
    )


def classes(study: Study) -> Table | None:
    """Returns Table 3: precision, recall and F by class of the run closest to its arm's mean on the first target.

    Its CSV has that run of every arm. None where no target was scored.
    """
    domain = study.away
    if domain is None:
        return None
    run = analysed(study, domain)
    if run is None:
        return None
    metrics = run.metrics[domain.name]
    beside = run.arm.name == ANALYSED and domain.name == AWAY and not not_comparable(study, domain)
    lines = f" Second lines: the paper’s Table 3.{GROUP_NORM}" if beside else ""
    rows = []
    for merit, label in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F-measure")):
        paper = [f"{value:.2f}" for value in published_classes()[merit]] if beside else [""] * len(CLASSES)
        values = zip(getattr(metrics, merit), paper, strict=True)
        rows.append(cells(label, *(Cell(text=percent(value), second=theirs, sort=value) for value, theirs in values)))
    every = [study.representative(arm, domain.name) for arm in study.arms]
    return Table(
        name="table3",
        title=f"Table 3. {in_sentence(study, run.arm)} on {domain.name} by class, in %",
        note=(
            f"Run {run.stored.id}, seed {run.seed}: its accuracy of {percent(metrics.accuracy)} % is closest to the "
            f"mean of {_count(study.of(run.arm, domain.name), 'seed')}. n = {metrics.images} images. {NOTHING}: no "
            f"image of the class, or never predicted.{lines}"
        ),
        header=("", *ABBREVIATIONS),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame([row for found in every if found for row in _class_rows(study, found, domain)]),
    )


def accuracies(study: Study) -> Table:
    """Returns Table 4: the accuracy of every model on every domain, with both intervals and the trivial answers."""
    best = {domain.name: study.best(domain, study.arms) for domain in study.domains}
    rows = []
    for arm in study.arms:
        values = [_accuracy(study, arm, domain, bold=best[domain.name] == arm) for domain in study.domains]
        rows.append((arm, cells(describe_arm(arm).index, name_cell(study, arm), *values)))
    guesses = [Cell(text=percent(domain.majority), sort=domain.majority) for domain in study.domains]
    chance = [Cell(text=percent(CHANCE), sort=CHANCE)] * len(study.domains)
    trivial = (cells("", "always the largest class", *guesses), cells("", "a class at random", *chance))
    data = [_numbers(study, arm, domain) for arm in study.arms for domain in study.domains]
    return Table(
        name="table4",
        title="Table 4. Accuracy in % of every model on every domain",
        note=reading(study) + cautions(study),
        header=("", "model", *map(_heading, study.domains)),
        groups=(*_grouped(rows), trivial),
        left=2,
        data=pd.DataFrame(data),
    )


def merits(study: Study) -> Table:
    """Returns balanced accuracy, macro F1 and calibration error: the means over seeds, by model and domain."""
    names = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "ece": "calibration error"}
    rows, data, samples = [], [], []
    for arm in study.arms:
        for domain in study.domains:
            runs = study.of(arm, domain.name)
            values = {name: [getattr(run.metrics[domain.name], name) for run in runs] for name in names}
            samples.append(values)
            text = [_merit(study, each) for each in values.values()]
            rows.append((arm, cells(describe_arm(arm).index, name_cell(study, arm), domain.name, *text)))
            data += [
                {"model": study.label(arm), "domain": domain.name, "seed": run.seed, "run": run.stored.id}
                | {name: getattr(run.metrics[domain.name], name) for name in ("accuracy", *names)}
                for run in runs
            ]
    return Table(
        name="merits",
        title="Figures of merit that do not reward the largest class, in %",
        note=(
            f"{how_over_seeds([row[name] for row in samples for name in names], study.seed_list())} Classes that a "
            "domain has no images of are left out of the balanced accuracy (mean recall) and macro F1. Calibration "
            "error: 15 bins."
        ),
        header=("", "model", "domain", *names.values()),
        groups=_grouped(rows),
        left=3,
        appendix=True,
        data=pd.DataFrame(data),
    )


def _merit(study: Study, values: Sequence[float]) -> Cell:
    if not values:
        return Cell(text="missing")
    return Cell(text=over_seeds(values, len(study.seeds)), sort=float(np.mean(values)))


def analysed(study: Study, domain: ScoredDomain) -> ScoredRun | None:
    """Returns the run to look into, closest to its arm's mean: of the paper's arm, or of the first that was scored."""
    runs = (study.representative(arm, domain.name) for arm in [*study.named([ANALYSED]), *study.arms])
    return next((run for run in runs if run), None)


def reading(study: Study) -> str:
    """Returns how to read accuracies with their intervals."""
    scores = [study.accuracies(arm, domain.name) for arm in study.arms for domain in study.domains]
    told = how_over_seeds(scores, study.seed_list())
    if any(len(values) > 1 for values in scores):
        narrow = _NARROW if any(1 < len(values) < ENOUGH for values in scores) else ""
        told += f" In brackets: the 95 % interval over seeds and images (two-way bootstrap, {RESAMPLES} draws{narrow})."
    return (
        f"{told} Bold: best, and better than the next by a test over seeds and images at 5 %, over all pairs of models "
        "(Holm)."
    )


def _heading(domain: ScoredDomain) -> str:
    return f"{domain.name} (n = {len(domain.labels)})"


def _accuracy(study: Study, arm: Arm, domain: ScoredDomain, *, bold: bool) -> Cell:
    values = study.accuracies(arm, domain.name)
    if not values:
        return Cell(text="missing")
    both = two_way_interval(study.hits(arm, domain))
    second = f"[{percent(both[0])}, {percent(both[1])}]" if both else ""
    return Cell(text=over_seeds(values, len(study.seeds)), second=second, bold=bold, sort=float(np.mean(values)))


def _numbers(study: Study, arm: Arm, domain: ScoredDomain) -> dict[str, Any]:
    """Returns the numbers behind a cell of Table 2 or 4, in [0, 1], and the runs that they come from."""
    runs = study.of(arm, domain.name)
    values = study.accuracies(arm, domain.name)
    interval = interval_of(values)
    low, high = (two_way_interval(study.hits(arm, domain)) if runs else None) or (None, None)
    return {
        "index": describe_arm(arm).index,
        "model": study.label(arm),
        "domain": domain.name,
        "accuracy": float(np.mean(values)) if values else None,
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
        "half_width_seeds": interval.half_width if interval else None,
        "low_seeds_images": low,
        "high_seeds_images": high,
        "n_seeds": len(runs),
        "n_images": len(domain.labels),
        "majority": domain.majority,
        "runs": " ".join(run.stored.id for run in runs),
    }


def _class_rows(study: Study, run: ScoredRun, domain: ScoredDomain) -> Iterable[dict[str, Any]]:
    metrics = run.metrics[domain.name]
    for label, name in enumerate(CLASSES):
        merit = {key: getattr(metrics, key)[label] for key in ("precision", "recall", "f1")}
        counts = dict(zip((f"predicted_{each}" for each in CLASSES), metrics.confusion[label].tolist(), strict=True))
        yield {
            "model": study.label(run.arm),
            "domain": domain.name,
            "run": run.stored.id,
            "seed": run.seed,
            "class": name,
            **merit,
            **counts,
        }


def _counts(study: Study) -> list[tuple[str, str, tuple[int, ...]]]:
    """Returns name, use and class counts of each data set: what was trained on, then what was scored."""
    trained = {}
    for run in study.runs:
        for dataset in run.stored.datasets:
            if dataset.context == "training" and dataset.profile:
                with suppress(ValueError, TypeError, KeyError):  # a damaged one is not counted
                    counts = json.loads(dataset.profile)
                    trained[dataset.name] = tuple(int(counts[name]) for name in CLASSES)
    scored = [
        (domain.name, "home test" if domain.home else "target", tuple(np.bincount(domain.labels, minlength=5).tolist()))
        for domain in study.domains
    ]
    return [*((name, "training", counts) for name, counts in trained.items()), *scored]


def _title(name: str) -> str:
    """Returns what a split is of, by the catalogue; a user's folder goes by its name."""
    domain = domain_of(name)
    if domain:
        return domain.title
    return "folder" if name.startswith("folder_") else NOTHING


def _grouped(rows: list[tuple[Arm, tuple[Cell, ...]]]) -> tuple[tuple[tuple[Cell, ...], ...], ...]:
    """Returns the rows in the paper's groups: ResNet50, VGG16, the later networks, and what the paper has not."""
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for arm, row in rows:
        model = describe_arm(arm)
        family = next((each for each in ("vgg", "resnet50") if model.backbone.startswith(each)), "later")
        groups.setdefault(family if model.index else "others", []).append(row)
    return tuple(tuple(group) for group in groups.values())


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
