"""Compares a run's batch norms with each split's statistics: `python -m entrypoints.analyse --run RUN_ID`."""

from entrypoints.command import main
from wbc.config import AnalyseConfig


def analyse(options: AnalyseConfig) -> None:
    """Logs the comparison to the run and prints the largest distances."""
    from wbc.analysis.analyse import analyse as analyse_run

    print(analyse_run(options))


if __name__ == "__main__":
    main(AnalyseConfig, analyse)
