"""Notes: the descriptions that MLflow's page shows of a run and of its model, with the main numbers, in Markdown."""

import json
import statistics
from collections.abc import Iterable
from typing import Final

from wbc.cells import CLASSES
from wbc.config import RunConfig
from wbc.data.catalog import find_domain
from wbc.data.corrupt import is_held
from wbc.data.splits import expand_targets, parse_sources
from wbc.models.catalog import seen_by
from wbc.models.seen import is_seen, marked, meaning
from wbc.tracking import schema
from wbc.tracking.read import StoredDataset, StoredRun
from wbc.words import number_of

_REGISTERED: Final = "white-blood-cells"
"""What the registry calls the model."""
_LONGEST: Final = 7_500
"""Characters of a note; MLflow takes 8,000 in a tag."""


def main_figures(run: StoredRun, scores: Iterable[str]) -> dict[str, float]:
    """Returns by metric the accuracy at home, away, and the drop between them, each domain of `scores` counting once.

    Adapted scores and those on held-out images do not count. What has no domain is left out.
    """
    roles = {each.name: each.role for each in _tested(run)}
    by_role: dict[str, list[float]] = {"home": [], "away": []}
    for name in scores:
        if "/" not in name and not is_held(name):
            by_role[roles[name]].append(run.metrics[schema.score(name, "accuracy")])
    at_home, away = (statistics.fmean(values) if values else None for values in by_role.values())
    drop = at_home - away if at_home is not None and away is not None else None
    figures = {schema.AT_HOME: at_home, schema.AWAY: away, schema.DROP: drop}
    return {name: value for name, value in figures.items() if value is not None}


def run_note(run: StoredRun, config: RunConfig) -> str:
    """Returns what a run is, its accuracy at home and away, and a table of its scores; `run` holds its figures.

    A note that somebody has written there stays as it is.
    """
    opening = (
        f"**{config.arm.name}, seed {config.seed}**, of the study {config.profile}: trained on {config.source} for "
        f"{number_of(config.epochs, 'epoch')}."
    )
    kept = run.tags.get(schema.NOTE, opening)
    return fitted([opening, "", *_scores(run, config)]) if kept.startswith(opening) else kept


def model_card(run: StoredRun, config: RunConfig) -> str:
    """Returns what a run's model is, what it was trained and tested on, and what it must not be used for."""
    splits = [*parse_sources(config.source), *(expand_targets(",".join(config.targets)) if config.targets else ())]
    domains = {split.key: find_domain(split.key) for split in splits}.values()
    cautions = [f"- {domain.key}: {domain.caution}" for domain in domains if domain.caution]
    trained = [f"{each.name} ({_images(each)} images)" for each in run.datasets if each.role == "training"]
    return fitted(
        [
            f"**{config.arm.name}, seed {config.seed}**: uint8 images of single white blood cells in, probabilities of "
            f"{', '.join(CLASSES)} out.",
            "",
            f"**Trained on** {', '.join(trained)}: {number_of(config.epochs, 'epoch')} at {config.image_size} pixels, "
            f"scale {config.scale}, from weights {config.pretrained}.",
            "",
            "**Tested on**",
            "",
            *_scores(run, config),
            "",
            "**Must not be used for**",
            "",
            "- Diagnosis, or any decision about a patient. It is a model of a benchmark.",
            "- Slides of labs, stains or microscopes that are not in the table. Nobody knows its accuracy there.",
            "- Other cells, such as blasts, or images of no cell. It calls each of them one of its five classes.",
            *(["", "**Of these images**", "", *cautions] if cautions else []),
        ]
    )


def registration(model_id: str) -> list[str]:
    """Returns Python that registers a run's model, with its card as the version's description, fenced."""
    return [
        "```python",
        "import mlflow",
        f'model = mlflow.get_logged_model("{model_id}")',
        f'version = mlflow.register_model(model.model_uri, "{_REGISTERED}")',
        f'card = model.tags.get("{schema.NOTE}")',
        "mlflow.MlflowClient().update_model_version(version.name, version.version, card)",
        "```",
    ]


def fitted(lines: Iterable[str]) -> str:
    """Returns lines as one text, without the last ones where it would be longer than MLflow takes."""
    kept, left = list[str](), _LONGEST
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)


def _scores(run: StoredRun, config: RunConfig) -> list[str]:
    """Returns the main figures of a run and the table of its scores, home before away, with marks of labs seen."""
    keys = seen_by(config.model, config.pretrained)
    said = {schema.AT_HOME: "at home", schema.AWAY: "away"}
    main = [f"{_percent(run.metrics[name])} {words}" for name, words in said.items() if name in run.metrics]
    main += [f"a drop of {100 * run.metrics[schema.DROP]:.1f} points"] if schema.DROP in run.metrics else []
    lines = [f"Accuracy: {', '.join(main)}.", ""] if main else []
    lines += ["| scored on | role | images | accuracy | balanced accuracy |", "|---|---|---:|---:|---:|"]
    for each in sorted(_tested(run), key=lambda each: (each.role != "home", each.name)):
        accuracy, balanced = (run.metrics[schema.score(each.name, name)] for name in schema.TOLD)
        values = (marked(each.name, keys), each.role, _images(each), _percent(accuracy), _percent(balanced))
        lines.append(f"| {' | '.join(values)} |")
    if any(is_seen(each.name, keys) for each in _tested(run)):
        lines += ["", meaning(config.model)]
    return lines


def _tested(run: StoredRun) -> list[StoredDataset]:
    """Returns the data sets that a run holds scores on."""
    scored = [
        each for each in run.datasets if all(schema.score(each.name, name) in run.metrics for name in schema.TOLD)
    ]
    return [each for each in scored if each.role in ("home", "away")]


def _images(dataset: StoredDataset) -> str:
    return str(json.loads(dataset.profile or "{}").get("num_rows", "–"))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
