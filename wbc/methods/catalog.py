"""The ways to train that a model is combined with: one row a method, each saying what it may see.

This file imports neither torch nor timm, so that reports can read the rows' titles.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from wbc.arms import PLAIN
from wbc.errors import ConfigError, unknown

SEAMS: Final = ("sampler", "augmentation", "mixing", "loss", "average", "trained")
"""The places where a method may act; `wbc.methods.parts` says what stands at each."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to train; each seam it sets names a function as "module:function", the others stay as in the paper."""

    title: str
    """What people call it; after a comma, details."""
    access: Literal["source"]
    """What it sees: `source`, only the labelled training images."""
    sampler: str | None = None
    """Which images an epoch visits, and in what order."""
    augmentation: str | None = None
    """How the bytes of a batch are changed, after the recipe's flips and crops; several, by commas, in their order."""
    mixing: str | None = None
    """How the images of a batch, and their labels, are blended."""
    loss: str | None = None
    """What is minimised."""
    average: str | None = None
    """How far the average of the weights, which is scored and saved, follows each step."""
    trained: str | None = None
    """Which parameters train in which epoch."""
    labs: int = 1
    """How many labs it needs images of to train; it decides no weight."""
    evens: bool = False
    """Whether scores come out as if classes were equally common; adaptations read it, and it decides no weight."""


METHODS: Final[dict[str, Method]] = {
    "erm": Method(title="plain training, as in the paper", access="source"),
    "trivial_augment": Method(title="TrivialAugment", access="source", augmentation="wbc.methods.view:trivial_augment"),
    "random_view": Method(
        title="random view, 0.6 to 1.25 of the field", access="source", augmentation="wbc.methods.view:random_view"
    ),
    "colour_jitter": Method(
        title="colour jitter, 0.4 and hue 0.1", access="source", augmentation="wbc.methods.colour:colour_jitter"
    ),
    "hed_jitter": Method(title="HED jitter, 0.2", access="source", augmentation="wbc.methods.colour:hed_jitter"),
    "lab_jitter": Method(
        title="LAB jitter, of statistics (RandStainNA)", access="source", augmentation="wbc.methods.colour:lab_jitter"
    ),
    "colour_mixing": Method(
        title="colour mixing, at random, 0.3", access="source", augmentation="wbc.methods.colour:colour_mixing"
    ),
    "fourier": Method(title="Fourier mixing, of amplitudes", access="source", augmentation="wbc.methods.style:fourier"),
    "mixup": Method(title="mixup, as the released code offers it", access="source", mixing="wbc.methods.mix:mix"),
    "balanced": Method(
        title="balanced classes, by sampling", access="source", sampler="wbc.methods.sampling:balanced", evens=True
    ),
    "by_lab": Method(
        title="balanced labs, by sampling", access="source", sampler="wbc.methods.sampling:by_lab", labs=2
    ),
    "balanced_by_lab": Method(
        title="balanced labs and classes, by sampling",
        access="source",
        sampler="wbc.methods.sampling:balanced_by_lab",
        labs=2,
        evens=True,
    ),
    "logit_adjustment": Method(
        title="logit adjustment, in training",
        access="source",
        loss="wbc.methods.losses:logit_adjustment",
        evens=True,
    ),
    "l2_sp": Method(title="L2-SP, held to the starting weights", access="source", loss="wbc.methods.losses:l2_sp"),
    "coral": Method(
        title="CORAL, features of labs made alike", access="source", loss="wbc.methods.losses:coral", labs=2
    ),
    "group_dro": Method(
        title="GroupDRO, the worst lab first", access="source", loss="wbc.methods.losses:group_dro", labs=2
    ),
    "v_rex": Method(title="V-REx, losses of labs made alike", access="source", loss="wbc.methods.losses:v_rex", labs=2),
    "mixstyle": Method(title="MixStyle", access="source", loss="wbc.methods.style:mixstyle"),
    "lp_ft": Method(
        title="LP-FT, head first, then everything", access="source", trained="wbc.methods.stages:head_first"
    ),
    "ema": Method(title="EMA, moving average of the weights", access="source", average="wbc.methods.average:ema"),
    "swa": Method(
        title="SWA, average of the last quarter's weights", access="source", average="wbc.methods.average:swa"
    ),
}


