"""Takes a run's model along: `python -m entrypoints.export --run RUN_ID`."""

from entrypoints.command import main
from wbc.assess.options import ExportConfig


def export(options: ExportConfig) -> None:
    """Writes the folder and prints where it lies, and which cells the model refers."""
    from wbc.assess.export import export as export_run

    print(export_run(options))


if __name__ == "__main__":
    main(ExportConfig, export)
