"""Makes tables, figures and a page from the tracked runs: `python -m entrypoints.report --profile demo`."""

from entrypoints.command import main
from wbc.config import ReportConfig


def report(options: ReportConfig) -> None:
    """Writes the report and prints where its page is."""
    from wbc.report.paper.contents import PAPER
    from wbc.report.report import write_report

    print(write_report(options, PAPER) / "report.html")


if __name__ == "__main__":
    main(ReportConfig, report)
