"""The learning rate of each epoch: a linear warm-up, then half a cosine."""

import math


def learning_rates(*, epochs: int, warmup_epochs: int, peak: float, rotated: bool) -> tuple[float, ...]:
    """Returns one learning rate per epoch.

    The warm-up takes `warmup_epochs` values evenly between 0 and `peak`, both excluded. The cosine starts at `peak`.
    Its last zero is left out, so that no epoch trains at rate 0. `rotated` is the released code's reading of the list,
    one place late: the smallest cosine value comes first.

    Reference: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, one period; a value per epoch as in the released
    code of arXiv:2303.01777.
    """
    warmup = [peak * (k + 1) / (warmup_epochs + 1) for k in range(warmup_epochs)]
    decay = epochs - warmup_epochs
    cosine = [peak * (1 + math.cos(math.pi * k / decay)) / 2 for k in range(decay)]
    rates = warmup + cosine
    return tuple(rates[-1:] + rates[:-1] if rotated else rates)
