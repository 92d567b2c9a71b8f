from wbc.seeding import derive_seed, generator


def test_derive_seed_is_the_same_on_every_machine() -> None:
    assert derive_seed(3, "flips", 7) == derive_seed("3", "flips", "7") == 5528662618096081490


def test_streams_of_other_names_differ() -> None:
    draws = {float(generator(0, name, epoch).random()) for name in ("flips", "crops") for epoch in range(3)}
    assert len(draws) == 6
