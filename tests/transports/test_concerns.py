"""What is said of a credential, from its dates alone."""

import datetime as dt

import pytest

from mailops.transports.concerns import concerns_of
from mailops.transports.models import Credential

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def made(days=0, **fields):
    then = NOW - dt.timedelta(days=days)
    credential = Credential(
        **{
            "label": "x",
            "secret": b"sealed",
            "is_active": True,
            "secret_set_at": then,
            "last_tested_at": then,
            "last_test": {"is_ok": True},
            **fields,
        }
    )
    credential.created_at = then
    return credential


def said(credential):
    return [(concern.title, concern.tone) for concern in concerns_of(credential, NOW)]


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (made(), []),
        (made(365), []),
        (made(366), [("Its secret is 366 days old", "warn")]),
        (made(999, secret=b"", reference="env:MAILOPS_SECRET_X"), []),
        (made(secret=b""), [("Its secret must be set again", "bad")]),
        (made(expires_on=dt.date(2026, 12, 22)), []),
        (made(expires_on=dt.date(2026, 12, 21)), [("It expires in 30 days", "warn")]),
        (made(expires_on=dt.date(2026, 11, 22)), [("It expires in 1 day", "bad")]),
        (made(expires_on=dt.date(2026, 11, 21)), [("It has expired", "bad")]),
        (made(expires_on=dt.date(2026, 11, 1), is_active=False), [("It has expired", "warn")]),
        (made(last_tested_at=None), [("It was never tested", "warn")]),
        (made(last_test={"is_ok": False}), [("Its last test failed", "bad")]),
        (made(last_test={"is_ok": False}, is_active=False), [("Its last test failed", "warn")]),
        (made(31, is_active=False), [("It stands by unused for 31 days", "warn")]),
        (
            made(is_active=False, refused_at=NOW),
            [("The server refused it, and mailops went back to the one before", "bad")],
        ),
    ],
)
def test_says_what_is_wrong(credential, expected):
    assert said(credential) == expected


def test_says_the_worst_first():
    credential = made(400, expires_on=dt.date(2026, 11, 1))
    assert [tone for _, tone in said(credential)] == ["bad", "warn"]
