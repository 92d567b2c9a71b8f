"""The benchmark's domains, each with what is known of it, and the look-up by name.

Counts are in the order Basophil, Eosinophil, Lymphocyte, Monocyte, Neutrophil.
"""

from functools import partial
from pathlib import Path
from typing import Final

from wbc.data.disk import is_text
from wbc.data.domain import Archive, Domain
from wbc.data.layouts import read_below, read_class_folders, read_lisc, read_pbc2500, read_split_folders, read_zheng
from wbc.errors import ConfigError, unknown
from wbc.surroundings import expanded

SMEAR_SIZE_PX: Final = 64
FOLDER: Final = "folder:"
_CROP: Final = "?crop="
_RAABIN: Final = "dl.raabindata.com/WBC/Cropped_double_labeled"
_ZHENG: Final = (
    "X. Zheng, Y. Wang, G. Wang, J. Liu: Fast and robust segmentation of white blood cell images by self-supervised "
    "learning, Micron 107:55-71 (2018)."
)
_ZHENG_URL: Final = "https://github.com/zxaoyou/segmentation_WBC/archive/fa9c01622f52bccb9aeb8a6f2628f564e377767d.zip"
_ZHENG_CAUTION: Final = "Labels partly by the set's authors, not checked by an expert."
_TSUTSUI: Final = (
    "S. Tsutsui, Z. Su, B. Wen: Benchmarking white blood cell classification under domain shift, ICASSP 2023, "
    "arXiv:2303.01777."
)

_ROWS: Final = (
    Domain(
        key="raabin",
        title="Raabin-WBC, double-labelled crops",
        read=read_split_folders,
        archives=(
            Archive(folder="train", urls=(f"https://{_RAABIN}/Train.rar", f"http://{_RAABIN}/Train.rar"), about_mb=279),
            Archive(
                folder="test_a", urls=(f"https://{_RAABIN}/TestA.rar", f"http://{_RAABIN}/TestA.rar"), about_mb=115
            ),
            Archive(
                folder="test_b", urls=(f"https://{_RAABIN}/TestB.zip", f"http://{_RAABIN}/TestB.zip"), about_mb=104
            ),
        ),
        counts={
            "train": (212, 744, 2427, 561, 6231),
            "test_a": (89, 322, 1034, 234, 2660),
            "test_b": (0, 0, 148, 0, 1971),
        },
        train_split="train",
        group="[^_]+",
        licence="Free to use; no formal licence.",
        citation="Z. M. Kouzehkanan et al.: A large dataset of white blood cells containing cell locations and types, "
        "along with segmented nuclei and cytoplasm, Sci. Rep. 12:1123 (2022).",
        page="https://raabindata.com/free-data",
        caution="All basophils are from one campaign, by their file names: class and campaign are "
        "confounded. Test-B holds lymphocytes and neutrophils only, 93 % neutrophils.",
    ),
    Domain(
        key="lisc",
        title="LISC, cropped cells",
        read=read_lisc,
        archives=(Archive(folder="LISC", drive_id="1gknVrSs1CRy8PoIh1HXiGu-1ObH3cQ9S", drive_name="LISC.zip"),),
        counts={"all": (55, 39, 59, 48, 56)},
        dropped="Train_Aug: augmented copies of Train. Train and Test are read as one split.",
        licence="Research use, no redistribution: downloaded, never shipped.",
        citation="S. H. Rezatofighi, H. Soltanian-Zadeh: Automatic recognition of five types of white blood cells in "
        "peripheral blood, Comput. Med. Imaging Graph. 35(4):333-343 (2011).",
        page="https://vl4ai.erc.monash.edu/pages/LISC.html",
        caution="Cropped by third parties.",
    ),
    Domain(
        key="bccd",
        title="BCCD, cropped cells",
        read=partial(read_below, name="BCCD_cropped"),
        archives=(
            Archive(
                folder="BCCD",
                urls=("https://github.com/apple2373/BCCD/archive/7751031e0b41bcfdff998cbc4c698a445a60b49e.zip",),
            ),
        ),
        counts={"all": (3, 88, 33, 20, 207)},
        group="BloodImage_[0-9]+",
        dropped="labels.csv: it names the images before they were cropped.",
        contents="b4b8a94450bb7d6dc6cb6381f16e77870c772b913958d35e42dec4e9a14d8957",
        pictures=True,
        licence="MIT.",
        citation=f"BCCD as cleaned for {_TSUTSUI}",
        page="https://github.com/apple2373/BCCD",
        caution="3 basophils; 59 % neutrophils.",
    ),
    Domain(
        key="pbc2500",
        title="PBC, a balanced subset of 2,500",
        read=read_pbc2500,
        crop=0.7,
        crop_reason="PBC's frames are wider than other labs'. What is stained in a cell, mostly its nucleus, fills "
        "0.33 of the side (median). In cellavision it fills 0.41, in tecom 0.47, in bccd 0.63. 0.7 brings it to 0.47, "
        "the median of the three. benchmarks/extent.py measured this on the images, by their saturation.",
        archives=(
            Archive(
                folder="PBC",
                urls=(
                    "https://github.com/nhan123lise/leukocyte-classification/archive/"
                    "fbd0474210723dfd5186cf4089c5c20ed6628e0f.zip",
                ),
            ),
        ),
        counts={"train": (350, 350, 350, 350, 350), "test": (150, 150, 150, 150, 150)},
        train_split="train",
        dropped="PBC's erythroblasts, immature granulocytes and platelets: left out by those who drew the subset.",
        contents="1b7237c06d1ce45493cf1f3c0bc0de76737f41d362a25cba94299bfbacea6509",
        pictures=True,
        licence="CC BY 4.0.",
        citation="A. Acevedo et al.: A dataset of microscopic peripheral blood cell images for development of "
        "automatic recognition systems, Data in Brief 30 (2020).",
        page="https://github.com/nhan123lise/leukocyte-classification",
        caution="The split is this project's, by image: PBC does not say which images share a patient or slide. "
        "Neutrophils are 496 band and 4 segmented.",
    ),
    Domain(
        key="tecom",
        title="Jiangxi Tecom, Dataset 1 of segmentation_WBC",
        read=partial(read_zheng, name="Dataset 1"),
        archives=(Archive(folder="segmentation_WBC", urls=(_ZHENG_URL,), shared_with="cellavision"),),
        counts={"all": (1, 22, 53, 48, 176)},
        dropped="NNN.png: masks of nucleus and cytoplasm, not images of the set.",
        contents="0a27b25007790c427b1e6cd33a9af8d88d3188ee39f34c0b21780671b17c47e2",
        licence="GPL-3 repository; acknowledge Jiangxi Tecom Science Corporation.",
        citation=_ZHENG,
        page="https://github.com/zxaoyou/segmentation_WBC",
        caution=f"{_ZHENG_CAUTION} 1 basophil.",
    ),
    Domain(
        key="cellavision",
        title="CellaVision blog, Dataset 2 of segmentation_WBC",
        read=partial(read_zheng, name="Dataset 2"),
        archives=(Archive(folder="segmentation_WBC", urls=(_ZHENG_URL,), shared_with="tecom"),),
        counts={"all": (3, 12, 37, 15, 33)},
        dropped="NNN.png: masks of nucleus and cytoplasm, not images of the set.",
        contents="5c57984a1a8036919477fcf756064d795b9eed11f6b2ce38105bf126ba48b290",
        licence="GPL-3 repository; acknowledge the CellaVision blog.",
        citation=_ZHENG,
        page="https://github.com/zxaoyou/segmentation_WBC",
        caution=f"{_ZHENG_CAUTION} 3 basophils.",
    ),
    Domain(
        key="smears_source",
        title="Drawn smears, source staining",
        read=read_split_folders,
        staining="source",
        # Near Raabin's proportions, with enough of the rare classes to learn from.
        counts={"train": (100, 165, 375, 140, 720), "test": (10, 26, 72, 22, 170)},
        train_split="train",
        pictures=True,
        licence="That of this project: drawn by its code.",
        citation="None: drawn by wbc.data.drawn.smears, no patient's cells.",
        page="wbc/data/drawn/smears.py",
        caution="Drawings: scores say that the code works, nothing about blood.",
    ),
    Domain(
        key="smears_target",
        title="Drawn smears, target staining",
        read=read_split_folders,
        staining="target",
        counts={"all": (55, 39, 59, 48, 56)},  # LISC's
        pictures=True,
        licence="That of this project: drawn by its code.",
        citation="None: drawn by wbc.data.drawn.smears, no patient's cells.",
        page="wbc/data/drawn/smears.py",
        caution="Drawings: scores say that the code works, nothing about blood.",
    ),
)
DOMAINS: Final[dict[str, Domain]] = {domain.key: domain for domain in _ROWS}


