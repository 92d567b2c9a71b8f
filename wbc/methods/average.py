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


def ema(step: int, steps: int) -> float:
    """Follows the weights ever more slowly: the average holds about the last tenth of all steps so far, at most 1000.

    Reference: Polyak & Juditsky 1992, SIAM J Control Optim 30(4). The decay min(0.999, (1 + step) / (10 + step)) is
    that of TensorFlow's ExponentialMovingAverage; here the first step is taken whole.
    """
    return 1.0 if step == 0 else max(0.001, 9 / (10 + step))


def swa(step: int, steps: int) -> float:
    """Averages the weights of the last quarter of the steps, all alike.

    Reference: Izmailov et al. 2018, arXiv:1803.05407. There the learning rate stays high and weights count once an
    epoch; batch norm's statistics, averaged here too, are there computed anew.
    """
    first = steps - max(1, steps // 4)
    return 1.0 if step <= first else 1 / (step - first + 1)
