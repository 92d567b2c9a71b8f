"""What arms are called where people read: "ResNet50, group norm". Their keys stay in CSV files and commands."""

from typing import Final

from wbc.arms import PLAIN, Arm
from wbc.methods.catalog import titles
from wbc.report.render import Cell
from wbc.report.study import Study, describe_arm

NORMS: Final = {
    "batch": "batch norm",
    "frozen_batch": "frozen batch norm",
    "group": "group norm",
    "layer": "layer norm",
    "none": "no norm",
    "own": "the backbone's own",
}
"""The normalisations in words, in the order of figures that group by them."""
_TRAINED: Final = {"all": "", "last16": "last 16 layers", "head": "linear layer only"}


def network(arm: Arm) -> str:
    """Returns what an arm trains, as people say it: the network, its norm, what is added or trained."""
    model = describe_arm(arm)
    parts = [
        model.title.partition(" (")[0].removeprefix("Default "),
        NORMS[model.norm] if model.norm != "own" and model.trainable != "head" else "",
        "FC layers" if model.head == "fc" else "",
        _TRAINED[model.trainable],
    ]
    return ", ".join(part for part in parts if part)


def method_name(name: str) -> str:
    """Returns a method or adaptation as people say it, up to the first comma of its title: "HED jitter"."""
    known = titles()
    return " + ".join(known.get(part, part).partition(",")[0] for part in name.split("+"))


def spoken(study: Study, arm: Arm) -> str:
    """Returns an arm's name as people say it: the network, and the method.

    Where the study trains on several sets of sources, they follow.
    """
    added = "" if arm.method == PLAIN else f" + {method_name(arm.method)}"
    several = len({each.sources for each in study.arms}) > 1
    return network(arm) + added + (f" from {','.join(arm.sources)}" if several else "")


def name_cell(study: Study, arm: Arm) -> Cell:
    """Returns an arm's name as tables print it."""
    return Cell(text=spoken(study, arm), key=study.label(arm))


def in_sentence(study: Study, arm: Arm) -> str:
    """Returns an arm's name as it stands within a sentence: "ResNet50 with group norm"."""
    return within(spoken(study, arm))


def within(name: str) -> str:
    """Returns a network's or arm's name without the comma after the network."""
    return name.replace(", ", " with ", 1)
