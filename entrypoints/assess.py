"""Would a model do on your slides? `python -m entrypoints.assess --slides our_slides`."""

from entrypoints.command import main
from wbc.assess.options import AssessConfig


def assess(options: AssessConfig) -> None:
    """Writes the page and prints the answer in three sentences, and where the page lies."""
    from wbc.assess.assess import assess as assess_slides

    print(assess_slides(options))


if __name__ == "__main__":
    main(AssessConfig, assess)
