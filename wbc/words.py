"""Numbers with their nouns."""


def number_of(count: int, noun: str) -> str:
    """Returns a count with its noun, which takes an s unless it is one: "1 run", "30 runs"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
