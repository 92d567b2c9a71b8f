from pathlib import Path

import pytest

from wbc.data.catalog import DOMAINS, find_domain
from wbc.data.domain import NOT_STATED, Domain
from wbc.errors import ConfigError

TOTALS = {
    "raabin": {"train": 10175, "test_a": 4339, "test_b": 2119},
    "lisc": {"all": 257},
    "bccd": {"all": 351},
    "pbc2500": {"train": 1750, "test": 750},
    "tecom": {"all": 300},
    "cellavision": {"all": 100},
    "pbc": {"train": 6169, "test": 3099, "val": 1030},
    "lisc_fields": {},
    "chula": {"all": 522},
    "mll23": {"all": 18276},
    "ku_optofil": {},
    "aml_lmu": {"all": 14822},
    "bodzas": {"all": 10426},
    "krd": {"all": 601},
    "smears_source": {"train": 1500, "test": 300},
    "smears_target": {"all": 257},
}
ROWS = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)


@ROWS
def test_counts_sum_to_the_published_totals(domain: Domain) -> None:
    sums = {split: each if isinstance(each, int) else sum(each) for split, each in domain.counts.items()}
    assert sums == TOTALS[domain.key]
    assert domain.total is None or sum(domain.total) == sum(sums.values())


@ROWS
def test_row_is_under_its_own_key(domain: Domain) -> None:
    assert DOMAINS[domain.key] is domain


@ROWS
def test_row_says_licence_citation_and_page(domain: Domain) -> None:
    assert all([domain.title, domain.licence, domain.citation, domain.page, domain.dropped])


@ROWS
def test_row_is_either_downloaded_or_drawn(domain: Domain) -> None:
    assert bool(domain.archives) != bool(domain.staining)


@ROWS
def test_archives_have_an_address_or_a_way_by_hand_and_names_of_their_own(domain: Domain) -> None:
    assert all(
        bool(each.urls) + bool(each.drive_id) + (not each.origin and bool(each.by_hand)) == 1
        for each in domain.archives
    )
    assert len({archive.basename for archive in domain.archives}) == len(domain.archives)
    assert len({archive.folder for archive in domain.archives}) == len(domain.archives)


@ROWS
def test_shared_archives_are_shared_both_ways(domain: Domain) -> None:
    for archive in domain.archives:
        if archive.shared_with:
            (other,) = DOMAINS[archive.shared_with].archives
            assert (other.urls, other.shared_with) == (archive.urls, domain.key)


@ROWS
def test_one_split_is_called_all(domain: Domain) -> None:
    assert (len(domain.splits) == 1) == (domain.splits == ("all",))


@ROWS
def test_training_split_is_no_test_split(domain: Domain) -> None:
    assert domain.train_split is None or domain.train_split in domain.splits
    assert domain.test_splits
    assert domain.train_split not in domain.test_splits


def test_cells_are_shown_only_of_rows_whose_licence_lets_anybody_hand_them_on() -> None:
    shown = {row.licence for row in DOMAINS.values() if row.pictures}
    free = {"MIT.", "CC BY 4.0.", "CC BY 4.0; WBCAtt's tables: MIT.", "CC BY 3.0.", "CC0."}
    assert shown == free | {"MIT, as this project, whose code draws them."}
    assert not any(DOMAINS[key].pictures for key in ("raabin", "lisc", "lisc_fields", "tecom", "krd", "ku_optofil"))
    assert find_domain("folder:slides").pictures


def test_basename_is_the_last_part_of_the_address() -> None:
    assert [archive.basename for archive in DOMAINS["raabin"].archives] == ["Train.rar", "TestA.rar", "TestB.zip"]


def test_origin_of_a_split_is_its_own_archive() -> None:
    assert DOMAINS["raabin"].origin("test_b").endswith("/TestB.zip")


def test_find_domain_names_the_nearest_when_unknown() -> None:
    with pytest.raises(ConfigError, match="unknown domain 'rabin'; did you mean 'raabin'"):
        find_domain("rabin")


def test_find_domain_says_what_to_write_when_a_path_is_given_alone() -> None:
    with pytest.raises(ConfigError, match="a folder of images is written folder:my/slides"):
        find_domain("my/slides")


def test_find_domain_says_what_to_write_when_a_folder_has_no_path() -> None:
    with pytest.raises(ConfigError, match="write folder:PATH"):
        find_domain("folder:")


def test_folder_takes_a_crop_in_its_name(tmp_path: Path) -> None:
    whole, part = find_domain(f"folder:{tmp_path}"), find_domain(f"folder:{tmp_path}?crop=0.60")
    assert (whole.crop, part.crop) == (1.0, 0.6)
    assert part.path == whole.path
    assert part.slug != whole.slug
    assert find_domain(part.key) == part


@pytest.mark.parametrize(
    ("crop", "fault"),
    [
        ("0", "crop=0: must be above 0 and at most 1"),
        ("1.2", r"crop=1\.2: must be above 0 and at most 1"),
        ("nan", "crop=nan: must be above 0"),
        ("big", r"\?crop=big': crop must be a number, such as \?crop=0\.6"),
    ],
)
def test_crop_that_is_no_share_is_refused(crop: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        find_domain(f"folder:/some/cells?crop={crop}")


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_crop_has_a_reason(domain: Domain) -> None:
    assert bool(domain.crop_reason) == (domain.crop < 1)


@ROWS
def test_row_has_a_sheet_of_who_made_it_and_when(domain: Domain) -> None:
    stated = {name: value for name, value in vars(domain.sheet).items() if value != NOT_STATED}
    assert all(value.strip() for value in vars(domain.sheet).values())
    assert domain.key == "krd" or (stated["creator"] and 2000 < int(stated["published"]) < 2030)


def test_origin_of_images_fetched_by_hand_is_their_page() -> None:
    assert DOMAINS["krd"].origin("all") == "https://data.mendeley.com/datasets/jzdj6h7gms/2"
