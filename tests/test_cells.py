import pytest

from wbc.cells import class_index


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Basophil", 0),
        ("eosinophils", 1),
        ("LYMPHOCYTE", 2),
        ("mono", 3),
        ("NEU", 4),
        ("02_Lymph", 2),
        ("linfocitos", 2),
        ("Lymphozyten", 2),
        ("Monozyt", 3),
        ("Basófilos", 0),
        ("Neutrophil granulocytes", 4),
        ("segmented_neutrophil", 4),
        ("Eosinophil_1", 1),
        ("lymphs", 2),
        ("04_Neutrophils (seg)", 4),
        ("neutrophil_band", 4),
        ("neutrophil_segmented", 4),
        ("lymphocyte_typical", 2),
        ("LYT", 2),
        ("NGS", 4),
        ("NGB", 4),
        ("MON", 3),
        ("EOS", 1),
        ("BAS", 0),
        ("Monocyte (2)", 3),
    ],
)
def test_class_index_of_a_common_spelling(name: str, label: int) -> None:
    assert class_index(name) == label


@pytest.mark.parametrize(
    "name",
    [
        "platelet",
        "erythroblast",
        "lymphoblast",
        "",
        "basic",
        "train",
        "monolayer",
        "1",
        "B",
        "M",
        "n",
        "Neutrophil (excluded, out of focus)",
        "lymphocyte_atypical",
        "atypical lymphocyte",
        "lymphocyte_neoplastic",
        "neutrophil_old",
        "非neutrophil",
        "neutrophil✗",
        "mono ½",
    ],
)
def test_class_index_of_no_class(name: str) -> None:
    assert class_index(name) is None
