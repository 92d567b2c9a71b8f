"""The options of `assess` and `export`: what a laboratory asks of finished runs."""

from dataclasses import dataclass

from wbc.errors import ConfigError
from wbc.settings import given, option


@dataclass(frozen=True, kw_only=True)
class AssessConfig:
    """Options of `assess`: would a model do on your slides? One page answers, from finished runs."""

    slides: str = option(
        "", "Your cells: a folder of any depth, of fields with boxes too, or a CSV of path, label, slide."
    )
    run: str | None = option(None, "One run answers: its id, a name (vgg16/seed1), or latest; auto: a study's runs.")
    profile: str | None = option(None, "The study whose runs answer; auto: that of the newest finished run.")
    models: str | None = option(None, "Its models that answer, by commas; auto: the best on known labs.")
    seeds: str | None = option(None, "Their seeds, by commas; auto: up to two of each.")
    classes: str | None = option(
        None, "What your names mean, by commas: Segs=Neutrophil,Band=Neutrophil; NAME=none: no label."
    )
    crop: float = option(1.0, "The central share of each side that is used, where a cell fills little of its image.")
    error: float = option(0.05, "The share of mistakes that you accept among cells without a second look.")
    keep_cells: bool = option(False, "Log thumbnails, file names and predictions to the store too.")
    output: str | None = option(None, "Folder of the page; auto: reports/assess_<name>.")
    device: str | None = given("device")

    def __post_init__(self) -> None:
        if not self.slides.strip():
            raise ConfigError("slides: name your folder of images, or a CSV: make assess SLIDES=our_slides.")
        if self.run and (self.profile or self.models or self.seeds):
            raise ConfigError("run: one run answers; leave out profile, models and seeds, or leave out run.")
        for name in ("crop", "error"):
            if not 0 < getattr(self, name) <= 1 or (name == "error" and self.error >= 0.5):
                allowed = "above 0 and below 0.5" if name == "error" else "above 0 and at most 1"
                raise ConfigError(f"{name}={getattr(self, name)}: must be {allowed}.")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Options of `export`: a run's model as a folder to take along, with its temperature, threshold and card."""

    run: str = option(
        "latest", "Completed run: its id, 6 or more of its first digits, a name (vgg16/seed1), or latest."
    )
    threshold: float | None = option(
        None, "The calibrated probability below which a cell needs a second look; auto: fitted at home."
    )
    error: float = option(0.05, "auto threshold: the share of mistakes that is accepted above it.")
    output: str | None = option(None, "The folder; auto: exports/<name>.")

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold={self.threshold}: must be 0 to 1.")
        if not 0 < self.error < 0.5:
            raise ConfigError(f"error={self.error}: must be above 0 and below 0.5.")
