"""Which parameters train in which epoch."""


def head_first(name: str, epoch: int, epochs: int) -> bool:
    """Trains the head alone for the first half of the epochs, rounded down, then everything.

    Live batch norms gather statistics from the start. In the paper's recipe the learning rate of the second half is
    the smaller one, as the method asks.

    Reference: Kumar et al. 2022, arXiv:2202.10054 (LP-FT); there the first part ends where the head has converged.
    """
    return name.startswith("head.") or epoch >= epochs // 2
