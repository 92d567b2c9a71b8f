"""The five white blood cells of the benchmark, in the order of every label, score and table."""

import re
from typing import Final

CLASSES: Final = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
ABBREVIATIONS: Final = ("Bas", "Eos", "Lymp", "Mono", "Neut")

_LETTERS: Final = {"b": 0, "e": 1, "l": 2, "m": 3, "n": 4}
_SPELLING: Final = re.compile(
    r"(?:\d+[\s_.-]*)?"  # a numbered folder: 01_Neutrophil
    r"(?:ba|bas|baso|basophiles?|basophils?|basofilos?|eo|eos|eosi|eosin|eosinophiles?|eosinophils?|eosinofilos?"
    r"|ly|lym|lymp|lymph|lympho|lymphocytes?|linfocitos?|mo|mon|mono|monocytes?|monocitos?"
    r"|ne|neu|neut|neutro|neutrophiles?|neutrophils?|neutrofilos?|[belmn])\.?"
)


def class_index(name: str) -> int | None:
    """Returns the label, 0 to 4, for a common spelling of a class ("baso", "Lymphocytes", "02_NEU"), else None."""
    folded = name.strip().lower()
    if not _SPELLING.fullmatch(folded):
        return None
    return _LETTERS[re.sub(r"^[\d\s_.-]+", "", folded)[0]]
