"""Studies in memory, of runs that no store holds: for what is drawn and said of a study, once it is read."""

from collections.abc import Mapping, Sequence

import numpy as np

from tests.report.conftest import AWAY, HOME, LABELS
from wbc.arms import parse_arm
from wbc.config import ReportConfig
from wbc.evaluation.metrics import score
from wbc.report.adapted import AdaptedScore
from wbc.report.study import ScoredDomain, ScoredRun, Study
from wbc.tracking.read import StoredRun

Wrong = Mapping[str, Sequence[Mapping[str, int]]]
"""By model, for each seed: of each domain's ten images, how many the run gets wrong, the first ones.

"bccd/em" are the answers on bccd under the adaptation em.
"""


def study_of(wrong: Wrong, *, source: str = "smears_source", home: str = HOME, profile: str = "demo") -> Study:
    """Returns the study of these runs; seeds count from 0."""
    named = dict.fromkeys(name for runs in wrong.values() for run in runs for name in run)
    domains = [name for name in named if "/" not in name]
    runs = [
        _run(model, seed, source, counts) for model, by_seed in wrong.items() for seed, counts in enumerate(by_seed)
    ]
    return Study(
        options=ReportConfig(profile=profile),
        usual=True,
        settings={"epochs": 1},
        seeds=tuple(range(max(map(len, wrong.values())))),
        arms=tuple(parse_arm(model, (source,)) for model in wrong),
        runs=tuple(runs),
        domains=tuple(
            ScoredDomain(name=name, home=name.startswith(home), same_lab=name.startswith(home), labels=LABELS)
            for name in domains
        ),
        excluded=(),
        missing=(),
        notes=(),
    )


def at_home_and_away(**away: Sequence[int]) -> Study:
    """Returns a study of models that are always right at home, and away get so many wrong, by seed."""
    return study_of({model: [{HOME: 0, AWAY: count} for count in counts] for model, counts in away.items()})


def _run(model: str, seed: int, source: str, wrong: Mapping[str, int]) -> ScoredRun:
    answers = {name: _scores(count) for name, count in wrong.items()}
    scores = {name: each for name, each in answers.items() if "/" not in name}
    adapted = {
        tuple(name.split("/")): AdaptedScore(
            rows=np.arange(len(LABELS)), right=each.argmax(1) == LABELS, metrics=score(LABELS, each)
        )
        for name, each in answers.items()
        if name not in scores
    }
    stored = StoredRun(
        id=f"{model}-{seed}",
        name=f"{model}/seed{seed}",
        status="FINISHED",
        tags={},
        metrics={},
        started=None,
        ended=None,
        datasets=(),
        artifact_uri="",
        link=None,
    )
    return ScoredRun(
        stored=stored,
        arm=parse_arm(model, (source,)),
        seed=seed,
        environment={},
        scores=scores,
        metrics={name: score(LABELS, each) for name, each in scores.items()},
        losses={1: 1.0},
        adapted=adapted,  # type: ignore[arg-type]
    )


def _scores(wrong: int) -> np.ndarray:
    said = (LABELS + (np.arange(len(LABELS)) < wrong)) % 5
    scores = np.full((len(LABELS), 5), 0.05, np.float32)
    scores[np.arange(len(LABELS)), said] = 0.8
    return scores
