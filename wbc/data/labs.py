"""The labs of the paper, and those whose images download without a login: what the catalogue says of each.

Counts are in the order Basophil, Eosinophil, Lymphocyte, Monocyte, Neutrophil.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from wbc.data.domain import NOT_STATED, Archive, Domain, Sheet
from wbc.data.layouts import read_below, read_lisc, read_pbc2500, read_split_folders, read_zheng

PBC_CITATION: Final = (
    "A. Acevedo et al.: A dataset of microscopic peripheral blood cell images for development of automatic recognition "
    "systems, Data in Brief 30 (2020)."
)
PBC_CROP: Final = 0.7
PBC_CROP_REASON: Final = (
    "PBC's frames are wider than other labs'. What is stained in a cell, mostly its nucleus, fills "
    "0.33 of the side (median). In cellavision it fills 0.41, in tecom 0.47, in bccd 0.63. 0.7 brings it to 0.47, "
    "the median of the three. benchmarks/extent.py measured this on the images, by their saturation."
)
PBC_SHEET: Final = Sheet(
    creator="A. Acevedo et al.",
    published="2020",
    site="Core Laboratory, Hospital Clinic of Barcelona",
    patients="without infection, haematologic or oncologic disease; not stated which images share a person",
    stain="May Grünwald-Giemsa, by the slide maker Sysmex SP1000i",
    microscope="the analyser CellaVision DM96",
    labelled_by="clinical pathologists",
    faults="16 images are there twice; one pair of them has two labels.",
)
LISC_CITATION: Final = (
    "S. H. Rezatofighi, H. Soltanian-Zadeh: Automatic recognition of five types of white blood cells in peripheral "
    "blood, Comput. Med. Imaging Graph. 35(4):333-343 (2011)."
)
LISC_SHEET: Final = Sheet(
    creator="S. H. Rezatofighi, H. Soltanian-Zadeh",
    published="2011",
    patients="8 healthy persons, 100 slides",
    stain="Gismo-Right",
    microscope="Axioskope 40, achromatic lens",
    camera="Sony SSCDC50AP",
    magnification="100",
    labelled_by="a haematologist; cells outlined by experts",
)
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


LABS: Final = (
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
        sheet=Sheet(
            creator="Z. M. Kouzehkanan et al.",
            published="2022",
            microscope="two; Test-B is of the second",
            camera="two",
            labelled_by="two experts",
            faults="All 301 basophils are of one campaign, by their file names.",
        ),
    ),
    Domain(
        key="lisc",
        title="LISC, cropped cells",
        read=read_lisc,
        archives=(Archive(folder="LISC", drive_id="1gknVrSs1CRy8PoIh1HXiGu-1ObH3cQ9S", name="LISC.zip"),),
        counts={"all": (55, 39, 59, 48, 56)},
        dropped="Train_Aug: augmented copies of Train. Train and Test are read as one split.",
        licence="Research use, no redistribution: downloaded, never shipped.",
        citation=LISC_CITATION,
        page="https://vl4ai.erc.monash.edu/pages/LISC.html",
        caution="Cropped by third parties.",
        sheet=LISC_SHEET,
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
        sheet=Sheet(
            creator="S. Tsutsui, Z. Su, B. Wen",
            published="2023",
            faults="Users of BCCD report errors in its annotations.",
        ),
    ),
    Domain(
        key="pbc2500",
        title="PBC, a balanced subset of 2,500",
        read=read_pbc2500,
        crop=PBC_CROP,
        crop_reason=PBC_CROP_REASON,
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
        citation=PBC_CITATION,
        page="https://github.com/nhan123lise/leukocyte-classification",
        caution="The split is this project's, by image: PBC does not say which images share a patient or slide. "
        "Neutrophils are 496 band and 4 segmented.",
        sheet=replace(PBC_SHEET, faults=NOT_STATED),
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
        sheet=Sheet(
            creator="X. Zheng, Y. Wang, G. Wang, J. Liu",
            published="2018",
            site="Jiangxi Tecom Science Corporation, China",
            stain="a reagent for rapid staining, new at that time",
            microscope="N800-D, motorised focus",
            camera="Motic Moticam Pro 252A",
            labelled_by="partly the set's authors, no expert's check",
            faults="112.bmp and 139.bmp are the same file.",
        ),
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
        sheet=Sheet(
            creator="X. Zheng, Y. Wang, G. Wang, J. Liu",
            published="2018",
            site="not stated: pictures of the CellaVision blog",
            labelled_by="partly the set's authors, no expert's check",
        ),
    ),
)
