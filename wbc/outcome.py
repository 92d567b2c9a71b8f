"""What a run came to, in numbers and in lines for a terminal."""

from dataclasses import dataclass

from wbc.config import RunConfig
from wbc.models.catalog import seen_by
from wbc.models.seen import is_seen, marked, meaning


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to: its MLflow id, and by domain its accuracy and that of guessing, in [0, 1]."""

    run_id: str
    config: RunConfig
    accuracies: dict[str, float]
    guessing: dict[str, float]
    """The share of each domain's largest class: the accuracy of always saying that class."""
    done_already: bool
    in_full: tuple[str, ...] = ()
    """Of a run scored further: a line for each split, with interval, number of images and recalls."""
    averaged: int = 1
    """Of how many runs the weights are the average."""

    def line(self) -> str:
        """Returns the run's name and its accuracy on each domain in %, as one line for a terminal."""
        named = {domain: marked(domain, seen(self.config)) for domain in self.accuracies}
        scores = "  ".join(f"{named[domain]} {100 * accuracy:.1f} %" for domain, accuracy in self.accuracies.items())
        return f"{self.config.name}  {scores}"

    def lines(self) -> list[str]:
        """Returns the run and then each split: its accuracy and that of guessing, or `in_full` where that is known.

        A split whose lab the model's weights have seen before has a mark, and a last line says what it means.
        """
        done = " (done already)" if self.done_already else ""
        keys = seen(self.config)
        width = max(len(marked(domain, keys)) for domain in self.accuracies)
        splits = [
            f"  {marked(domain, keys):{width}}  {100 * accuracy:6.2f} %   "
            f"(largest class: {100 * self.guessing[domain]:.2f} %)"
            for domain, accuracy in self.accuracies.items()
        ]
        name = self.config.name if self.averaged == 1 else f"{self.config.arm.name}, average of {self.averaged} runs"
        told = [f"  {meaning(self.config.model)}"] if any(is_seen(each, keys) for each in self.accuracies) else []
        return [f"{name}  run {self.run_id[:8]}{done}", *(self.in_full or splits), *told]


def seen(config: RunConfig) -> tuple[str, ...]:
    """Returns the keys of the domains that a run's model and its starting weights have seen before."""
    return seen_by(config.model, config.pretrained)
