"""Views: how MLflow's page first shows the runs of a study. They are tags of the experiment, and its menu lists them.

The page of MLflow 3.17 reads a tag `mlflow.sharedViewState.<key>`: JSON of a view's name, its times and its state. The
state is JSON once more: filter, order, columns, grouping and charts.
"""

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import mlflow
from mlflow.entities import Run

from wbc.settings import Settings, settings_for
from wbc.tracking import schema
from wbc.tracking.connection import insist, store_errors

if TYPE_CHECKING:
    from wbc.tracking.read import StoredRun

_SHARED: Final = "mlflow.sharedViewState."
_MODE: Final = {"workflowType": "machine_learning"}
"""MLflow's page opens among traces of language models, unless its address says otherwise."""
_METRICS: Final = (schema.AT_HOME, schema.AWAY, schema.DROP)
_ABOUT: Final = "White blood cells under domain shift: each run is one model, method and seed, scored at home and away."
_SCATTER: Final = "home × away"
_VIEWS: Final = {
    "by model": (("tag", schema.ARM), (schema.AWAY, schema.AT_HOME, schema.DROP, _SCATTER)),
    "home and away": (("tag", schema.ARM), (_SCATTER, schema.AT_HOME, schema.AWAY, schema.DROP)),
    "methods": (("param", schema.METHOD), (schema.AWAY, schema.AT_HOME, schema.DROP, _SCATTER)),
}
"""By name what a view groups by, and its charts in order: bars of a metric, or home against away."""
_AUTO: Final = "auto"
"""What `mlflow run` logs as a parameter that the study sets."""
_TOLD_APART: Final = (
    schema.SOURCE,
    *(field.name for field in dataclasses.fields(Settings) if field.name not in settings_for("free")),
)


@store_errors()
def prepare_views(
    experiment_id: str, study: str, *, renew: bool = True, runs: "Iterable[StoredRun] | None" = None
) -> None:
    """Gives an experiment the views of a study, and a description that links to them.

    Runs of one model in different settings stand in groups apart: each mean is over runs that differ in the seed alone.
    A view that somebody has changed on the page stays as it is, and so does a description of somebody's own. Without
    `renew` views that are there stay as they are, which takes no look at the runs. `runs` of the study, if
    they have been read already, are not read again.
    """
    client = mlflow.MlflowClient()
    experiment = client.get_experiment(experiment_id)
    tags, made_ms = dict(experiment.tags), experiment.creation_time or 0
    if not renew and all(f"{_SHARED}{_key(study, name)}" in tags for name in _VIEWS):
        return
    if runs is None:
        settings = [(run.data.tags, run.data.params) for run in _runs(experiment_id, _complete(study))]
    else:
        own = [run for run in runs if run.experiment_id == experiment_id]
        settings = [(run.tags, run.params) for run in own if run.tags.get(schema.COMPLETE) == "true"]
    apart = _varying(settings)
    wanted = {}
    for name in reversed(_VIEWS):
        key, made_ms = f"{_SHARED}{_key(study, name)}", made_ms + 1  # the page lists the last that was made first
        if not _changed_by_hand(tags.get(key, "")):
            wanted[key] = _tag(f"{study}: {name}", _state(study, apart, *_VIEWS[name]), made_ms)
    if tags.get(schema.NOTE, _ABOUT).startswith(_ABOUT):
        wanted[schema.NOTE] = _description(experiment_id, tags | wanted)
    for key, value in wanted.items():
        if tags.get(key) != value:  # where another process writes it at this moment, a store may refuse it once
            insist(partial(client.set_experiment_tag, experiment_id, key, value))


@store_errors()
def view_addresses() -> dict[str, str]:
    """Renews all views; returns by study the address, below a server's, of its view by model, the newest run first."""
    found: list[tuple[int, str, str]] = []
    for experiment in mlflow.MlflowClient().search_experiments():
        for name, key in _named(experiment.tags).items():
            study, _, view = name.rpartition(": ")
            if view == next(iter(_VIEWS)) and "'" not in study:  # no study's name has one, and a filter would end at it
                prepare_views(experiment.experiment_id, study)
                newest = _runs(experiment.experiment_id, _of(study), most=1)
                started_ms = newest[0].info.start_time if newest else 0
                found.append((started_ms or 0, study, page(f"experiments/{experiment.experiment_id}/runs", key)))
    addresses: dict[str, str] = {}
    for _, study, address in sorted(found, reverse=True):
        addresses.setdefault(study, address)
    return addresses


