"""What scoring logs to a run: of each domain its predictions, embeddings, pictures and figures of merit.

The tag `scored_as.<domain>` is written last. A domain that has it is not scored again, and never overwritten by another
that goes by the same name.
"""

import dataclasses
import math
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import mlflow
from mlflow.entities import Dataset, RunTag

from wbc.cells import CLASSES
from wbc.config import RunConfig
from wbc.data.fetch.checksums import file_sha256
from wbc.data.images import Images, Listing
from wbc.errors import TrackingError
from wbc.evaluation.confusion import draw_confusion
from wbc.evaluation.metrics import Metrics
from wbc.evaluation.records import Predictions, write_predictions
from wbc.evaluation.samples import draw_samples
from wbc.tracking import schema
from wbc.tracking.claims import Claim
from wbc.tracking.connection import store_errors
from wbc.tracking.datasets import log_input, short
from wbc.tracking.notes import main_figures, model_card, run_note
from wbc.tracking.read import StoredRun, stored_run
from wbc.tracking.whole import is_scored, lack

_FIGURES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
_BY_CLASS: Final = ("precision", "recall", "f1")


class ScoreLog:
    """The scores of one run; a TrackingError tells that the store fails."""

    def __init__(self, run_id: str, config: RunConfig, claim: Claim | None = None) -> None:
        """Takes the claim to a run that is open for writing."""
        self.id, self._config, self._claim = run_id, config, claim
        self._scores: dict[str, str] = {}

    @store_errors()
    def has(self, listing: Listing, scored_as: str) -> bool:
        """Returns whether the run holds this score, whole.

        Raises:
            TrackingError: it holds one of other images that go by the same name.
        """
        run = self._stored()
        logged = run.scored.get(listing.name)
        earlier = [each for each in run.datasets if each.name == listing.name and each.role != "training"]
        if run.trained_as is None and schema.score(listing.name, "accuracy") in run.metrics:  # of before, or of a file
            other = all(each.digest != short(listing.digest) for each in earlier)
            logged = logged or ("" if other else scored_as)
        if logged not in (None, scored_as):
            origin = f"{earlier[0].origin} ({earlier[0].digest[:8]})" if earlier else "other images"
            raise TrackingError(
                f"run {self.id} holds scores on '{listing.name}' of {origin}; these images ({listing.digest[:8]}) go "
                "by the same name: give their folder another one."
            )
        found = logged == scored_as and (run.trained_as is None or is_scored(run, listing.name, scored_as))
        if found:
            self._scores[listing.name] = scored_as
        return found

    def log(
        self, images: Images, role: schema.Role, scored_as: str, predictions: Predictions, metrics: Metrics
    ) -> None:
        """Logs a domain's score; figures that a stopped process logged already stay as they are.

        Raises:
            BusyError: another process took the run over.
        """
        name = images.name
        with tempfile.TemporaryDirectory() as text:
            record = schema.records(name)
            pictures = [schema.samples(name), schema.confusion(name)] if schema.embeddings(name) in record else []
            for artifact in (*record, *pictures):
                Path(text, artifact).parent.mkdir(parents=True, exist_ok=True)
            write_predictions(predictions, *(Path(text, artifact) for artifact in record))
            if pictures:  # of a plain score
                samples, confusion = (Path(text, picture) for picture in pictures)
                draw_samples(images.ids, images.labels, images.pixels).save(samples)
                draw_confusion(metrics, f"{self._config.name} on {name}").savefig(confusion, dpi=150)
            tags = {schema.sha256(artifact): file_sha256(Path(text, artifact)) for artifact in record}
            self._confirm()
            with store_errors():
                mlflow.log_artifacts(text, run_id=self.id)
        with store_errors():
            self._log_score(images, role, metrics)
            self._confirm()
            tags[schema.scored_as(name)] = scored_as
            mlflow.MlflowClient().log_batch(self.id, tags=[RunTag(key, value) for key, value in tags.items()])
        self._scores[name] = scored_as

    @store_errors()
    def log_rate(self, images_per_s: float) -> None:
        """Logs how fast images were scored: to the run alone, once, as it tells of its machine and not of its model."""
        self._confirm()
        if schema.SCORED_PER_S not in self._stored().metrics:
            mlflow.MlflowClient().log_metric(self.id, schema.SCORED_PER_S, images_per_s)

    @store_errors()
    def accuracies(self, domains: Iterable[str]) -> dict[str, float]:
        """Returns the accuracy logged for each of the domains, in [0, 1]."""
        metrics = self._stored().metrics
        return {domain: metrics[schema.score(domain, "accuracy")] for domain in domains}

    @store_errors()
    def recalls(self, domains: Iterable[str]) -> dict[str, dict[str, float]]:
        """Returns by domain the recall of each class that has images there, in [0, 1]."""
        metrics = self._stored().metrics
        named = {domain: {cell: schema.score(domain, f"recall/{cell}") for cell in CLASSES} for domain in domains}
        return {domain: {c: metrics[m] for c, m in each.items() if m in metrics} for domain, each in named.items()}

    @store_errors()
    def figure(self, name: str, figure: str) -> float:
        """Returns a figure of merit of one score, such as balanced_accuracy, in [0, 1]."""
        return self._stored().metrics[schema.score(name, figure)]

    @store_errors()
    def classes_predicted(self, name: str) -> int:
        """Returns how many of the five classes a score ever predicts: the others have no precision."""
        metrics = self._stored().metrics
        return sum(schema.score(name, f"precision/{cell}") in metrics for cell in CLASSES)

    @store_errors()
    def complete(self) -> None:
        """Logs the main figures, describes the run and marks it as complete, having looked whether all is there.

        Raises:
            TrackingError: something that it rests on is not.
        """
        self._confirm()
        run = self._stored()
        missing = lack(dataclasses.replace(run, tags=run.tags | {schema.COMPLETE: "true"}), self._scores)
        if missing:
            raise TrackingError(f"run {self.id} cannot be completed, since {missing}: run the same command again.")
        figures = main_figures(run, self._scores)
        described = dataclasses.replace(run, metrics=run.metrics | figures)
        self._log_figures(figures)
        tags = [RunTag(schema.NOTE, self._note(described)), RunTag(schema.COMPLETE, "true")]
        mlflow.MlflowClient().log_batch(self.id, tags=tags)

    @store_errors()
    def describe(self) -> None:
        """Describes a run that has got further scores, and its model."""
        self._confirm()
        mlflow.MlflowClient().set_tag(self.id, schema.NOTE, self._note(self._stored()))

    def _note(self, run: StoredRun) -> str:
        """Returns the run's description; writes its model's."""
        model_id = run.tags.get(schema.MODEL_ID)
        if model_id:
            mlflow.MlflowClient().set_logged_model_tags(model_id, {schema.NOTE: model_card(run, self._config)})
        return run_note(run, self._config)

    def _log_score(self, images: Images, role: schema.Role, metrics: Metrics) -> None:
        """Logs a domain's figures; those that are there stay, where they are whole."""
        figures, stored = _flat(metrics, images.name), self._stored().metrics
        dataset = log_input(self.id, images, role)
        before = {name: stored[name] for name in figures if name in stored}
        whole = before.keys() == figures.keys() and all(0 <= value <= 1 for value in before.values())
        self._log_figures(before if whole else figures, dataset)

    def _log_figures(self, figures: dict[str, float], dataset: Dataset | None = None) -> None:
        """Logs figures to the run and its model. What the run alone has goes to the model at the run's own time.

        MLflow keeps the same point at the same time once. A stop may have come between the run's and the model's.
        """
        self._confirm()
        run, client, times = self._stored(), mlflow.MlflowClient(), dict[int, dict[str, float]]()
        model_id = run.tags.get(schema.MODEL_ID)
        told = {each.key for each in client.get_logged_model(model_id).metrics or ()} if model_id else set(figures)
        now_ms = int(1000 * time.time())
        for name, value in figures.items():
            if run.metrics.get(name) != value:
                times.setdefault(now_ms, {})[name] = value
            elif name not in told:
                time_ms = max(point.timestamp for point in client.get_metric_history(self.id, name))
                times.setdefault(time_ms, {})[name] = value
        for time_ms, some in times.items():
            mlflow.log_metrics(some, run_id=self.id, timestamp=time_ms, model_id=model_id, dataset=dataset)

    def _confirm(self) -> None:
        if self._claim:
            self._claim.confirm()

    def _stored(self) -> StoredRun:
        return stored_run(mlflow.get_run(self.id))


def _flat(metrics: Metrics, domain: str) -> dict[str, float]:
    """Returns the metrics by name; those that are not defined on the domain are left out."""
    values = {name: getattr(metrics, name) for name in _FIGURES}
    for name in _BY_CLASS:
        values |= {f"{name}/{cell}": value for cell, value in zip(CLASSES, getattr(metrics, name), strict=True)}
    return {schema.score(domain, name): value for name, value in values.items() if not math.isnan(value)}
