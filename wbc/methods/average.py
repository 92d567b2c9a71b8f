"""An average of a model's weights over its training."""

from collections.abc import Callable

from torch import Tensor, nn


class WeightAverage:
    """Weights and statistics that follow a model's, step by step; counters are the model's."""

    def __init__(self, model: nn.Module, share: Callable[[int, int], float]) -> None:
        """Begins with the model's weights; `share` of step and steps is how far a step moves the average to them."""
        self.state: dict[str, Tensor] = {name: value.clone() for name, value in model.state_dict().items()}
        self._share = share

    def update(self, model: nn.Module, step: int, steps: int) -> None:
        """Takes in the weights after a step, counted from 0, of all the `steps` of the run."""
        share = self._share(step, steps)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)

    def fill(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` held, in the memory and layout that the average has."""
        for name, value in self.state.items():
            value.copy_(state[name])
