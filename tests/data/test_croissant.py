"""Data sheets as Croissant: what the specification requires is there, and references lead somewhere."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.data.samples import CELLS, cells_domain, write_tree, zip_bytes
from wbc.data.catalog import DOMAINS
from wbc.data.croissant import describe, write_croissant
from wbc.data.domain import Domain, Sheet
from wbc.data.fetch.checksums import file_sha256
from wbc.data.manifest import write_table
from wbc.data.prepare import prepare

REQUIRED = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished"}
"""Of a dataset, in the tables "Required" of the specification; it requires `distribution` too."""
ROWS = [
    ("all/Neut/1.png", 4, "cells", "all", 12, 10, "0" * 64),
    ("all/Lymph/1.png", 2, "cells", "all", 12, 10, "1" * 64),
]


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    rows = pd.DataFrame(ROWS, columns=["path", "label", "domain", "split", "width", "height", "sha256"])
    write_table(rows, tmp_path / "manifest.csv")
    return rows


def _ids(node: Any) -> list[str]:
    """Returns the ids that are defined in a node and below: of objects that have more than an id."""
    if isinstance(node, list):
        return [found for each in node for found in _ids(each)]
    if not isinstance(node, dict):
        return []
    own = [str(node["@id"])] if "@id" in node and len(node) > 1 else []
    return own + [found for each in node.values() for found in _ids(each)]


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in _references(each)]
    if not isinstance(node, dict):
        return []
    if set(node) == {"@id"}:
        return [str(node["@id"])]
    return [found for each in node.values() for found in _references(each)]


@pytest.mark.parametrize("domain", [row for row in DOMAINS.values() if row.archives], ids=lambda row: row.key)
def test_sheet_has_what_the_specification_requires(domain: Domain, rows: pd.DataFrame, tmp_path: Path) -> None:
    found = json.loads(json.dumps(describe(domain, rows, tmp_path)))
    undated = {"datePublished"} if domain.key == "krd" else set()  # nobody states a date of it
    assert set(found) >= REQUIRED - undated
    assert (found["@type"], found["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.0")
    assert found["@context"]["conformsTo"] == "dct:conformsTo"
    assert found["url"].startswith("http")
    assert all(found[name] for name in REQUIRED - undated)
    assert {each["@type"] for each in found["distribution"]} == {"cr:FileObject"}
    for each in found["distribution"]:
        assert {"@id", "name", "contentUrl", "encodingFormat"} <= set(each)
        assert each["contentUrl"].startswith("http") or each["@id"] == "manifest.csv"
    terms = {key.partition(":")[0] for key in found if ":" in key}
    assert terms <= set(found["@context"])


def test_ids_are_each_defined_once_and_references_lead_to_them(rows: pd.DataFrame, tmp_path: Path) -> None:
    found = describe(DOMAINS["mll23"], rows, tmp_path)
    body = {name: value for name, value in found.items() if name != "@context"}
    ids = _ids(body)
    assert len(set(ids)) == len(ids)
    assert set(_references(body)) <= set(ids)
    label = next(each for each in body["recordSet"][1]["field"] if each["name"] == "label")
    assert label["references"] == {"field": {"@id": "classes/label"}}
    assert {"images/path", "images/label", "classes/label", "basophil.zip", "manifest.csv"} <= set(ids)


def test_columns_are_the_manifests(rows: pd.DataFrame, tmp_path: Path) -> None:
    classes, images = describe(DOMAINS["bccd"], rows, tmp_path)["recordSet"]
    columns = [each["source"]["extract"]["column"] for each in images["field"]]
    assert columns == [name for name in rows.columns if name != "domain"]
    assert [each["classes/name"] for each in classes["data"]][4] == "Neutrophil"


def test_sheet_of_a_prepared_domain_has_the_checksums_of_its_files(tmp_path: Path) -> None:
    sheet = Sheet(creator="A lab", published="2020", stain="Giemsa", labelled_by="two experts", faults="none known")
    domain = replace(cells_domain(), sheet=sheet, caution="Few cells.")
    archive = write_tree(tmp_path, {"cells.zip": zip_bytes(CELLS)}) / "cells.zip"
    home = tmp_path / "data" / "cells"
    rows = prepare(domain, None, data_dir=tmp_path / "data", archive=archive)
    found = json.loads(write_croissant(domain, rows, home).read_text(encoding="utf-8"))
    sums = {each["@id"]: each["sha256"] for each in found["distribution"]}
    assert sums == {"cells.zip": file_sha256(archive), "manifest.csv": file_sha256(home / "manifest.csv")}
    assert "3 images of single white blood cells, Basophil 0, Eosinophil 0, Lymphocyte 1" in found["description"]
    assert "stain: Giemsa; microscope: not stated" in found["rai:dataCollection"]
    assert found["rai:dataLimitations"] == "Few cells. Known faults: none known"
    assert (found["creator"]["name"], found["datePublished"]) == ("A lab", "2020")
