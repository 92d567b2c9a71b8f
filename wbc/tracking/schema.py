"""The name of every tag, metric and artifact of a run, and what each one says."""

import re
from typing import Final, Literal

TRAINED_AS: Final = "trained_as"
"""Tag: what decided the run's weights (`wbc.identity.trained_as`); a run is found by it."""
FINGERPRINT: Final = "fingerprint"
"""Tag: the identity of runs from before `trained_as`; the report still reads them."""
COMPLETE: Final = "complete"
"""Tag: "true" once a run is trained and scored on all that it was opened for; it is set last."""
CHECKPOINT: Final = "checkpoint"
"""Tag: the artifact that holds the newest whole checkpoint."""
MODEL_ID: Final = "model_id"
"""Tag: the model that MLflow can load."""
KIND: Final = "kind"
"""Tag: sweep, report, audit, evaluate or assess; a run that trains has none."""
PROFILE: Final = "profile"
"""Tag: the study, of runs of every kind."""
MODEL: Final = "model"
ARM: Final = "arm"
"""Tag: model and method by one name, which MLflow's page groups by."""
METHOD: Final = "method"
SOURCE: Final = "source"
SEED: Final = "seed"
"""Parameter, as model, method and source: `StoredRun.settings` has them also of runs of before, which have tags."""
HARDWARE: Final = "hardware"
JOBS: Final = "jobs"
"""Tag: how many runs shared the machine."""
FORWARDED_TO: Final = "forwarded_to"
"""Tag of a run that `mlflow run` opened: the run that holds its results."""
RUN_NAME: Final = "mlflow.runName"
NOTE: Final = "mlflow.note.content"
"""Tag of a run, an experiment or a model: its description, in Markdown."""
CLAIM_PREFIX: Final = "claim."
"""Tags that say which process works on the run (`wbc.tracking.claims`)."""
AVERAGED: Final = "averaged"
"""Tag: the ids of the runs, by commas, whose averaged weights a run of kind evaluate scores."""
SEAL: Final = "seal"
"""Tag of a report: a digest of what it was made from and of its files (`wbc.report.records`)."""
ROLE: Final = "role"
"""Tag of a logged data set."""
Role = Literal["training", "home", "away"]
"""What a data set is to a run: trained on; of a lab that it was trained on; of another lab."""

CONFIG: Final = "config.json"
ENVIRONMENT: Final = "environment.json"
DESCRIBING: Final = (CONFIG, ENVIRONMENT)
"""What says how a run was made."""
CHECKPOINTS: Final = "checkpoint"
FINAL: Final = "checkpoint/final.pt"
WEIGHTS: Final = "final.pt"
"""Of an exported model: the checkpoint."""
RULES: Final = "rules.json"
"""Of an exported model: its temperature and threshold, and where they are from."""
PREDICTIONS: Final = "predictions"
ANALYSIS: Final = "analysis"
NORMS_BY_DEPTH: Final = f"{ANALYSIS}/batch_norm.csv"
"""Folder of what `make analyse` found."""
AT_HOME: Final = "accuracy/home"
"""Metric: the mean accuracy on the test splits of the labs trained on."""
AWAY: Final = "accuracy/away"
"""Metric: the mean accuracy on the splits of other labs, each of which counts once, whatever its size."""
DROP: Final = "accuracy/drop"
"""Metric: how far `AWAY` lies below `AT_HOME`."""
TOLD: Final = ("accuracy", "balanced_accuracy")
"""The figures of each score that notes and terminals tell."""
LOSS: Final = "train/loss"
IMAGES_PER_S: Final = "train/images_per_s"
SCORED_PER_S: Final = "score/images_per_s"
"""Metric: how fast the run was scored, as trained."""
_SCORED_AS: Final = "scored_as."
_SHA256: Final = "sha256."


def scored_as(domain: str) -> str:
    """Returns the tag that holds a domain's `wbc.identity.scored_as`; it is written after all else of the score."""
    return f"{_SCORED_AS}{domain}"


def scored_domain(tag: str) -> str | None:
    """Returns the domain whose `scored_as` a tag holds; None for other tags."""
    return tag.removeprefix(_SCORED_AS) if tag.startswith(_SCORED_AS) else None


def sha256(artifact: str) -> str:
    """Returns the tag that holds an artifact's SHA-256, in hexadecimal."""
    return f"{_SHA256}{artifact}"


def digested(tag: str) -> str | None:
    """Returns the artifact whose SHA-256 a tag holds; None for other tags."""
    return tag.removeprefix(_SHA256) if tag.startswith(_SHA256) else None


def score_name(domain: str, adaptation: str) -> str:
    """Returns what stands for a domain in the names of a score under an adaptation: the domain itself if it is "none".

    An adapted score's predictions lie in a folder of their domain's name. MLflow takes no "+" in a name.
    """
    return domain if adaptation == "none" else f"{domain}/{adaptation.replace('+', '-')}"


def training(name: str) -> str:
    """Returns the metric of one figure of an epoch, by epochs from 1."""
    return f"train/{name}"


def score(domain: str, name: str) -> str:
    """Returns the metric of one figure of merit on a domain: accuracy, recall/<class>."""
    return f"test/{domain}/{name}"


def predictions(domain: str) -> str:
    """Returns the artifact with a row per image: id, label, probabilities."""
    return f"{PREDICTIONS}/{domain}.csv"


def embeddings(domain: str) -> str:
    """Returns the artifact with what the last layer was given for each image."""
    return f"embeddings/{domain}.npy"


def records(name: str) -> list[str]:
    """Returns the artifacts that hold a score: predictions, and of a plain score the embeddings."""
    return [predictions(name)] if "/" in name else [predictions(name), embeddings(name)]


def samples(domain: str) -> str:
    """Returns the artifact with a picture of some of a domain's cells."""
    return f"samples/{domain}.png"


def confusion(domain: str) -> str:
    """Returns the artifact with the picture of a confusion matrix."""
    return f"confusion/{domain}.png"


def checkpoint(epoch: int, *, final: bool) -> str:
    """Returns the artifact of the checkpoint after `epoch` epochs."""
    return FINAL if final else f"{CHECKPOINTS}/epoch_{epoch:04d}.pt"


def checkpoint_epoch(artifact: str) -> int | None:
    """Returns the epoch that a checkpoint's name holds; None for the final one and for other names."""
    saved = re.fullmatch(rf"{CHECKPOINTS}/epoch_(\d+)\.pt", artifact)
    return int(saved[1]) if saved else None