ACCESS: Final = ("source", "target", "labels")
"""What a row may see, the least first; a combination sees what its parts see."""
ADAPTATION_SEAMS: Final = ("colour", "norms", "views", "scores")
"""The places where an adaptation may act, in order; `wbc.methods.adapt` says what stands at each."""
PLAIN_SCORE: Final = "none"
"""The row of ADAPTATIONS under which a model scores as it was trained."""


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """One way to fit a finished run to what it scores; each seam it sets names a function as "module:function"."""

    title: str
    """What people call it; after a comma, details."""
    access: Literal["source", "target", "labels"]
    """What it sees: one image at a time; all images of the split, unlabelled; the labels of a few of them."""
    colour: str | None = None
    """What colours the model sees an image in."""
    norms: str | None = None
    """How norm layers are fitted to the images."""
    views: str | None = None
    """In what views the model sees an image."""
    scores: str | None = None
    """What becomes of the predictions."""
    suits: tuple[str, ...] = ()
    """The norms (`Model.norm`) of the models that it works for; none: of any."""
    passes: int = 0
    """Forward passes over the images that it takes beside the plain one, a backward pass counted as two."""


_BATCH_NORM: Final = ("batch", "frozen_batch", "own")
_ANY_NORM: Final = (*_BATCH_NORM, "group", "layer")
ADAPTATIONS: Final[dict[str, Adaptation]] = {
    PLAIN_SCORE: Adaptation(title="as trained", access="source"),
    "rgb": Adaptation(
        title="RGB matching, each image in the source's mean and spread",
        access="source",
        colour="wbc.methods.adapt_views:in_rgb",
        passes=1,
    ),
    "lab": Adaptation(
        title="LAB matching, each image in the source's mean and spread",
        access="source",
        colour="wbc.methods.adapt_views:in_lab",
        passes=1,
    ),
    "adabn": Adaptation(
        title="AdaBN, batch norm re-estimated",
        access="target",
        norms="wbc.methods.adapt_norms:adabn",
        suits=_BATCH_NORM,
        passes=2,
    ),
    "adabn_mixed": Adaptation(
        title="AdaBN mixed, with the source's statistics, N = 128",
        access="target",
        norms="wbc.methods.adapt_norms:adabn_mixed",
        suits=_BATCH_NORM,
        passes=2,
    ),
    "tent": Adaptation(
        title="TENT, batches of 64", access="target", norms="wbc.methods.adapt_norms:tent", suits=_ANY_NORM, passes=5
    ),
    "sar": Adaptation(
        title="SAR, batches of 64", access="target", norms="wbc.methods.adapt_norms:sar", suits=_ANY_NORM, passes=8
    ),
    "flips": Adaptation(
        title="flips, the mean of eight flips and turns",
        access="source",
        views="wbc.methods.adapt_views:flips",
        passes=8,
    ),
    "prior": Adaptation(
        title="prior shift, logit adjustment after training", access="source", scores="wbc.methods.adapt_scores:prior"
    ),
    "em": Adaptation(title="EM, of class shares", access="target", scores="wbc.methods.adapt_scores:em"),
    **{
        f"shots_{k}": Adaptation(
            title=f"{k} shot{'s' * (k > 1)}, a linear head on {k} labelled a class, 5 draws",
            access="labels",
            scores=f"wbc.methods.adapt_scores:shots_{k}",
        )
        for k in (1, 5, 10, 20)
    },
}


def titles() -> dict[str, str]:
    """Returns the title of each row of METHODS and ADAPTATIONS."""
    return {name: row.title for name, row in METHODS.items()} | {name: row.title for name, row in ADAPTATIONS.items()}


