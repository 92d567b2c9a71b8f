"""What the report beside the paper holds, in the page's order: each table and figure is a function and an entry.

make report PROFILE=paper
"""

from typing import Final

from wbc.report.paper import comparison, figures, tables
from wbc.report.paper.answers import answers, differential_counts
from wbc.report.paper.certainty import certainty
from wbc.report.paper.gallery import galleries
from wbc.report.paper.home_away import home_away
from wbc.report.paper.norm_depth import norms_by_depth
from wbc.report.paper.projection import projections
from wbc.report.paper.published import published_numbers
from wbc.report.paper.ranks import ranks
from wbc.report.paper.recall import recall_slopes
from wbc.report.paper.result import result
from wbc.report.report import Contents

PAPER: Final = Contents(
    headline=result,
    first=(home_away, tables.accuracies),
    parts=(
        tables.data_sets,
        tables.ablation,
        tables.classes,
        comparison.comparison,
        tables.merits,
        answers,
        comparison.differences,
        recall_slopes,
        differential_counts,
        certainty,
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
    numbers=published_numbers,
)
