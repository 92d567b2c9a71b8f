"""What an error shows of the addresses in it."""

import pytest

from wbc.errors import TrackingError, first_line, in_a_line, mask, shown


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
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Ds3c", "mssql+pyodbc:///?odbc_connect=***"),
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


def test_control_characters_of_a_name_are_spelled_out_when_it_is_shown() -> None:
    name = "a\x1b[2Jb\nerror: c\u202ed\x9be"
    assert shown(name) == r"a\x1b[2Jb\nerror: c\u202ed\x9be"
    assert str(TrackingError(f"no run {name}.")) == rf"no run {shown(name)}."
    assert shown("Zürich 白血球 ±") == "Zürich 白血球 ±"


def test_first_line_of_an_error_ends_with_a_word_and_has_no_colours_when_it_is_long() -> None:
    remedy = "See https://example.org/how-to-upgrade for details."
    assert first_line(ValueError(f"{'word ' * 100}{remedy}\nmore")) == f"{'word ' * 100}{remedy}"
    assert first_line(ValueError("\x1b[1mbold\x1b[0m text\nmore")) == "bold text"
    assert first_line(ValueError("word " * 400)).endswith("word word ...")
    assert first_line(ValueError()) == "ValueError"
    assert in_a_line(ValueError("a list:\n\t\x1b[1mone\x1b[0m,\n\ttwo")) == "a list: one, two"
    assert in_a_line(ValueError("word\n" * 400)).endswith("word word ...")


def test_secrets_of_variables_are_not_shown_whatever_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:it's <s3 cret@host/db")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken\n")
    told = "no postgresql://ada:it's <s3 cret@host/db, nor a header 'Bearer t0ken\\n'"
    assert mask(told) == "no postgresql://***@host/db, nor a header 'Bearer ***\\n'"
