"""The main path: identify a run, open it, train it, score it at home and away, complete it; everything tracked."""

from itertools import chain

import torch

from wbc.compute import enough_memory, settle
from wbc.config import RunConfig
from wbc.data.catalog import find_domain
from wbc.data.images import join
from wbc.data.prepare import check_folder
from wbc.identity import suited, trained_as, wanted_scores
from wbc.inputs import load_inputs, splits_of
from wbc.models.build import build, check_image_size
from wbc.outcome import Outcome
from wbc.scoring import outcome, score_splits
from wbc.tracking.read import read_trainings
from wbc.tracking.runs import open_run
from wbc.tracking.store import connect
from wbc.tracking.whole import lack
from wbc.training.fit import fit
from wbc.training.pretrain import starting_weights


def train_and_score(config: RunConfig) -> Outcome:
    """Trains and scores the run that `config` describes, goes on with it where it was interrupted, or finds it done.

    Raises:
        WbcError: something the user can correct; what was saved before stays, and the same call goes on from there.
    """
    check_run(config)
    config = settle(config)
    if config.scale == "tiny":  # more threads would slow thin layers down, and change the last bits of sums
        torch.set_num_threads(1)
    weights = starting_weights(config)
    inputs = load_inputs(config)
    identity = trained_as(config, inputs.train, weights)
    scores = wanted_scores(identity, inputs, config)
    done = any(lack(run, scores) is None for run in read_trainings(identity))
    model = None if done else build(config, weights)  # before it is opened: what cannot be built leaves no run
    with open_run(config, identity, scores) as run:
        if not run.done:
            with enough_memory(config):
                model = model or build(config, weights)
                if not run.training.trained:
                    run.training.start(inputs.train)
                fit(model, join(inputs.train), config, run.training)
                score_splits(model, inputs, config, run.scores, scores, suited(config, config.adapt))
            run.complete()
        return outcome(run.scores, config, inputs, done_already=run.done)


def check_run(config: RunConfig) -> None:
    """Makes sure in no time, before anything is downloaded, that splits and size are known and the store answers.

    Raises:
        TrackingError: the store does not answer.
        ConfigError: a domain or split is not known, a target is trained on, or the network does not take the size.
        DataError: a folder of images is not there.
    """
    for split in chain(*splits_of(config)):
        check_folder(find_domain(split.key))
    check_image_size(config)
    connect()
