"""The tables of several labs: each arm on each lab with its worst one, and a lab left out beside a single source."""

import numpy as np
import pandas as pd

from wbc.arms import PLAIN, Arm
from wbc.report.names import method_name, network
from wbc.report.paper import labs as of
from wbc.report.paper.home_away import signed
from wbc.report.render import NOTHING, Cell, Table, cells, percent
from wbc.report.seeds import how_over_seeds, over_seeds
from wbc.report.statistics import seed_interval
from wbc.report.study import Study


def matrix_table(study: Study) -> Table:
    """Returns every arm on every lab, and the lab away on which each is worst."""
    found = {arm: of.fields(study, arm) for arm in study.arms}
    groups: dict[tuple[str, ...], list[tuple[Cell, ...]]] = {}
    for arm, on in found.items():
        groups.setdefault(arm.sources, []).append(_row(study, arm, on))
    fields = [field for on in found.values() for field in on.values()]
    return Table(
        name="labs",
        title="Balanced accuracy in % of every arm on every lab, and its worst lab away",
        note=(
            f"{how_over_seeds([field.values for field in fields], study.seed_list())} n: images. Home: the part of the "
            "lab that was held out of training. Worst: the lowest mean of the labs that the arm was not trained on."
            f"{of.lacking_words(study)}"
        ),
        header=("trained on", "model", "method", *of.labs(study), "worst lab away"),
        groups=tuple(map(tuple, groups.values())),
        left=3,
        appendix=True,
        data=pd.DataFrame([row for field in fields for row in of.numbers_of(study, field)]),
    )


def left_out_table(study: Study) -> Table | None:
    """Returns each lab as it is scored by arms of one other lab and of all others; None where there are not both."""
    found = of.levels(study)
    if not ((of.ONE, PLAIN) in found and (of.REST, PLAIN) in found):
        return None
    names, visits = of.labs(study), study.settings.get("visits")
    steps = "Every arm takes as many steps." if visits else "Arms of more labs have more images, so take more steps."
    rows, data = [], []
    for model, called in {arm.model: network(arm) for arm in study.arms}.items():
        group = []
        for (kind, method), by_model in found.items():
            by_lab = by_model.get(model, {})
            base = found[of.ONE, PLAIN].get(model, {})
            gains = {lab: float(np.mean(by_lab[lab]) - np.mean(base[lab])) for lab in names if lab in by_lab}
            shown = [_left_out_cell(by_lab.get(lab, []), gains.get(lab)) for lab in names]
            gain = _over_labs(gains, plain=(kind, method) == (of.ONE, PLAIN))
            group.append(cells(Cell(text=called, key=model), kind, method_name(method), *shown, _worst(by_lab), gain))
            data += [
                {"model": model, "trained_on": kind, "method": method, "lab": lab, "n_sources": len(by_lab[lab])}
                | {"balanced_accuracy": float(np.mean(by_lab[lab])), "lowest_source": min(by_lab[lab])}
                | {"highest_source": max(by_lab[lab]), "gain": gains[lab]}
                for lab in names
                if lab in by_lab
            ]
        rows.append(tuple(group))
    return Table(
        name="left_out",
        title="A lab left out: trained on one other lab, or on all others; balanced accuracy in %",
        note=(
            "Means over seeds; of one other lab also over which one it is, in brackets the lowest and highest of them. "
            "Second lines: points above plain training on one other lab. Worst: the lab of the lowest mean. Last "
            "column: the mean of these gains, with its 95 % interval over labs (Student t). "
            f"{steps}{of.lacking_words(study)}"
        ),
        header=("model", "trained on", "method", *_headings(study), "worst lab", "gain, mean over labs"),
        groups=tuple(rows),
        left=3,
        data=pd.DataFrame(data),
    )


def _row(study: Study, arm: Arm, on: dict[str, of.Field]) -> tuple[Cell, ...]:
    shown = [_cell(study, on[lab]) if lab in on else Cell(text="missing") for lab in of.labs(study)]
    low = of.worst(on.values())
    last = Cell(text=low.lab, second=percent(low.mean), sort=low.mean) if low else Cell(text=NOTHING)
    model = Cell(text=network(arm), key=study.label(arm))
    return cells(of.trained_on(study, arm), model, method_name(arm.method), *shown, last)


def _cell(study: Study, field: of.Field) -> Cell:
    where = "home, " if field.home else ""
    lacking = of.lacking(field.domain)
    second = f"{where}n = {len(field.domain.labels)}{f', no {lacking[0]}' if lacking else ''}"
    return Cell(text=over_seeds(field.values, len(study.seeds)), second=second, sort=field.mean)


def _left_out_cell(means: list[float], gain: float | None) -> Cell:
    if not means:
        return Cell(text="missing")
    spread = f" ({percent(min(means))}–{percent(max(means))})" if len(means) > 1 else ""
    mean = float(np.mean(means))
    return Cell(text=f"{percent(mean)}{spread}", second=signed(100 * gain) if gain else "", sort=mean)


def _headings(study: Study) -> list[str]:
    """Returns the labs, each with the number of images that it is scored on by arms that have not seen it."""
    found = (field for arm in study.arms for field in of.fields(study, arm).values() if not field.home)
    away = {field.lab: len(field.domain.labels) for field in found}
    return [f"{lab} (n = {away[lab]})" if lab in away else lab for lab in of.labs(study)]


def _worst(by_lab: dict[str, list[float]]) -> Cell:
    if not by_lab:
        return Cell(text=NOTHING)
    mean, lab = min((float(np.mean(means)), lab) for lab, means in by_lab.items())
    return Cell(text=lab, second=percent(mean), sort=mean)


def _over_labs(gains: dict[str, float], *, plain: bool) -> Cell:
    if plain or not gains:
        return Cell(text=NOTHING)
    interval = seed_interval(list(gains.values()))
    return Cell(text=of.points(interval), second=of.ends(interval), sort=interval.mean)
