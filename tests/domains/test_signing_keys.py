"""A signing key's life: made, published, signed with, rotated, rolled back, retired."""

from datetime import timedelta

import dkim
import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.domains import signing
from mailops.domains.checking import check_domain
from mailops.domains.models import SigningKey
from mailops.domains.signing import CannotSign, load_signers, sign
from mailops.domains.signing_keys import (
    NotPublished,
    NotToSign,
    begin_signing,
    discard_key,
    free_selector,
    look,
    make_key,
    retire_spent,
    stop_signing,
    watch,
)
from mailops.lib.sealed import sealed_models
from tests.factories import make_domain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_signers")]
MAIL = b"From: Ada <ada@acme.example>\r\nSubject: Hi\r\n\r\nHello\r\n"


@pytest.fixture
def acme(good):
    return make_domain(name="acme.example")


@pytest.fixture
def made(acme, good):
    """Return a function that makes a key and, unless told not to, publishes it."""

    def make(algorithm="ed25519", *, is_published=True):
        key = make_key(domain=acme, algorithm=algorithm, selector=free_selector(acme))
        if is_published:
            good.zones[key.host] = {"TXT": [key.record]}
        return key

    return make


def begin(key, actor=None):
    return begin_signing(key=key, actor=actor)


def is_verified(content, *keys):
    records = {f"{key.host}.".encode(): key.record.encode() for key in keys}
    return dkim.verify(content, dnsfunc=lambda name, timeout=0: records.get(name))


def signed_mail():
    signing.forget_signers()
    load_signers(["acme.example"])
    return sign(MAIL, "acme.example")


class TestDiscardedMeanwhile:
    @pytest.fixture
    def discarding(self, made, asks):
        """Return a key, and what asks DNS while somebody discards it."""
        key = made()

        def discarding(name, rdtype):
            if name == key.host:
                SigningKey.objects.filter(pk=key.pk).delete()
            return asks(name, rdtype)

        return key, discarding

    def test_says_that_it_is_gone(self, discarding):
        key, asks = discarding
        with pytest.raises(SigningKey.DoesNotExist):
            look(key, asks=asks)

    def test_keeps_no_other_from_being_looked_at(self, discarding, made):
        other = made()
        assert watch(until=timezone.now() + timedelta(seconds=20), asks=discarding[1]) == 1
        other.refresh_from_db()
        assert other.is_published


class TestLook:
    def test_a_key_that_is_published_is_seen(self, made):
        key = made()
        look(key)
        assert key.is_published
        assert key.published_at

    @pytest.mark.parametrize(
        ("tag", "sentence"), [("s=tlsrpt", "isn't meant for mail"), ("h=sha1", "only SHA-1")]
    )
    def test_a_key_that_verifies_no_mail_is_not_published(self, made, good, tag, sentence):
        key = made(is_published=False)
        good.zones[key.host] = {"TXT": [f"{key.record}; {tag}"]}
        with pytest.raises(NotPublished, match=sentence):
            begin(key)
        assert not key.is_published

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ([], "no record"),
            (["v=DKIM1; k=ed25519; p="], "revokes"),
            (["v=DKIM1; k=ed25519; p=x"], "can't be used"),
            (["v=DKIM1; k=ed25519; p=" + "A" * 43 + "="], "another key"),
            (["a", "b"], "2 records"),
        ],
    )
    def test_says_what_dns_shows_instead(self, made, good, values, sentence):
        key = made()
        look(key)
        good.zones[key.host] = {"TXT": values}
        look(key)
        assert not key.is_published
        assert sentence in key.dns_sentence

    def test_a_silent_dns_changes_nothing(self, made, good):
        key = made()
        look(key)
        good.is_failing = True
        look(key)
        assert key.is_published
        assert "could not be asked" in key.dns_sentence


class TestLife:
    def test_nothing_is_signed_before_the_key_is_in_dns(self, made):
        key = made(is_published=False)
        with pytest.raises(NotPublished, match="no record"):
            begin(key)
        assert signed_mail() == MAIL

    def test_a_key_in_use_signs_is_expected_in_dns_and_aligned(self, made, acme):
        key = made()
        begin(key)
        assert is_verified(signed_mail(), key)
        check_domain(acme)
        assert acme.findings.get(check_name="dkim:mo1").status == "ok"
        assert "DKIM" in acme.findings.get(check_name="alignment").sentence

    def test_both_algorithms_sign_side_by_side(self, made):
        for algorithm in ("rsa", "ed25519"):
            begin(made(algorithm))
        content = signed_mail()
        assert content.index(b"a=rsa-sha256") < content.index(b"a=ed25519-sha256")

    def test_a_rotation_overlaps_and_can_be_taken_back(self, made, acme, admin):
        old, new = made(), made()
        begin(old)
        assert begin(new, admin) == old
        old.refresh_from_db()
        assert old.is_retiring
        assert is_verified(signed_mail(), new)
        assert begin(old) == new
        assert is_verified(signed_mail(), old)
        assert AuditEntry.objects.filter(verb="signing_key.sign").count() == 3

    def test_an_old_key_retires_after_its_wait_and_is_destroyed(self, made):
        old, new = made(), made()
        begin(old)
        begin(new)
        assert retire_spent() == 0
        SigningKey.objects.filter(pk=old.pk).update(retires_at=timezone.now() - timedelta(hours=1))
        assert (retire_spent(), retire_spent()) == (1, 0)
        old.refresh_from_db()
        assert (old.is_retired, bytes(old.secret)) == (True, b"")
        with pytest.raises(NotToSign):
            begin(old)

    def test_signing_is_stopped_by_a_person_only(self, made, admin):
        key = made()
        begin(key)
        assert stop_signing(key=key, actor=admin)
        assert not stop_signing(key=key, actor=admin)
        assert signed_mail() == MAIL

    def test_only_a_key_that_never_signed_is_discarded(self, made, admin):
        key, unused = made(), made(is_published=False)
        begin(key)
        assert discard_key(key=unused, actor=admin)
        assert not discard_key(key=key, actor=admin)

    def test_the_watch_asks_until_it_is_published(self, made, good):
        key = made(is_published=False)
        until = timezone.now() + timedelta(seconds=30)
        assert watch(until=until) == 1
        good.zones[key.host] = {"TXT": [key.record]}
        assert watch(until=until) == 1
        key.refresh_from_db()
        assert key.is_published
        assert watch(until=until) == 0
        assert watch(until=timezone.now()) == 0


class TestSign:
    def test_keys_are_read_once_in_a_while(self, made, django_assert_num_queries):
        begin(made())
        load_signers(["acme.example"])
        with django_assert_num_queries(0):
            load_signers(["acme.example"])
            sign(MAIL, "acme.example")

    def test_a_key_that_can_not_be_opened_stops_the_mail(self, made, settings):
        begin(made())
        settings.MAILOPS_SECRET_KEYS = ["QUFB" * 10 + "QUE="]
        with pytest.raises(CannotSign) as stopped:
            signed_mail()
        assert "MAILOPS_SECRET_KEYS" in stopped.value.sentence

    def test_keys_that_were_never_read_stop_the_mail(self):
        with pytest.raises(CannotSign):
            sign(MAIL, "acme.example")

    def test_the_private_half_is_sealed_and_found_by_a_change_of_keys(self, made):
        key = made()
        assert b"PRIVATE" not in bytes(key.secret)
        assert b"PRIVATE" in key.reveal().reveal().encode()
        assert SigningKey in sealed_models()