def find_domain(key: str) -> Domain:
    """Returns the domain of a key: a row of `DOMAINS`, or `folder:PATH[?crop=SHARE]` for a tree of <Class>/<image>.

    Raises:
        ConfigError: No such domain, of which the message names the nearest one, or no such crop.
    """
    if key.startswith(FOLDER):
        return _folder_domain(key.removeprefix(FOLDER))
    if "/" in key or (key not in DOMAINS and key and Path(key).is_dir()):
        raise ConfigError(f"unknown domain '{key}': a folder of images is written folder:{key}.")
    if key not in DOMAINS:
        raise unknown("domain", key, [*DOMAINS, "folder:PATH"])
    return DOMAINS[key]


def _folder_domain(text: str) -> Domain:
    if not text.strip():
        raise ConfigError("'folder:' names no folder; write folder:PATH, where PATH holds a folder for each class.")
    text, cropped, share = text.partition(_CROP)
    try:
        crop = float(share) if cropped else 1.0
    except ValueError:
        raise ConfigError(f"'{FOLDER}{text}{_CROP}{share}': crop must be a number, such as {_CROP}0.6.") from None
    path = expanded(text).resolve() if is_text(text) else Path(text)
    if not is_text(str(path)):
        raise ConfigError(f"the path {str(path)!a} is not UTF-8, or holds a control character: rename the folder.")
    return Domain(
        key=f"{FOLDER}{path}" + (f"{_CROP}{crop:g}" if crop != 1 else ""),
        crop=crop,
        crop_reason="Chosen by the user." if cropped else "",
        title=f"Images in {path}",
        read=read_class_folders,
        path=path,
        counts={},
        train_split="all",
        pictures=True,
        licence="Not known: a folder of the user's.",
        citation="Not known: a folder of the user's.",
        page=str(path),
        dropped="Folders that are no class's.",
    )
