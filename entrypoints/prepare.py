"""Downloads, verifies and decodes images: `python -m entrypoints.prepare --domains bccd,tecom`."""

from pathlib import Path

from entrypoints.command import main
from wbc.cells import CLASSES
from wbc.config import PrepareConfig
from wbc.surroundings import data_dir


def prepare(options: PrepareConfig) -> None:
    """Prepares the domains one by one, prints each one's images by split and class, and writes its data sheet.

    Where they are the study's, it fetches the weights of the study's models too: nodes without a network need both.
    """
    from wbc.data.catalog import find_domain
    from wbc.data.croissant import write_croissant
    from wbc.data.prepare import prepare as prepare_domain
    from wbc.data.splits import split_list
    from wbc.recipes import RECIPES
    from wbc.studies import find_study

    study = find_study(options.profile)
    geometry = RECIPES[options.recipe or study.recipe].geometry(options.image_size or study.image_size)
    keys = dict.fromkeys(split_list(options.domains)) if options.domains else study.domains()
    domains = {key: find_domain(key) for key in keys}  # a misspelt name stops before anything is downloaded
    for key, domain in domains.items():
        archive = None if options.archive == "none" else Path(options.archive)
        manifest = prepare_domain(domain, geometry, data_dir=data_dir(), archive=archive)
        print(f"{key}: {len(manifest)} images. Licence: {domain.licence} Cite: {domain.citation}")
        for split, rows in manifest.groupby("split", sort=False):
            counts = rows["label"].value_counts()
            print(f"  {split:8}" + "".join(f"  {name} {counts.get(label, 0)}" for label, name in enumerate(CLASSES)))
        if domain.dropped != "nothing":
            print(f"  Left out: {domain.dropped}")
        if domain.caution:
            print(f"  {domain.caution}")
        if domain.archives:
            print(f"  Data sheet: {write_croissant(domain, manifest, data_dir() / domain.slug)}")
    if not options.domains:
        _fetch_weights(options.profile)


def _fetch_weights(profile: str) -> None:
    """Downloads the weights that a study's runs start from, unless they learn theirs, and prints where they are."""
    from wbc.config import PlanConfig
    from wbc.inputs import weights_key
    from wbc.studies import plan
    from wbc.training.pretrain import starting_weights

    for config in {weights_key(run): run for run in plan(PlanConfig(profile=profile))}.values():
        if config.pretrained not in ("patterns", "none"):
            print(f"weights of {config.model}: {starting_weights(config)}")


if __name__ == "__main__":
    main(PrepareConfig, prepare)