def find_adaptation(name: str) -> Adaptation:
    """Returns the row of ADAPTATIONS called `name`, or several in one where names are joined by "+": "adabn+em".

    Raises:
        ConfigError: a row is not known, two rows set the same seam, or they do not stand in the catalogue's order.
    """
    parts, seams = _joined("adaptation", name, ADAPTATIONS, PLAIN_SCORE, ADAPTATION_SEAMS)
    if len(parts) == 1:
        return ADAPTATIONS[name]
    rows = [ADAPTATIONS[part] for part in parts]
    return Adaptation(
        title=" + ".join(row.title for row in rows),
        access=max((row.access for row in rows), key=ACCESS.index),
        suits=next((row.suits for row in rows if row.suits), ()),
        passes=sum(row.passes for row in rows),
        **seams,
    )


def model_changes(adaptation: str) -> tuple[str, ...]:
    """Returns the functions that change the model under an adaptation, in order; none where only scores change."""
    row = find_adaptation(adaptation)
    return tuple(each for each in (row.colour, row.norms, row.views) if each)


def unsuited(adaptation: str, norm: str) -> str | None:
    """Returns why an adaptation does not work for models of a norm (`Model.norm`), or None where it does."""
    suits = find_adaptation(adaptation).suits
    if not suits or norm in suits:
        return None
    what = "batch norm's statistics" if suits == _BATCH_NORM else "the weights of norm layers"
    return f"{adaptation} changes {what}, and this model has {'none' if norm == 'none' else f'{norm} norm'}"


def find_method(name: str) -> Method:
    """Returns the row called `name`, or several rows in one where names are joined by "+": "balanced+mixup".

    Raises:
        ConfigError: a row is not known, two rows set the same seam, or they do not stand in the catalogue's order.
    """
    parts, seams = _joined("method", name, METHODS, PLAIN, SEAMS, chained="augmentation")
    if len(parts) == 1:
        return METHODS[name]
    evening = [part for part in parts if METHODS[part].evens]
    if len(evening) > 1:
        raise ConfigError(f"method '{name}': {' and '.join(evening)} both correct for the class shares: choose one.")
    by_lab = [part for part in parts if METHODS[part].labs > 1 and METHODS[part].loss]
    blending = [part for part in parts if METHODS[part].mixing]
    if by_lab and blending:
        raise ConfigError(f"method '{name}': {blending[0]} blends images of several labs, which {by_lab[0]} must part.")
    title = " + ".join(METHODS[part].title for part in parts)
    labs = max(METHODS[part].labs for part in parts)
    return Method(title=title, access="source", labs=labs, evens=bool(evening), **seams)


def _joined(
    kind: str, name: str, rows: Mapping[str, Any], plain: str, seams: Iterable[str], *, chained: str = ""
) -> tuple[list[str], dict[str, str]]:
    """Returns the parts of a name joined by "+", and for each seam that they set its function.

    At the seam `chained` functions of several parts follow each other, by commas.

    Raises:
        ConfigError: a part is no row or is `plain`, two act on a seam, or they do not stand in the rows' order.
    """
    parts = name.split("+")
    for part in parts:
        if part not in rows:
            raise unknown(kind, part, rows)
    if len(parts) > 1 and plain in parts:
        raise ConfigError(f"{kind} '{name}': {plain} means no {kind}: leave it out.")
    found = {}
    for seam in seams:
        setters = [part for part in parts if getattr(rows[part], seam)]
        if len(setters) > 1 and (seam != chained or len(set(setters)) < len(setters)):
            raise ConfigError(f"{kind} '{name}': {' and '.join(setters[:2])} both act on the {seam}: choose one.")
        if setters:
            found[seam] = ", ".join(getattr(rows[part], seam) for part in setters)
    ordered = "+".join(sorted(parts, key=list(rows).index))
    if name != ordered:
        raise ConfigError(f"{kind} '{name}': {kind}s stand in the catalogue's order: write {ordered}.")
    return parts, found
