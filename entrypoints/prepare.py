"""Downloads, verifies and decodes images: `python -m entrypoints.prepare --domains bccd,tecom`."""

from pathlib import Path

from entrypoints.command import main
from wbc.config import PrepareConfig, data_dir


def prepare(options: PrepareConfig) -> None:
    """Prepares the domains one by one and prints each one's images by split and class."""
    from wbc.data.prepare import prepare as prepare_domain
    from wbc.profiles import find_profile
    from wbc.recipes import find_recipe

    profile = find_profile(options.profile)
    geometry = find_recipe(options.recipe or profile.recipe).geometry(options.image_size or profile.image_size)
    for key in options.domains.split(",") if options.domains else profile.domains():
        archive = None if options.archive == "none" else Path(options.archive)
        manifest = prepare_domain(key, geometry, data_dir=data_dir(), archive=archive)
        counts = manifest.groupby("split")["label"].value_counts().unstack(fill_value=0)
        print(f"{key}: {len(manifest)} images")
        print(counts.to_string())


if __name__ == "__main__":
    main(PrepareConfig, prepare)
