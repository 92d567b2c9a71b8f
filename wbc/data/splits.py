"""Names of splits as a user types them: "raabin:test_b", "bccd", "folder:PATH"."""

from collections import Counter
from dataclasses import dataclass

from wbc.data.catalog import find_domain
from wbc.data.domain import Domain
from wbc.errors import ConfigError, unknown


@dataclass(frozen=True)
class Reference:
    """One split of one domain."""

    key: str
    """A row of `DOMAINS`, or folder: and an absolute path."""
    split: str

    @property
    def name(self) -> str:
        """The split's name in metrics and files: "raabin_test_b", "bccd", "folder_<basename>"."""
        slug = find_domain(self.key).slug
        return slug if self.split == "all" else f"{slug}_{self.split}"

    def __str__(self) -> str:
        return self.key if self.split == "all" else f"{self.key}:{self.split}"


def parse_source(text: str) -> Reference:
    """Returns the split to train on: the one that `text` names, or the domain's training split.

    Raises:
        ConfigError: An unknown domain or split, or a domain that is meant for testing only.
    """
    domain, split = _parse(text)
    split = split or domain.train_split
    if split is None:
        raise ConfigError(
            f"'{domain.key}' is meant for testing and has no training split; to train on it all the same, name the "
            f"split: {_choices(domain)}."
        )
    return Reference(domain.key, split)


def expand_targets(text: str) -> tuple[Reference, ...]:
    """Returns the splits that a comma-separated list names, in its order; a bare domain stands for its test splits.

    Raises:
        ConfigError: An empty list or item, an unknown domain or split, or two targets of one name.
    """
    references: list[Reference] = []
    for item in text.split(","):
        if not item.strip():
            raise ConfigError(f"empty name among the targets '{text}'; write for example 'raabin:test_a,lisc'.")
        domain, split = _parse(item)
        references += [Reference(domain.key, each) for each in ([split] if split else domain.test_splits)]
    for name, times in Counter(reference.name for reference in references).items():
        if times > 1:
            same = " and ".join(str(reference) for reference in references if reference.name == name)
            raise ConfigError(f"{times} targets are called '{name}': {same}. Each must have a name of its own.")
    return tuple(references)


def _parse(text: str) -> tuple[Domain, str | None]:
    text = text.strip()
    if text.startswith("folder:"):  # the whole rest is the path
        return find_domain(text), None
    key, colon, split = text.partition(":")
    domain = find_domain(key)
    if colon and split not in domain.splits:
        raise unknown(f"split of {key}", split, domain.splits)
    return domain, split if colon else None


def _choices(domain: Domain) -> str:
    return ", ".join(f"{domain.key}:{split}" for split in domain.splits)
