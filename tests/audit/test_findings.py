"""Poor images, confounded classes and contradicted labels are found where they were planted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.audit.conftest import EACH, part_of
from tests.report.studies import study_of
from wbc.audit.contradicted import find_contradicted, judged
from wbc.audit.findings import find_confounded, name_pattern
from wbc.data.splits import Split
from wbc.report.study import Study
from wbc.tracking.read import StoredDataset

ALL = Split("bccd", "all")
Found = Callable[[], list[dict[str, str]]]


def cell_of(slides: Path) -> Image.Image:
    return Image.open(min((slides / "Lymphocyte").iterdir())).convert("RGB")


def blank(cell: Image.Image) -> Image.Image:
    return Image.new("RGB", cell.size, (230, 225, 220))


def blurred(cell: Image.Image) -> Image.Image:
    return cell.transpose(Image.Transpose.ROTATE_90).filter(ImageFilter.GaussianBlur(5))


def filled(cell: Image.Image) -> Image.Image:
    cell = cell.copy()
    cell.paste((128, 128, 128), (0, cell.height * 2 // 3, cell.width, cell.height))
    return cell


def halved(cell: Image.Image) -> Image.Image:
    return cell.crop((cell.width // 2 - 2, 0, cell.width, cell.height))


@pytest.mark.parametrize(
    ("spoil", "kind"), [(blank, "blank"), (blurred, "blurred"), (filled, "cut off"), (halved, "cut off")]
)
def test_spoilt_image_is_named(
    slides: Path, found: Found, spoil: Callable[[Image.Image], Image.Image], kind: str
) -> None:
    spoil(cell_of(slides)).save(slides / "Lymphocyte" / "spoilt.png")
    rows = [row for row in found() if row["kind"] not in ("same look",)]
    assert [(row["kind"], Path(row["image_1"]).name) for row in rows] == [(kind, "spoilt.png")]


def test_many_blank_images_are_no_pairs_of_one_look(slides: Path, found: Found) -> None:
    for level in (200, 210, 220):
        Image.new("RGB", (64, 64), (level,) * 3).save(slides / "Lymphocyte" / f"{level}.png")
    assert [row["kind"] for row in found()] == ["blank"] * 3


def test_clean_set_has_no_finding(found: Found) -> None:
    assert found() == []


def test_class_of_another_campaign_is_named_by_file_name_and_size(slides: Path, found: Found) -> None:
    for number, path in enumerate(sorted((slides / "Basophil").iterdir())):
        Image.open(path).resize((72, 72)).save(path.with_name(f"20190712_{number}.png"))
        path.unlink()
    rows = found()
    assert [row["kind"] for row in rows] == ["confounded"] * 2
    names, size = (row["detail"] for row in rows)
    assert names == f"{EACH} of {EACH} Basophil images have file name #_#, as have 0 of the {4 * EACH} others"
    assert f"{EACH} of {EACH} Basophil images have size 72 × 72" in size


def test_class_from_slides_of_its_own_is_named_and_a_large_class_alone_is_not(drawn: Path) -> None:
    files = sorted(drawn.rglob("*.png"))[:40]
    labels = [0] * 10 + [4] * 30
    part = part_of(ALL, files, labels, slides=True)
    mixed = replace(part, listing=replace(part.listing, groups=tuple("abcd"[row % 4] for row in range(40))))
    apart = replace(part, listing=replace(part.listing, groups=("x",) * 10 + ("y",) * 15 + ("z",) * 15))
    assert not [each for each in find_confounded(mixed) if "slide" in each.detail]
    assert [each.detail for each in find_confounded(apart) if "slide" in each.detail] == [
        "10 of 10 Basophil images have slide x, as have 0 of the 30 others",
        "30 of 30 Neutrophil images have slide y, z, as have 0 of the 10 others",
    ]
    most = part_of(ALL, files, [0] * 2 + [4] * 38)
    assert list(find_confounded(most)) == []


def test_pattern_of_a_file_name_is_what_stands_beside_its_numbers() -> None:
    assert [name_pattern(path) for path in ("a/BA_12.jpg", "95-4-10-1_20_3.jpg")] == ["BA_#", "#-#-#-#_#_#"]


def judging(study: Study, digest: str) -> Study:
    """Returns the study as if its runs had been scored on the images of this digest."""
    logged = StoredDataset(name="bccd", digest=digest, context="testing", role="away", origin="", profile="")
    runs = [replace(run, stored=replace(run.stored, datasets=(logged,))) for run in study.runs]
    return replace(study, runs=tuple(runs))


def test_label_is_contradicted_where_all_models_are_sure_of_the_same_other_class(drawn: Path) -> None:
    files = sorted(drawn.rglob("*.png"))[:10]
    part = part_of(ALL, files, np.repeat(np.arange(5), 2).tolist())
    wrong = judging(study_of({"resnet50": [{"bccd": 3}], "vgg16": [{"bccd": 2}]}), part.listing.digest[:32])
    said = [run.scores["bccd"].argmax(1) for run in wrong.runs]
    for run, answer in zip(wrong.runs, said, strict=True):
        run.scores["bccd"][:] = np.where(np.eye(5)[answer] > 0, 0.92, 0.02)
    assert judged(wrong, [part]) == ["bccd"]
    assert [each.images[0].path for each in find_contradicted(wrong, [part])] == list(part.listing.ids[:2])
    wrong.runs[0].scores["bccd"][0] = np.where(np.eye(5)[said[0][0]] > 0, 0.6, 0.1)
    (left,) = find_contradicted(wrong, [part])
    assert left.images[0].path == part.listing.ids[1]
    assert left.detail.endswith("each with 0.92 or more")


def test_one_model_or_other_images_judge_no_label(drawn: Path) -> None:
    part = part_of(ALL, sorted(drawn.rglob("*.png"))[:10], np.repeat(np.arange(5), 2).tolist())
    alone = judging(study_of({"resnet50": [{"bccd": 10}]}), part.listing.digest[:32])
    elsewhere = judging(study_of({"resnet50": [{"bccd": 9}], "vgg16": [{"bccd": 9}]}), "f" * 32)
    for study in (alone, elsewhere):
        assert judged(study, [part]) == []
        assert list(find_contradicted(study, [part])) == []
