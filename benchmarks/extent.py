"""How much of the frame a cell fills in each lab: `python -m benchmarks.extent [--domains pbc2500,bccd]`.

The `crop` of the catalogue's rows rests on this table. It looks at images only: at no label, model or score. A
pixel is stained if it is more saturated than Otsu's threshold of its image. A stained part counts if it reaches into
the central half of the frame and has at least a tenth of the pixels of the largest. A square as large as the box
around these parts has a side: the extent is the share of the frame's side that it takes.

| lab | images | extent: median (quartiles) |
|---|---|---|
| bccd | 351 | 0.63 (0.61-0.66) |
| cellavision | 100 | 0.41 (0.35-0.45) |
| tecom | 300 | 0.47 (0.42-0.57) |
| pbc2500 | 500 | 0.33 (0.28-0.37) |

This is mostly the nucleus. The first 100 images of cellavision and of tecom come with masks. These give medians of 0.40
and 0.48 for the nucleus, 0.54 and 0.68 for the cell.
"""

import argparse
from typing import Final

import numpy as np

from wbc.data.catalog import find_domain
from wbc.data.decode import decode, map_images
from wbc.data.extent import extent
from wbc.data.prepare import image_root, prepare
from wbc.surroundings import data_dir

DOMAINS: Final = ("pbc2500", "bccd", "tecom", "cellavision")
MOST: Final = 500
"""Images of a lab, evenly from its manifest."""


def main() -> None:
    """Prints a row a lab: images, and median extent with quartiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", default=",".join(DOMAINS))
    print("| lab | images | extent: median (quartiles) |\n|---|---|---|")
    for key in parser.parse_args().domains.split(","):
        found = extents(key)
        low, median, high = np.quantile(found, [0.25, 0.5, 0.75])
        print(f"| {key} | {len(found)} | {median:.2f} ({low:.2f}-{high:.2f}) |", flush=True)


def extents(key: str) -> list[float]:
    """Returns the extent of the cell in each of a lab's images, in [0, 1]; prepares them first."""
    domain = find_domain(key)
    rows = prepare(domain, None, data_dir=data_dir())
    paths = [rows["path"][row] for row in np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(int)]
    root = image_root(domain, data_dir() / domain.slug)
    return list(map_images(lambda path: extent(np.asarray(decode(root / path)[0])), paths, f"{key}: measuring"))


if __name__ == "__main__":
    main()
