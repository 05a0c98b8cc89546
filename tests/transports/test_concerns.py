"""What is said of a credential, from its dates alone."""

import datetime as dt

import pytest

from mailops.reports.attention import matters
from mailops.transports.concerns import concerns_of, likely_pressing, pressing
from mailops.transports.models import Credential, OAuthGrant
from tests.factories import make_transport

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


def kept(transport, label, *, grant=None, **fields):
    values = {"is_active": True, "secret": b"sealed", "secret_set_at": NOW, "last_tested_at": NOW}
    credential = Credential.objects.create(
        transport=transport, label=label, **{**values, **fields}, last_test={"is_ok": True}
    )
    Credential.objects.filter(pk=credential.pk).update(created_at=NOW)
    if grant:
        OAuthGrant.objects.create(credential=credential, provider="google", client_id="x", **grant)
    return credential


def days(n):
    return NOW + dt.timedelta(days=n)


@pytest.mark.django_db
class TestPressing:
    CASES = {
        "fine": ({}, None),
        "far": ({"expires_on": days(31).date()}, None),
        "near": ({"expires_on": days(30).date()}, "It expires in 30 days"),
        "urgent": ({"expires_on": days(7).date()}, "It expires in 7 days"),
        "over": ({"expires_on": days(-1).date()}, "It has expired"),
        "over_by": ({"expires_on": days(-1).date(), "is_active": False}, None),
        "old": ({"secret_set_at": days(-366)}, "Its secret is 366 days old"),
        "year": ({"secret_set_at": days(-365)}, None),
        "elsewhere": (
            {"secret_set_at": days(-999), "secret": b"", "reference": "env:MAILOPS_SECRET_X"},
            None,
        ),
        "gone": ({"secret": b""}, "Its secret must be set again"),
        "gone_by": ({"secret": b"", "is_active": False}, None),
        "refused": (
            {"refused_at": NOW, "is_active": False},
            "The server refused it, and mailops went back to the one before",
        ),
        "given": ({"secret": b"", "grant": {"state": "given"}}, None),
        "withdrawn": (
            {"secret": b"", "grant": {"state": "refused", "sentence": "Sign in."}},
            "The permission to send is gone",
        ),
        "nobody": ({"secret": b"", "grant": {"state": "waiting"}}, "Nobody has signed in"),
        "silent": (
            {"secret": b"", "grant": {"state": "given", "failures": 2, "sentence": "Silent."}},
            "The provider gives no new token",
        ),
    }

    def test_names_what_stops_mail_or_will_and_reads_no_other(self):
        for name, (fields, _) in self.CASES.items():
            kept(make_transport(), name, **fields)
        everything = Credential.objects.select_related("grant")
        expected = {name: title for name, (_, title) in self.CASES.items() if title}
        for some in (everything, everything.filter(likely_pressing(NOW))):
            found = pressing(some, NOW)
            assert {one.label: concern.title for one, concern in found} == expected
            tones = [concern.tone for _, concern in found]
            assert tones == sorted(tones)  # bad before warn

    def test_stands_on_the_overview_and_on_the_list_of_transports(self, logged_in, viewer):
        transport = make_transport(name="relay")
        soon = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)
        credential = kept(
            transport, "key 1", secret_set_at=dt.datetime.now(dt.UTC), expires_on=soon
        )
        (matter,) = [one for one in matters() if one.title.startswith("Credential")]
        assert (matter.title, matter.tone) == (
            "Credential key 1 of relay: it expires in 3 days",
            "bad",
        )
        assert matter.url == f"/transports/credentials/{credential.pk}/"
        client = logged_in(viewer)
        for path in ("/", "/transports/", f"/transports/{transport.pk}/"):
            assert "xpires in 3 days" in client.get(path).content.decode(), path
