"""A domain's data sheet and manifest as Croissant 1.0, the JSON by which tools and dataset searches read a set.

Reference: MLCommons, Croissant Format Specification, version 1.0 (2024).
"""

import json
import mimetypes
from pathlib import Path
from typing import Any, Final

import pandas as pd

from wbc.cells import CLASSES
from wbc.data.disk import whole_file
from wbc.data.domain import NOT_STATED, Archive, Domain
from wbc.data.fetch.checksums import expected_sha256, file_sha256

NAME: Final = "croissant.json"
_TERMS: Final = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
"""The specification's own, whole: readers warn of another one."""
_FIELDS: Final = {
    "path": ("sc:Text", "Path below the folder images"),
    "label": ("sc:Integer", "Class, by its number"),
    "split": ("sc:Text", "Split"),
    "width": ("sc:Integer", "Width in pixels"),
    "height": ("sc:Integer", "Height in pixels"),
    "sha256": ("sc:Text", "SHA-256 of the file"),
}


def write_croissant(domain: Domain, rows: pd.DataFrame, home: Path) -> Path:
    """Writes `croissant.json` beside a prepared domain's manifest, and returns its path."""
    with whole_file(home / NAME) as handle:
        handle.write(json.dumps(describe(domain, rows, home), indent=1, ensure_ascii=False).encode() + b"\n")
    return home / NAME


def describe(domain: Domain, rows: pd.DataFrame, home: Path) -> dict[str, Any]:
    """Returns a prepared domain of the catalogue as Croissant; without a date where nobody states one.

    Files are the archives at their addresses, and `manifest.csv`, of which each row is a record.
    """
    sheet = domain.sheet
    counts = rows["label"].value_counts()
    each = ", ".join(f"{name} {counts.get(label, 0)}" for label, name in enumerate(CLASSES))
    told = f"{domain.title}: {len(rows)} images of single white blood cells, {each}. Left out: {domain.dropped}"
    collection = ("site", "patients", "stain", "microscope", "camera", "magnification")
    limits = [domain.caution, f"Known faults: {sheet.faults}"]
    found = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": domain.key,
        "description": told,
        "license": {"@type": "CreativeWork", "name": domain.licence},
        "url": domain.page,
        "citeAs": domain.citation,
        "creator": {"@type": "Organization", "name": sheet.creator},
        "datePublished": sheet.published,
        "rai:dataCollection": "; ".join(f"{name}: {getattr(sheet, name)}" for name in collection),
        "rai:dataAnnotationProtocol": f"Labelled by: {sheet.labelled_by}",
        "rai:dataLimitations": " ".join(filter(None, limits)),
        "distribution": [*(_file(archive, domain, home) for archive in domain.archives), _manifest(home)],
        "recordSet": [_classes(), _images()],
    }
    return {name: value for name, value in found.items() if value != NOT_STATED}


def _file(archive: Archive, domain: Domain, home: Path) -> dict[str, Any]:
    sha256, here = expected_sha256(archive, home), f"archives/{archive.basename}"
    part = archive.in_parts and (home / here).exists()
    kind = mimetypes.guess_type(archive.basename)[0] or "application/octet-stream"
    return {
        "@type": "cr:FileObject",
        "@id": archive.basename,
        "name": archive.basename,
        **({"description": f"The members that are used, of {archive.origin}"} if part else {}),
        "contentUrl": here if part else archive.origin or domain.page,
        "encodingFormat": kind,
        **({"sha256": sha256} if sha256 else {}),
    }


def _manifest(home: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "manifest.csv",
        "name": "manifest.csv",
        "contentUrl": "manifest.csv",
        "encodingFormat": "text/csv",
        "sha256": file_sha256(home / "manifest.csv"),
    }


def _classes() -> dict[str, Any]:
    fields = {"label": "sc:Integer", "name": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": [
            {"@type": "cr:Field", "@id": f"classes/{name}", "name": name, "dataType": kind}
            for name, kind in fields.items()
        ],
        "data": [{"classes/label": label, "classes/name": name} for label, name in enumerate(CLASSES)],
    }


def _images() -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"images/{name}",
            "name": name,
            "description": description,
            "dataType": kind,
            "source": {"fileObject": {"@id": "manifest.csv"}, "extract": {"column": name}},
            **({"references": {"field": {"@id": "classes/label"}}} if name == "label" else {}),
        }
        for name, (kind, description) in _FIELDS.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "key": {"@id": "images/path"},
        "field": fields,
    }
