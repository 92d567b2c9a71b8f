"""The adaptation that is advised helped on every known lab."""

import pytest

from tests.report.conftest import AWAY, HOME
from tests.report.studies import study_of
from wbc.assess.advice import advise
from wbc.assess.runs import Known


def known_of(**counts: int) -> Known:
    """Returns one run that gets 6 of 10 wrong away, and so many under each adaptation."""
    named = {HOME: 0, AWAY: 6} | {f"{AWAY}/{name}": wrong for name, wrong in counts.items()}
    study = study_of({"resnet50": [named]})
    return Known(study="demo", runs=study.runs, domains=study.domains)


def test_adaptation_of_the_largest_gain_is_advised() -> None:
    known = known_of(em=4, adabn=2, shots_5=0)
    found = advise(known, known.arms[0])
    assert found is not None
    assert (found.adaptation, found.labs, found.runs) == ("adabn", 1, 1)
    assert found.gain == found.least == pytest.approx(0.4)


def test_none_is_advised_where_none_helped() -> None:
    known = known_of(em=6, adabn=7)
    assert advise(known, known.arms[0]) is None
