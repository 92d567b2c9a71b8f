"""`python -m benchmarks.paper FILE...`: the hours of the paper's runs, at the rates of result files."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from wbc.methods.catalog import find_adaptation, unsuited
from wbc.models.catalog import PAPER_ROWS, find_model
from wbc.studies import STUDIES

PAPER_IMAGES: Final = 10_175
"""Of RaabinWBC's training set: paper, Table 1."""
SCORED_IMAGES: Final = 4_339 + 2_119 + 257 + 351
"""Of Raabin's Test-A and Test-B, LISC and BCCD."""
Rates = Mapping[str, Mapping[str, float | None]]


def rates_of(report: Mapping[str, Any]) -> Rates:
    """Returns the images per second of each model: by precision in a file of rates, by side in one of the benchmark.

    A file of rates may say which models were not measured, and whose rates they are `taken_as`.
    """
    if "images_per_s" in report:
        rates: Rates = report["images_per_s"]
        return {**rates, **{model: rates[other] for model, other in report.get("taken_as", {}).items()}}
    epochs = [each for each in report["results"] if each["name"].endswith("_epoch")]
    return {each["name"].removesuffix("_epoch"): {side: each[side] for side in ("baseline", "ours")} for each in epochs}


def paper_cost(rates: Rates) -> dict[str, Any]:
    """Returns the hours that the paper's 90 runs would take, of the models that there are rates of.

    Where a model has no rate of one kind, that of the first kind is taken: those are `taken_from_first`.
    """
    models = [model for model in PAPER_ROWS if model in rates]
    kinds = list(rates[models[0]]) if models else []
    images = STUDIES["paper"].seeds * STUDIES["paper"].epochs * PAPER_IMAGES
    hours = {
        kind: sum(images / (rates[model].get(kind) or rates[model][kinds[0]] or 0.0) for model in models) / 3600
        for kind in kinds
    }
    return {
        "models": models,
        "of": len(PAPER_ROWS),
        "images_per_model": images,
        "hours": {kind: round(value, 1) for kind, value in hours.items()},
        "saved": {kind: round(1 - hours[kind] / hours[kinds[0]], 3) for kind in kinds[1:]},
        "taken_from_first": {kind: [model for model in models if not rates[model].get(kind)] for kind in kinds[1:]},
    }


def cost_told(report: Mapping[str, Any]) -> str:
    """Returns the cost of the paper by a file of rates or of the benchmark, in a sentence; nothing where none is."""
    cost = paper_cost(rates_of(report))
    if not cost["models"]:
        return ""
    first, *others = cost["hours"]
    unit = "GPU" if report["machine"]["device"] == "cuda" else "CPU-core"
    told = [f"{cost['hours'][first]:,} {unit}-hours {first}"]
    for kind in others:
        taken = cost["taken_from_first"][kind]
        but = f", {', '.join(taken)} not measured and taken as {first}" if taken else ""
        told.append(f"{cost['hours'][kind]:,} {kind} ({100 * cost['saved'][kind]:.0f} % less{but})")
    study = STUDIES["paper"]
    alike = "".join(f" {model} is taken as {other}." for model, other in report.get("taken_as", {}).items())
    return (
        f"{len(cost['models'])} of the paper's {cost['of']} models × {study.seeds} seeds × {study.epochs} epochs × "
        f"{PAPER_IMAGES:,} images: {', '.join(told)}.{alike}"
    )


def adaptations_told(report: Mapping[str, Any]) -> str:
    """Returns what the adaptations of the study `paper` add, by a file that has a rate of scoring; else nothing."""
    study = STUDIES["paper"]
    rates = [each["images_per_s"] for each in report.get("results", []) if each["name"] == "scoring"]
    norms = [find_model(model).norm for model in study.models]
    suited = [name for norm in norms for name in study.adapt if not unsuited(name, norm)]
    passes = sum(find_adaptation(name).passes for name in suited)
    if not rates or not passes:
        return ""
    images = study.seeds * passes * SCORED_IMAGES
    rate = float(np.median(rates[0][study.precision]))
    return (
        f" Adaptations {', '.join(study.adapt)}: {images:,} further passes of an image, {images / rate / 60:.1f} "
        f"minutes at the {rate:,.0f} images/s that ResNet50 scores."
    )


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="in benchmarks/results")
    for path in parser.parse_args().files:
        try:
            report = json.loads(path.read_bytes())
            told = cost_told(report) or "no rates of an epoch."
            print(f"{report['machine']['name']}, {report['date']}: {told}{adaptations_told(report)}")
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            parser.error(f"{path} holds no rates: {error!r}")


if __name__ == "__main__":
    _main()