def page(path: str, view: str | None = None) -> str:
    """Returns a page's address below the server's, in MLflow's mode for training; with a view, its charts open."""
    opened = {"viewStateShareKey": view, "compareRunsMode": "CHART"} if view else {}
    return f"#/{path}?{urlencode(_MODE | opened)}"


def _of(study: str) -> str:
    return f"tags.{schema.PROFILE} = '{study}'"


def _complete(study: str) -> str:
    return f"tags.{schema.COMPLETE} = 'true' AND {_of(study)}"


def _runs(experiment_id: str, wanted: str, most: int = 50_000) -> list[Run]:
    """Returns the runs of an experiment that an MLflow filter selects, the newest first."""
    runs: list[Run] = mlflow.search_runs(
        [experiment_id], wanted, max_results=most, order_by=["attributes.start_time DESC"], output_format="list"
    )
    return runs


def _varying(runs: Iterable[tuple[Mapping[str, str], Mapping[str, str]]]) -> list[str]:
    """Returns the settings in which runs of one arm, given as tags and parameters, differ; "auto" is like any value."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for tags, params in runs:
        for name in _TOLD_APART:
            values[name, tags.get(schema.ARM, "")].add(params.get(name, _AUTO))
    varying = {name for (name, _), found in values.items() if len(found - {_AUTO}) > 1}
    return [name for name in _TOLD_APART if name in varying]


def _key(study: str, name: str) -> str:
    return re.sub(r"[^\w-]+", "-", f"{study}-{name}")


def _tag(name: str, state: dict[str, Any], made_ms: int) -> str:
    return json.dumps({"name": name, "createdAt": made_ms, "updatedAt": made_ms, "state": json.dumps(state)})


def _read(tag: str) -> dict[str, Any]:
    """Returns what a tag says of a view; nothing where it is no view with a name."""
    with suppress(ValueError, RecursionError):
        view = json.loads(tag)
        return view if isinstance(view, dict) and "name" in view else {}
    return {}


def _changed_by_hand(tag: str) -> bool:
    view = _read(tag)
    return view.get("createdAt") != view.get("updatedAt")


def _named(tags: dict[str, str]) -> dict[str, str]:
    """Returns the keys of an experiment's views by their names."""
    shared = {key.removeprefix(_SHARED): _read(value) for key, value in tags.items() if key.startswith(_SHARED)}
    return {str(view["name"]): key for key, view in shared.items() if view}


def _description(experiment_id: str, tags: dict[str, str]) -> str:
    links = [f"- [{name}]({page(f'experiments/{experiment_id}/runs', key)})" for name, key in _named(tags).items()]
    return "\n".join([_ABOUT, "", "Views, which the menu at the top right lists too:", "", *sorted(links)])


def _state(study: str, apart: list[str], group: tuple[str, str], charts: tuple[str, ...]) -> dict[str, Any]:
    """Returns what a view shows: the complete runs of a study in groups, the best away first, and its charts."""
    keys = [group, *(("param", name) for name in apart)]
    section = {"uuid": "accuracy", "name": "accuracy", "display": True, "isReordered": False}
    return {
        "searchFilter": _complete(study),
        "orderByKey": f"metrics.`{schema.AWAY}`",
        "orderByAsc": False,
        "selectedColumns": [f"metrics.`{name}`" for name in _METRICS] + [f"params.`{schema.SEED}`"],
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": mode, "groupByData": name} for mode, name in keys],
        },
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [_chart(name) for name in charts],
        "compareRunSections": [section],
    }


def _chart(name: str) -> dict[str, Any]:
    chart = {"uuid": name, "metricSectionId": "accuracy", "deleted": False, "isGenerated": False}
    if name == _SCATTER:
        axes = {"xaxis": schema.AT_HOME, "yaxis": schema.AWAY}
        return {**chart, "type": "SCATTER"} | {axis: {"key": key, "type": "METRIC"} for axis, key in axes.items()}
    return {**chart, "type": "BAR", "metricKey": name}
