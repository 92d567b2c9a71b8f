"""The paper's four tables with our numbers, and every figure of merit."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.data.catalog import DOMAINS
from wbc.data.splits import Split
from wbc.report.paper.comparison import Contrast, best_model
from wbc.report.paper.published import published_classes, published_counts
from wbc.report.render import Cell, Table, cells
from wbc.report.statistics import CHANCE, RESAMPLES, seed_interval, two_way_interval
from wbc.report.study import ScoredDomain, ScoredRun, Study, describe_model

ANALYSED: Final = "resnet50_gn"
"""The model that the paper's Table 3 and Fig. 5 look into."""
NOTHING: Final = "–"
_ENOUGH: Final = 5
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


def ablation(study: Study, contrasts: Sequence[Contrast]) -> Table | None:
    """Returns Table 2: fully-connected layers and batch norm, added and left out; None without one of the four rows."""
    domains = [domain for domain in (study.home, study.away) if domain]
    best = {domain.name: best_model(study, domain, contrasts, among=_ABLATION) for domain in domains}
    rows, data = [], []
    for model in (model for model in _ABLATION if model in study.models):
        row = describe_model(model)
        layers = {"fc": row.head == "fc" or row.backbone.startswith("vgg"), "bn": row.norm == "batch"}
        values = [_accuracy(study, model, domain, bold=best[domain.name] == model) for domain in domains]
        rows.append(cells(row.index, model, *("✓" if has else NOTHING for has in layers.values()), *values))
        data += [{**layers, **_numbers(study, model, domain)} for domain in domains]
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
    """Returns Table 3: precision, recall and F by class of the run closest to its model's mean on the first target.

    Its CSV has that run of every model. None where no target was scored.
    """
    domain = study.away
    if domain is None:
        return None
    model = analysed(study, domain)
    run = study.representative(model, domain.name)
    if run is None:
        return None
    metrics = run.metrics[domain.name]
    beside = study.profile == "paper" and model == ANALYSED and domain.name == "lisc"
    rows = []
    for name, label in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F-measure")):
        paper = [f"{value:.2f}" for value in published_classes()[name]] if beside else [""] * len(CLASSES)
        values = zip(getattr(metrics, name), paper, strict=True)
        rows.append(cells(label, *(Cell(text=percent(value), second=theirs, sort=value) for value, theirs in values)))
    every = [(each, study.representative(each, domain.name)) for each in study.models]
    return Table(
        name="table3",
        title=f"Table 3. {model} on {domain.name} by class, in %",
        note=(
            f"Run {run.stored.id}, seed {run.seed}: its accuracy of {percent(metrics.accuracy)} % is closest to the "
            f"mean of {_count(study.of(model, domain.name), 'seed')}. n = {metrics.images} images. {NOTHING}: no image "
            f"of the class, or never predicted.{' Second lines: the paper’s Table 3.' if beside else ''}"
        ),
        header=("", *ABBREVIATIONS),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame([row for each, found in every if found for row in _class_rows(each, found, domain)]),
    )


def accuracies(study: Study, contrasts: Sequence[Contrast]) -> Table:
    """Returns Table 4: the accuracy of every model on every domain, with both intervals and the trivial answers."""
    best = {domain.name: best_model(study, domain, contrasts) for domain in study.domains}
    rows = []
    for model in study.models:
        values = [_accuracy(study, model, domain, bold=best[domain.name] == model) for domain in study.domains]
        rows.append(cells(describe_model(model).index, model, *values))
    guesses = [Cell(text=percent(domain.majority), sort=domain.majority) for domain in study.domains]
    chance = [Cell(text=percent(CHANCE), sort=CHANCE)] * len(study.domains)
    trivial = (cells("", "always the largest class", *guesses), cells("", "a class at random", *chance))
    data = [_numbers(study, model, domain) for model in study.models for domain in study.domains]
    return Table(
        name="table4",
        title="Table 4. Accuracy in % of every model on every domain",
        note=reading(study),
        header=("", "model", *map(_heading, study.domains)),
        groups=(*_grouped(rows), trivial),
        left=2,
        data=pd.DataFrame(data),
    )


def merits(study: Study) -> Table:
    """Returns balanced accuracy, macro F1 and calibration error: the means over seeds, by model and domain."""
    names = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "ece": "calibration error"}
    rows, data = [], []
    for model in study.models:
        for domain in study.domains:
            runs = study.of(model, domain.name)
            values = {name: [getattr(run.metrics[domain.name], name) for run in runs] for name in names}
            text = [_merit(study, each) for each in values.values()]
            rows.append(cells(describe_model(model).index, model, domain.name, *text))
            data += [
                {"model": model, "domain": domain.name, "seed": run.seed, "run": run.stored.id}
                | {name: getattr(run.metrics[domain.name], name) for name in ("accuracy", *names)}
                for run in runs
            ]
    return Table(
        name="merits",
        title="Figures of merit that do not reward the largest class, in %",
        note=(
            f"Mean ± 95 % interval over seeds {study.seed_list()} (Student t). Classes that a domain has no images of "
            "are left out of the balanced accuracy (mean recall) and macro F1. Calibration error: 15 bins."
        ),
        header=("", "model", "domain", *names.values()),
        groups=_grouped(rows, len(study.domains)),
        left=3,
        data=pd.DataFrame(data),
    )


