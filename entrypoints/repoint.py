"""After a project was moved: records where its artifacts lie now, `python -m entrypoints.repoint`."""

from entrypoints.command import main
from wbc.config import RepointConfig
from wbc.surroundings import expanded


def repoint(options: RepointConfig) -> None:
    """Changes the addresses in the store and prints how many."""
    from wbc.tracking import repoint as tracking

    folders = [expanded(text) if text else None for text in (options.old, options.new)]
    print(f"{tracking.repoint(*folders)} addresses changed")


if __name__ == "__main__":
    main(RepointConfig, repoint)
