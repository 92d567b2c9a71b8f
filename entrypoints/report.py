"""Makes tables, figures and a page from the tracked runs: `python -m entrypoints.report --profile demo`."""

from entrypoints.command import main
from wbc.config import ReportConfig


def report(options: ReportConfig) -> None:
    """Writes the report and prints where its page is."""
    from wbc.report.paper.contents import contents_of
    from wbc.report.report import write_report

    print(write_report(options, contents_of(options.profile)) / "report.html")


if __name__ == "__main__":
    main(ReportConfig, report)
