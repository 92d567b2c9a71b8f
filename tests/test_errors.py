"""What an error shows of the addresses in it."""

import pytest

from wbc.errors import TrackingError, mask


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://ada:s3c@host:5000/x", "http://***@host:5000/x"),
        ("https://token@host/x.git", "https://***@host/x.git"),
        ("postgresql://ada:s3c/r3tpw@host/db", "postgresql://***@host/db"),
        ("postgresql://ada:12/r3tpw@host/db", "postgresql://***@host/db"),
        ("mysql://ada:s3?c@r3t@host/db", "mysql://***@host/db"),
        (
            "postgresql://host/db?user=ada&password=s3c/r@t&sslmode=on",
            "postgresql://host/db?user=***&password=***&sslmode=on",
        ),
        ("https://host/x?X-Amz-Signature=s3c&raw=1", "https://host/x?X-Amz-Signature=***&raw=1"),
    ],
)
def test_secrets_of_an_address_are_not_shown_wherever_they_stand_in_it(address: str, shown: str) -> None:
    assert mask(f"no answer from '{address}'; or {address}") == f"no answer from '{shown}'; or {shown}"
    assert str(TrackingError(f"no server at {address} (refused).")).startswith(f"no server at {shown}")


@pytest.mark.parametrize(
    "address",
    [
        "http://host:5000/p@th?id=3",
        "http://host/p@th",
        "s3://bucket/k@y",
        "sqlite:////tmp/a@b.db?timeout=60",
        "a@b.org",
    ],
)
def test_address_without_a_secret_stays_as_it_is(address: str) -> None:
    assert mask(f"at {address}.") == f"at {address}."