def _merit(study: Study, values: Sequence[float]) -> Cell:
    if not values:
        return Cell(text="missing")
    return Cell(text=seed_interval(values).percent() + study.few(len(values)), sort=float(np.mean(values)))


def analysed(study: Study, domain: ScoredDomain) -> str:
    """Returns the model to look into: the paper's, or the first that was scored on the domain."""
    scored = [model for model in study.models if study.of(model, domain.name)]
    return ANALYSED if ANALYSED in scored else scored[0]


def reading(study: Study) -> str:
    """Returns how to read accuracies with their intervals."""
    narrow = _NARROW if len(study.seeds) < _ENOUGH else ""
    return (
        f"Mean ± 95 % interval over seeds {study.seed_list()} (Student t); in brackets the interval over seeds and "
        f"images (two-way bootstrap, {RESAMPLES} draws{narrow}). Bold: best, and better than the next by a paired test "
        "over seeds and images, Holm-corrected, at 5 %."
    )


def percent(value: float) -> str:
    """Returns a share in percent to two decimals, and a dash for one that is not defined."""
    return NOTHING if np.isnan(value) else f"{100 * value:.2f}"


def _heading(domain: ScoredDomain) -> str:
    return f"{domain.name} (n = {len(domain.labels)})"


def _accuracy(study: Study, model: str, domain: ScoredDomain, *, bold: bool) -> Cell:
    values = study.accuracies(model, domain.name)
    if not values:
        return Cell(text="missing")
    interval = seed_interval(values)
    both = two_way_interval(study.hits(model, domain))
    second = f"[{percent(both[0])}, {percent(both[1])}]" if both else ""
    return Cell(text=interval.percent() + study.few(len(values)), second=second, bold=bold, sort=interval.mean)


def _numbers(study: Study, model: str, domain: ScoredDomain) -> dict[str, Any]:
    """Returns the numbers behind a cell of Table 2 or 4, in [0, 1], and the runs that they come from."""
    runs = study.of(model, domain.name)
    values = study.accuracies(model, domain.name)
    interval = seed_interval(values) if values else None
    low, high = (two_way_interval(study.hits(model, domain)) if runs else None) or (None, None)
    return {
        "index": describe_model(model).index,
        "model": model,
        "domain": domain.name,
        "accuracy": interval.mean if interval else None,
        "half_width_seeds": interval.half_width if interval else None,
        "low_seeds_images": low,
        "high_seeds_images": high,
        "n_seeds": len(runs),
        "n_images": len(domain.labels),
        "majority": domain.majority,
        "runs": " ".join(run.stored.id for run in runs),
    }


def _class_rows(model: str, run: ScoredRun, domain: ScoredDomain) -> Iterable[dict[str, Any]]:
    metrics = run.metrics[domain.name]
    for label, name in enumerate(CLASSES):
        merit = {key: getattr(metrics, key)[label] for key in ("precision", "recall", "f1")}
        counts = dict(zip((f"predicted_{each}" for each in CLASSES), metrics.confusion[label].tolist(), strict=True))
        yield {
            "model": model,
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
                profile = json.loads(dataset.profile)
                trained[dataset.name] = tuple(profile[name] for name in CLASSES)
    scored = [
        (domain.name, "home test" if domain.home else "target", tuple(np.bincount(domain.labels, minlength=5).tolist()))
        for domain in study.domains
    ]
    return [*((name, "training", counts) for name, counts in trained.items()), *scored]


def _title(name: str) -> str:
    """Returns what a split is of, by the catalogue; a user's folder goes by its name."""
    for domain in DOMAINS.values():
        if name in {Split(domain.key, split).name for split in domain.splits}:
            return domain.title
    return "folder" if name.startswith("folder_") else NOTHING


def _grouped(rows: list[tuple[Cell, ...]], per_model: int = 1) -> tuple[tuple[tuple[Cell, ...], ...], ...]:
    """Returns the rows in the paper's groups: ResNet50, VGG16, the later networks, and what the paper has not."""
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for row in rows:
        index, model = row[0].text, row[1].text
        backbone = describe_model(model).backbone
        family = next((each for each in ("vgg", "resnet50") if index and backbone.startswith(each)), index and "later")
        groups.setdefault(family or "others", []).append(row)
    return tuple(tuple(group) for group in groups.values())


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
