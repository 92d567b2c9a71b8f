"""The five white blood cells of the benchmark, in the order of every label, score and table."""

import re
import unicodedata
from typing import Final

CLASSES: Final = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
ABBREVIATIONS: Final = ("Bas", "Eos", "Lymp", "Mono", "Neut")

_LETTERS: Final = {"b": 0, "e": 1, "l": 2, "m": 3, "n": 4}
_FORM: Final = r"(?:segmented|seg|band|stab|typical)"
# English, Romance and German names, whole or short, singular or plural: basophil, Basófilos, Lymphozyten, mono; and
# the codes of AML-LMU (NGS, NGB, LYT). A word that is not understood, or a letter alone, could mean anything.
_SPELLING: Final = re.compile(
    rf"(?:\d+[\s_.-]*)?(?:{_FORM}[\s_.-]*)?"  # 01_Neutrophil, band neutrophils
    r"(?P<name>(?:baso|eosino|neutro)(?:ph|f)[iy]?l[a-z]{0,2}|(?:lympho|lymfo|limfo|linfo|mono)[cz][yi]t[a-z]{0,3}"
    r"|ba|bas|baso|eo|eos|eosi|eosin|eosino|ly|lym|lymp|lymph|lympho|lyt|mo|mon|mono|ne|neu|neut|neutro|ngs|ngb)s?"
    rf"(?:[\s_.-]*granulo[cz]yt[a-z]{{0,2}})?(?:[\s_.-]+{_FORM}|[\s_.-]*\({_FORM}\))?(?:[\s_.-]*(?:\d+|\(\d+\)))?\.?"
)


def class_index(name: str) -> int | None:
    """Returns the label, 0 to 4, for a common spelling of a class ("baso", "Lymphocytes", "02_NEU"), else None."""
    letters = unicodedata.normalize("NFKD", name.strip().lower())
    match = _SPELLING.fullmatch("".join(letter for letter in letters if not unicodedata.combining(letter)))
    return _LETTERS[match["name"][0]] if match else None
