"""The table of data sheets: what is stated of each domain of a study, and what is not."""

from types import SimpleNamespace
from typing import Any

from wbc.report.paper.domains import data_sheets


def _study(sources: list[str], *scored: str) -> Any:
    return SimpleNamespace(
        arms=[SimpleNamespace(sources=(source,)) for source in sources],
        domains=[SimpleNamespace(name=name) for name in scored],
    )


def test_each_domain_has_what_is_stated_of_it_and_names_what_is_not() -> None:
    table = data_sheets(_study(["pbc2500"], "tecom", "pbc2500_test", "folder_x_1a2b3c4d"))
    assert table is not None
    rows = [[cell.text for cell in row] for group in table.groups for row in group]
    assert [group[0][0].text for group in table.groups] == ["pbc2500", "tecom"]
    assert ["tecom", "known faults", "112.bmp and 139.bmp are the same file."] in rows
    assert ["tecom", "not stated", "patients, magnification"] in rows
    assert ["pbc2500", "licence", "CC BY 4.0."] in rows
    assert table.data["stain"].tolist()[0].startswith("May Grünwald-Giemsa")
    assert table.data["magnification"].tolist() == ["not stated", "not stated"]


def test_study_of_folders_alone_has_no_sheets() -> None:
    assert data_sheets(_study(["folder:/a/b"], "folder_b_1a2b3c4d")) is None
