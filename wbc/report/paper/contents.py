"""What reports hold, in the page's order: that beside the paper, and that of a study of several sources.

Each table and figure is a function and an entry. make report PROFILE=paper, make report PROFILE=labs
"""

from dataclasses import replace
from typing import Final

from wbc.report.paper import comparison, figures, tables
from wbc.report.paper.answers import answers, differential_counts
from wbc.report.paper.averages import averages
from wbc.report.paper.certainty import certainty
from wbc.report.paper.choice import advice, choice
from wbc.report.paper.domains import data_sheets
from wbc.report.paper.expected import expected_accuracy
from wbc.report.paper.gains import gains
from wbc.report.paper.gallery import galleries
from wbc.report.paper.home_away import home_away
from wbc.report.paper.joint import joint, joint_tables
from wbc.report.paper.labs import sentences, worth
from wbc.report.paper.labs_matrix import matrix
from wbc.report.paper.labs_tables import left_out_table, matrix_table
from wbc.report.paper.methods import methods_tables, what_helps
from wbc.report.paper.norm_depth import norms_by_depth
from wbc.report.paper.projection import projections
from wbc.report.paper.published import published_numbers
from wbc.report.paper.ranks import ranks
from wbc.report.paper.recall import recall_slopes
from wbc.report.paper.result import result
from wbc.report.parts import Headline
from wbc.report.report import Contents
from wbc.report.study import Study
from wbc.studies import find_study


def headline(study: Study) -> Headline:
    """Returns the result on each lab, and what methods and adaptations do to it."""
    paragraphs = tuple(filter(None, (*what_helps(study), advice(study))))
    return replace(result(study.models), paragraphs=paragraphs)


PAPER: Final = Contents(
    headline=headline,
    first=(gains, home_away, tables.accuracies),
    parts=(
        choice,
        methods_tables,
        joint,
        joint_tables,
        averages,
        tables.data_sets,
        data_sheets,
        tables.ablation,
        tables.classes,
        comparison.comparison,
        tables.merits,
        answers,
        comparison.differences,
        recall_slopes,
        differential_counts,
        certainty,
        expected_accuracy,
        figures.samples,
        figures.seeds,
        projections,
        norms_by_depth,
        figures.analysed_confusion,
        figures.curves,
        ranks,
        figures.confusions,
        galleries,
    ),
    whole=frozenset({gains, choice, methods_tables, joint, joint_tables, averages}),
    numbers=published_numbers,
)


def headline_of_labs(study: Study) -> Headline:
    """Returns what each lab is scored by what was trained on, and what more labs are worth."""
    return replace(result(study.models), sentences=sentences(study), paragraphs=tuple(filter(None, [worth(study)])))


LABS: Final = Contents(
    headline=headline_of_labs,
    first=(matrix, left_out_table),
    parts=(matrix_table, expected_accuracy, tables.data_sets, data_sheets, figures.samples, galleries),
    whole=frozenset({matrix, left_out_table, matrix_table}),
)
"""Where arms train on different sources there is no one home: each is scored on the labs that it has not seen."""


def contents_of(profile: str) -> Contents:
    """Returns what the report of a study holds: LABS where it trains on several sources, else PAPER.

    Raises:
        ConfigError: there is no such study.
    """
    return LABS if len(find_study(profile).sources) > 1 else PAPER
