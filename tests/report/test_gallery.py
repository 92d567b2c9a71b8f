"""Thumbnails of cells: of what is prepared here, was scored, and may be shown."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import name_of, write_cells
from tests.report.conftest import HOME
from tests.report.studies import study_of
from wbc.data.catalog import find_domain
from wbc.data.images import list_images
from wbc.data.prepare import prepare
from wbc.data.splits import parse_source
from wbc.report.page import write_page
from wbc.report.paper.domains import may_show
from wbc.report.paper.gallery import SIZE_PX, galleries
from wbc.report.parts import Absent, Gallery, Headline, Parts
from wbc.report.study import Study
from wbc.tracking.read import StoredDataset


@pytest.fixture
def study(workplace: Path) -> Study:
    """A study of which a user's folder is away, prepared here, of whose ten cells the first three are wrong."""
    write_cells(workplace / "slides", 2, size_px=80)
    split = parse_source("folder:slides")
    prepare(find_domain(split.key), None, data_dir=workplace / "data")
    listing = list_images(split, data_dir=workplace / "data")
    assert listing
    file = workplace / "ours.toml"
    file.write_text('sources = ["smears_source"]\ntargets = ["folder:slides"]\nseeds = 1\n')
    scored = StoredDataset(name=split.name, digest=listing.digest[:32], context="", role="", origin="", profile="")
    found = study_of({"resnet50": [{split.name: 3}]}, profile=str(file))
    return replace(
        found, runs=tuple(replace(run, stored=replace(run.stored, datasets=(scored,))) for run in found.runs)
    )


def test_gallery_shows_the_surest_mistakes_and_the_least_sure_cells(study: Study, workplace: Path) -> None:
    (gallery,) = galleries(study)
    assert isinstance(gallery, Gallery)
    (_, mistakes), (_, unsure) = gallery.groups
    assert [tile.lines for tile in mistakes] == [
        ("label Bas", "said Eos 0.80"),
        ("label Bas", "said Eos 0.80"),
        ("label Eos", "said Lymp 0.80"),
    ]
    assert len(unsure) == 10
    sizes = [Image.open(io.BytesIO(tile.jpeg)).size for tile in (*mistakes, *unsure)]
    assert sizes == [(SIZE_PX, SIZE_PX)] * 13
    headline = Headline(title="White blood cells", sentences=())
    parts = Parts(headline=headline, first=(), tables=(), plots=(), galleries=(gallery,), not_run=())
    settings = dict.fromkeys(("recipe", "scale", "pretrained", "image_size", "batch_size", "precision"), "")
    write_page(replace(study, settings=study.settings | settings | {"lr": 1, "weight_decay": 1}), parts, workplace)
    page = (workplace / "report.html").read_text()
    assert page.count('<img alt="label Bas, said Eos 0.80" src="data:image/jpeg;base64,') == 2 + 2


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_images_that_are_not_those_scored_are_not_shown(what: str, study: Study, workplace: Path) -> None:
    cell = workplace / "slides" / "Basophil" / "0.png"
    if what == "gone":
        cell.unlink()
    else:
        Image.new("RGB", (80, 80)).save(cell)
    (absent,) = galleries(study)
    assert isinstance(absent, Absent)
    assert absent.name == f"gallery of cells of {name_of('slides')}"
    assert "not prepared on this machine" in absent.why


def test_cells_whose_licence_forbids_it_are_not_shown_and_the_page_says_why(workplace: Path) -> None:
    *_, hidden, absent = galleries(study_of({"resnet50": [{HOME: 1, "tecom": 1, "bccd": 1}]}))
    assert isinstance(hidden, Absent)
    assert isinstance(absent, Absent)
    assert (hidden.name, absent.name) == ("gallery of cells of tecom", f"gallery of cells of {HOME}, bccd")
    assert "tecom: GPL-3 repository; acknowledge Jiangxi Tecom Science Corporation)" in hidden.why


def test_what_was_held_out_of_a_split_has_its_licence() -> None:
    assert [may_show(name) for name in ("tecom_validation", "pbc2500_train_validation", "folder_slides_1", "mine")] == [
        *(False, True, True, False)
    ]
