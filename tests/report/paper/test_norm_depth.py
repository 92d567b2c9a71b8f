"""The figure of batch norms by depth: of the runs that were analysed, the mean over them."""

from pathlib import Path

import pandas as pd
import pytest

from wbc.config import ReportConfig
from wbc.report.paper.norm_depth import norms_by_depth
from wbc.report.query import read_study
from wbc.tracking.active import log_analysis

SPLITS = ("smears_source_test", "smears_target")


def log_distances(run_id: str, folder: Path, distances: dict[str, list[float]]) -> None:
    """Logs a table of two norms as `analyse` does; the spreads lie half as far as the means."""
    rows = [
        {"split": split, "depth": depth, "layer": f"bn{depth}", "mean_distance": each, "spread_distance": each / 2}
        for split, means in distances.items()
        for depth, each in enumerate(means, 1)
    ]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "batch_norm.csv", index=False)
    log_analysis(run_id, folder)


def test_lines_are_means_over_the_runs_that_were_analysed(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, tmp_path: Path
) -> None:
    for seed, factor in ((0, 1.0), (1, 3.0)):
        distances = {SPLITS[0]: [0.1 * factor, 0.2 * factor], SPLITS[1]: [1.0 * factor, 4.0 * factor]}
        log_distances(golden_runs["resnet50", seed], tmp_path / str(seed), distances)
    (plot,) = norms_by_depth(read_study(options))
    assert plot.name == "batch_norm_resnet50"
    assert "Mean over the 2 of 2 seeds whose run was analysed." in plot.caption
    assert plot.figure
    means, spreads = plot.figure.axes
    assert [line.get_label() for line in means.lines] == list(SPLITS)
    assert [list(line.get_ydata()) for line in means.lines] == [pytest.approx([0.2, 0.4]), pytest.approx([2.0, 8.0])]
    assert list(spreads.lines[1].get_ydata()) == pytest.approx([1.0, 4.0])


def test_no_figure_where_no_run_was_analysed_or_its_table_is_damaged(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, tmp_path: Path
) -> None:
    assert norms_by_depth(read_study(options)) == []
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "batch_norm.csv").write_text("split,depth\n", encoding="utf-8")
    log_analysis(golden_runs["resnet50", 0], folder)
    assert norms_by_depth(read_study(options)) == []
