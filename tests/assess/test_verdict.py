"""The answer follows the printed rules, on labelled cells whose mistakes are chosen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.studies import at_home_and_away
from wbc.arms import parse_arm
from wbc.assess.labelled import Merits, find_truth, merits
from wbc.assess.predict import Answers
from wbc.assess.reading import read_slides
from wbc.assess.runs import Known
from wbc.assess.sheet import keep_filled, order
from wbc.assess.slides import Cell, Slides
from wbc.assess.unlabelled import Model
from wbc.assess.verdict import Verdict, rules, with_labels, without_labels
from wbc.report.trials import Range


def model_of(labels: np.ndarray, wrong: np.ndarray, expected: dict[str, Range] | None = None) -> Model:
    """Returns a model that says the next class where it is wrong, and is the less sure the later a cell stands."""
    said = np.where(wrong, (labels + 1) % 5, labels)
    sure = np.linspace(0.99, 0.5, len(labels))
    scores = np.repeat((1 - sure)[:, None] / 4, 5, 1)
    scores[np.arange(len(labels)), said] = sure
    study = at_home_and_away(resnet50=[2])
    answers = Answers(
        run=study.runs[0], config=_config(), scores=scores, embeddings=scores @ np.eye(5, 8), temperature=1.0
    )
    arm = parse_arm("resnet50", ("smears_source",))
    return Model(
        arm=arm, name="resnet50", answers=(answers,), chosen=answers, expected=expected or {}, agree=float("nan")
    )


def _config() -> Any:
    from wbc.config import TrainConfig
    from wbc.studies import resolve

    return resolve(TrainConfig(device="cpu"))


def slides_of(labels: np.ndarray, draw: str = "random", slides: int = 1) -> Slides:
    cells = tuple(
        Cell(Path(f"{row}.png"), f"{row}.png", int(label), f"slide {row % slides}" if slides > 1 else "", "", draw)
        for row, label in enumerate(labels)
    )
    return Slides(name="lab", title="lab", cells=cells, taken_for=(), left_out={})


def judged(labels: np.ndarray, wrong: np.ndarray, **options: Any) -> tuple[Verdict, Merits]:
    model, truth = model_of(labels, wrong), find_truth(slides_of(labels, **options))
    assert truth is not None
    found = merits(model.chosen, truth, None, 0.05)
    return with_labels(model, found, 0.05, {"resnet50": found}), found


LABELS = np.arange(300) % 5


def test_model_that_is_right_where_it_is_sure_is_fit_with_a_second_look_at_the_rest() -> None:
    verdict, found = judged(LABELS, (np.arange(300) >= 240) & (np.arange(300) % 2 == 0))
    assert verdict.answer == "fit"
    assert verdict.referred is not None
    assert 0.15 < verdict.referred < 0.3
    assert verdict.headline.startswith("Fit with a second look at ")
    assert found.signed.bound <= 0.05
    assert found.signed.threshold == verdict.threshold
    assert "90 % of 300 labelled cells" in verdict.sentences[0]


def test_model_whose_surest_half_is_often_wrong_is_not_fit() -> None:
    verdict, _ = judged(LABELS, np.arange(300) % 7 < 2)
    assert (verdict.answer, verdict.referred) == ("not fit", None)
    assert "Even of the surest half, 150 cells, 29 % are wrong" in verdict.sentences[1]


def test_model_that_loses_a_class_is_not_fit_however_accurate() -> None:
    labels = np.where(np.arange(400) % 20 == 0, 0, 4)
    verdict, _ = judged(labels, labels == 0)
    assert verdict.answer == "not fit"
    assert "Basophil (0 of 20 found)" in verdict.sentences[1]
    assert "Not examined, with fewer than 10 labelled cells: Eosinophil, Lymphocyte, Monocyte." in verdict.sentences[2]


def test_too_few_labels_are_not_enough_to_tell() -> None:
    verdict, _ = judged(LABELS[:40], np.arange(40) == 39)
    assert verdict.answer == "not enough cells to tell"


def test_half_that_is_right_on_few_cells_says_why_that_is_not_enough() -> None:
    verdict, found = judged(LABELS[:150], np.arange(150) < 0)
    assert verdict.answer == "not enough cells to tell"
    assert found.half.bound < 0.05
    assert "how many may be signed takes at least 198 of them" in verdict.sentences[1]


def test_slides_that_share_their_mistakes_count_for_less() -> None:
    wrong = np.arange(300) % 10 == 3
    _, alone = judged(LABELS, wrong)
    _, shared = judged(LABELS, wrong, slides=10)
    assert shared.effect > 5 > alone.effect == 1
    assert shared.half.bound > alone.half.bound
    assert shared.accuracy[0] < alone.accuracy[0]
    assert shared.counted["Neutrophil"].agreement.slides == 10
    assert "Neutrophil" not in alone.counted


def test_cells_that_were_chosen_by_a_model_tell_nothing_of_accuracy() -> None:
    labels = np.array([0] * 40 + [-1] * 40)
    truth = find_truth(slides_of(labels, draw="unsure"))
    assert truth is not None
    assert (len(truth.rows), len(truth.fair)) == (40, 0)


@pytest.mark.parametrize(
    ("low", "high", "between", "answer"),
    [
        (0.2, 0.7, 0.9, "not fit"),
        (0.2, 0.9, 0.9, "not enough cells to tell"),
        (0.2, 0.9, 0.4, "not fit"),
        (0.96, 0.99, 0.9, "fit"),
    ],
)
def test_answer_without_labels_follows_the_rules(low: float, high: float, between: float, answer: str) -> None:
    expected = {name: Range(expected=0.9, low=low, high=high, tried=6, bias=0.2) for name in ("ATC", "DoC")}
    model = model_of(LABELS, LABELS < 0, expected)
    verdict = without_labels([model, model], between, 300, 0, 0.05)
    assert verdict.answer == answer
    assert "None of 300 cells has a label" in verdict.sentences[0]
    assert "6 trials on known labs, where the estimates were 20 points too high on average" in verdict.sentences[1]


@pytest.mark.parametrize(("cells", "labelled"), [(20, 0), (20, 20), (300, 300)])
def test_more_cells_are_asked_for_where_labelling_those_there_would_decide_nothing(cells: int, labelled: int) -> None:
    verdict = without_labels([model_of(LABELS, LABELS < 0)], float("nan"), cells, labelled, 0.05)
    assert verdict.sentences[2] == "30 labelled cells, drawn at random, would decide: add cells, and assess again."


def test_model_that_names_two_classes_is_not_fit() -> None:
    verdict = without_labels([model_of(LABELS % 2, LABELS < 0)], float("nan"), 300, 3, 0.05)
    assert verdict.answer == "not fit"
    assert "It names only 2 of five classes." in verdict.sentences[1]


def test_rules_are_printed_with_the_error_that_was_accepted() -> None:
    assert "at most 2 %" in rules(0.02)[1]


def test_sheet_has_each_cell_once_and_random_ones_first() -> None:
    labels = np.full(400, -1)
    said = np.where(np.arange(400) % 50 == 0, 0, 4)
    found = order(slides_of(labels), np.eye(5)[said])
    assert sorted(row for row, _ in found) == list(range(400))
    assert [why for _, why in found[:200]] == ["random"] * 200
    basophils = [row for row, why in found if why == "called Basophil"]
    assert 0 < len(basophils) <= 8
    assert {why for _, why in found} == {"random", "called Basophil", "unsure", "rest"}


@pytest.mark.parametrize(
    ("old", "stays"),
    [
        ("path,label\n1.png,Neutrophil\n", True),
        ("path;label\n1.png;Neutrophil\n", True),
        ("path,label\n2.png,\n1.png,\n", False),
        ("path,label\n2.png,Monocyte\n", False),
    ],
)
def test_sheet_that_somebody_filled_in_stays(tmp_path: Path, old: str, stays: bool) -> None:
    new = "path,label\n1.png,\n2.png,Monocyte\n"
    (tmp_path / "old.csv").write_text(old)
    (tmp_path / "new.csv").write_text(new)
    keep_filled(tmp_path / "old.csv", tmp_path / "new.csv")
    assert (tmp_path / "new.csv").read_text() == (old if stays else new)


def test_two_folders_of_one_name_have_two_names(tmp_path: Path) -> None:
    names = set()
    for above in ("a", "b"):
        (tmp_path / above / "slides").mkdir(parents=True)
        (tmp_path / above / "slides/1.png").touch()
        names.add(read_slides(str(tmp_path / above / "slides"), {}).name)
    assert len(names) == 2
    assert all(name.startswith("slides_") for name in names)


@pytest.mark.parametrize("wrong", [(7, 0), (9, 8)])
def test_of_two_runs_as_close_to_their_mean_the_first_answers(wrong: tuple[int, int]) -> None:
    study = at_home_and_away(resnet50=wrong)
    known = Known(study="demo", runs=study.runs, domains=study.domains)
    assert known.representative(study.arms[0]).seed == 0
