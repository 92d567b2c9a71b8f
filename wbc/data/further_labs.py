"""Further labs, whose images nobody who wrote this had at hand: addresses, counts and classes are as others state them.

Counts are in the order Basophil, Eosinophil, Lymphocyte, Monocyte, Neutrophil. Each row is tried on small archives of
the same shape.
"""

from functools import partial
from typing import Final

from wbc.data.cut import cut_chula, cut_lisc, to_eight_bits
from wbc.data.domain import Archive, Domain, Sheet
from wbc.data.labs import LISC_CITATION, LISC_SHEET, PBC_CITATION, PBC_CROP, PBC_CROP_REASON, PBC_SHEET
from wbc.data.layouts import read_anywhere, read_pbc, read_split_folders

_UNSEEN: Final = "Nobody who wrote this catalogue had the files."
_FIVE: Final = "neutro|eosin|baso|lymphocyte|monocyte"
_MENDELEY: Final = "https://data.mendeley.com"
_MLL23: Final = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil_segmented")
_FIELD: Final = r".+(?=_\d+\.bmp)"
"""At the start of a cut cell's name: the field that it was cut from."""

FURTHER_LABS: Final = (
    Domain(
        key="pbc",
        title="PBC, whole, in the split of WBCAtt",
        read=read_pbc,
        crop=PBC_CROP,
        crop_reason=PBC_CROP_REASON,
        archives=(
            Archive(
                folder="PBC",
                name="PBC_dataset_normal_DIB.zip",
                urls=(
                    f"{_MENDELEY}/public-files/datasets/snkd93bnjr/files/2fc38728-2ae7-4a62-a857-032af82334c3/"
                    "file_downloaded",
                    "https://md-datasets-cache-zipfiles-prod.s3.eu-west-1.amazonaws.com/snkd93bnjr-1.zip",
                ),
                members=_FIVE,
                by_hand=f"open {_MENDELEY}/datasets/snkd93bnjr/1 in a browser and download its zip",
            ),
            Archive(
                folder="WBCAtt",
                urls=("https://github.com/apple2373/wbcatt/archive/3121eea24a0977184bbedcb61b90f7a528f7b4e9.zip",),
            ),
        ),
        counts={"train": 6169, "test": 3099, "val": 1030},
        total=(1218, 3117, 1214, 1420, 3329),
        train_split="train",
        dropped="Erythroblasts (1,551), immature granulocytes (2,895) and platelets (2,348).",
        licence="CC BY 4.0; WBCAtt's tables: MIT.",
        citation=f"{PBC_CITATION} Split: S. Tsutsui, W. Pang, B. Wen: WBCAtt, NeurIPS 2023.",
        page=f"{_MENDELEY}/datasets/snkd93bnjr/1",
        pictures=True,
        caution="pbc2500 is a part of it: never train on one and score on the other. The host may answer scripts "
        f"with a page that asks for a click. {_UNSEEN}",
        sheet=PBC_SHEET,
    ),
    Domain(
        key="lisc_fields",
        title="LISC, cells cut from the original fields by the masks",
        read=read_split_folders,
        cut=cut_lisc,
        archives=(
            Archive(
                folder="LISC",
                name="LISC_Database.zip",
                by_hand="open http://users.cecs.anu.edu.au/~hrezatofighi/Data/Leukocyte%20Data.htm or, if it is gone, "
                "https://vl4ai.erc.monash.edu/pages/LISC.html, and download the LISC database, a zip or rar",
            ),
        ),
        counts={},
        group=_FIELD,
        dropped="mixt: fields with cells of several classes. Fields without a mask.",
        licence="Research use, no redistribution: downloaded, never shipped.",
        citation=LISC_CITATION,
        page="https://vl4ai.erc.monash.edu/pages/LISC.html",
        caution="The cells of lisc, cut anew: never train on one and score on the other. Counts are not checked. "
        f"{_UNSEEN}",
        sheet=LISC_SHEET,
    ),
    Domain(
        key="chula",
        title="Chulalongkorn University, cells cut from fields by their boxes",
        read=read_split_folders,
        cut=cut_chula,
        archives=(
            Archive(
                folder="chula",
                urls=(
                    "https://github.com/singgihbekti/WBC_Dataset/archive/45759ab1e6258b9746377a0935077e2eef0da41b.zip",
                ),
                about_mb=486,
                members="WBC_Samples/",
            ),
        ),
        counts={"all": (100, 100, 111, 99, 112)},
        group=_FIELD,
        dropped="12 boxes whose field is not there, and one of 2 × 5 pixels. train and valid are read as one split.",
        licence="MIT.",
        citation="Embedded System and Integrated Circuit Design Laboratory, Chulalongkorn University: WBC_Dataset, "
        "GitHub.",
        page="https://github.com/singgihbekti/WBC_Dataset",
        pictures=True,
        caution="Each cell is a square of 1.6 times the longer side of its box.",
        sheet=Sheet(
            creator="Embedded System and Integrated Circuit Design Laboratory, Chulalongkorn University",
            published="2022",
            site="Chulalongkorn University, Bangkok",
            labelled_by="the laboratory, confirmed by its Faculty of Medicine",
            faults="12 boxes lack their field. One box has 2 × 5 pixels. Two fields, HF-M-8_0037 and HF-M-8_0073, are "
            "mirrored copies by their names.",
        ),
    ),
    Domain(
        key="mll23",
        title="Munich Leukemia Laboratory, MLL23",
        read=read_anywhere,
        cut=to_eight_bits,
        archives=tuple(
            Archive(
                folder=name,
                name=f"{name}.zip",
                urls=(f"https://zenodo.org/api/records/14277609/files/{name}.zip/content",),
                by_hand=f"open https://zenodo.org/records/14277609 in a browser and download {name}.zip",
            )
            for name in _MLL23
        ),
        counts={"all": (616, 2448, 5532, 2510, 7170)},
        dropped="The 13 other classes, which are not downloaded.",
        licence="CC BY 4.0.",
        citation="S. Shetab Boushehri et al.: A large expert-annotated single-cell peripheral blood dataset for "
        "hematological disease diagnostics, Sci. Data 12:1773 (2025).",
        page="https://zenodo.org/records/14277609",
        pictures=True,
        caution=f"Neutrophils are segmented ones alone. {_UNSEEN}",
        sheet=Sheet(
            creator="S. Shetab Boushehri et al.",
            published="2025",
            site="Munich Leukemia Laboratory, 2021 to 2024",
            patients="adults with a wide range of haematological diagnoses",
            stain="Pappenheim",
            microscope="a scanner with Metafer (MetaSystems)",
            labelled_by="cytomorphology experts of the laboratory",
        ),
    ),
    Domain(
        key="ku_optofil",
        title="KU-Optofil PBC",
        read=read_anywhere,
        cut=to_eight_bits,
        archives=(
            Archive(
                folder="KU-Optofil",
                urls=("https://zenodo.org/api/records/17333317/files/dataset.zip/content",),
                name="dataset.zip",
                about_mb=565,
                by_hand="open https://zenodo.org/records/17333317 in a browser, download dataset.zip and compare its "
                "MD5 with the record's",
            ),
        ),
        counts={},
        dropped="Of the 13 classes all that have no name of the five, such as blasts and myelocytes.",
        licence="Not confirmed: see the record.",
        citation="A. E. Yarıkan et al.: A Large-Scale Peripheral Blood Cell Dataset for Automated Hematological "
        "Analysis, Sci. Data 13 (2026).",
        page="https://zenodo.org/records/17333317",
        caution="Counts are not checked. The authors' split by patient is not read: all images are one split. "
        f"{_UNSEEN}",
        sheet=Sheet(
            creator="A. E. Yarıkan et al.", published="2026", patients="several; the authors split the images by them"
        ),
    ),
    Domain(
        key="aml_lmu",
        title="AML-Cytomorphology_LMU",
        read=read_anywhere,
        cut=to_eight_bits,
        archives=(
            Archive(
                folder="AML",
                name="aml_lmu.tar",
                about_mb=11_000,
                members="(BAS|EOS|LYT|MON|NGB|NGS)[^/]*$",
                by_hand="open the page, fetch the images with IBM Aspera Connect, and pack their folder: tar cf "
                "aml_lmu.tar FOLDER",
            ),
        ),
        counts={"all": (79, 424, 3937, 1789, 8593)},
        dropped="Atypical lymphocytes (LYA, 11), blasts and all other classes.",
        licence="CC BY 3.0.",
        citation="C. Matek, S. Schwarz, K. Spiekermann, C. Marr: Human-level recognition of blast cells in acute "
        "myeloid leukaemia with convolutional neural networks, Nat. Mach. Intell. 1:538-544 (2019).",
        page="https://doi.org/10.7937/tcia.2019.36f5o9ld",
        pictures=True,
        caution=f"Neutrophils are 8,484 segmented (NGS) and 109 band (NGB). {_UNSEEN}",
        sheet=Sheet(
            creator="C. Matek, S. Schwarz, C. Marr, K. Spiekermann",
            published="2019",
            patients="with acute myeloid leukaemia, and without signs of a malignant disease of the blood",
            labelled_by="experts",
        ),
    ),
    Domain(
        key="bodzas",
        title="Ostrava, high resolution",
        read=read_anywhere,
        cut=to_eight_bits,
        archives=(
            Archive(
                folder="Ostrava",
                urls=(
                    "https://springernature.figshare.com/ndownloader/files/40260787",
                    "https://ndownloader.figshare.com/files/40260787",
                ),
                name="bodzas.zip",
                about_mb=46_000,
                members=_FIVE,
                in_parts=True,
                by_hand="open https://springernature.figshare.com/articles/dataset/"
                "A_large-scale_high-resolution_WBC_image_dataset/22680517 and download its one zip with a tool that "
                "goes on after a break, such as wget -c",
            ),
        ),
        counts={"all": 10_426},
        dropped="The classes that are not among the five, such as blasts.",
        licence="CC0.",
        citation="A. Bodzas et al.: High-resolution large-scale dataset of pathological and normal white blood cells, "
        "Sci. Data (2023), doi:10.1038/s41597-023-02378-7.",
        page="https://doi.org/10.6084/m9.figshare.22680517",
        pictures=True,
        caution="Of 46 GB only the members of the five classes are downloaded. Unpacked they take 45 GB more, as BMP "
        f"of 1200 × 1200 pixels. {_UNSEEN}",
        sheet=Sheet(
            creator="A. Bodzas et al.",
            published="2023",
            site="VSB Technical University of Ostrava and City Hospital Ostrava",
            stain="May Grünwald-Giemsa",
            microscope="Olympus BX51",
            magnification="100, oil",
        ),
    ),
    Domain(
        key="krd",
        title="KRD-WBC",
        read=partial(read_anywhere, skip="mask"),
        cut=to_eight_bits,
        archives=(
            Archive(
                folder="KRD",
                name="krd.zip",
                by_hand=f"open {_MENDELEY}/datasets/jzdj6h7gms/2 in a browser and download all as one zip",
            ),
        ),
        counts={"all": 601},
        dropped="Masks.",
        licence="CC BY, not confirmed: see the page.",
        citation="Creating a white blood cell dataset for segmentation, Mendeley Data, jzdj6h7gms, version 2.",
        page=f"{_MENDELEY}/datasets/jzdj6h7gms/2",
        caution=_UNSEEN,
    ),
)
