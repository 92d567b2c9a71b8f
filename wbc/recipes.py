"""The two ways to train that this benchmark reproduces: what the paper's text says, and what its released code does.

Sources: arXiv:2303.01777, section 2.1; the public repository apple2373/wbc-benchmark at ac656cb.
"""

from dataclasses import dataclass
from typing import Final, Literal

from wbc.data.cache import Geometry


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where the paper's text and the released code differ; flips, AdamW and the last epoch's score are in both.

    One step of the released code is in neither recipe. It stores LISC's crops again as JPEG of quality 75: this moves
    their pixels by about 1.9 grey levels.
    """

    crops: bool
    """Short side to 256/224 of the input, then a random crop in training, a centre crop in testing; else squashed."""
    rotated_schedule: bool
    """The learning rates are used one epoch late, so that epoch 0 trains at the smallest one."""
    normalisation: Literal["weights", "imagenet"]
    """Mean and deviation: those that the weights declare, or ImageNet's whatever they declare."""
    mixup_drops_odd_image: bool
    """Mixup pairs images up, and the last one of an odd batch is left out."""

    def geometry(self, image_size: int) -> Geometry:
        """Returns how pixels are stored for a network input of `image_size` pixels."""
        if self.crops:
            return Geometry(kind="short_side", size_px=round(image_size * 256 / 224))
        return Geometry(kind="squash", size_px=image_size)


RECIPES: Final = {
    "paper": Recipe(crops=False, rotated_schedule=False, normalisation="weights", mixup_drops_odd_image=False),
    "released": Recipe(crops=True, rotated_schedule=True, normalisation="imagenet", mixup_drops_odd_image=True),
}
