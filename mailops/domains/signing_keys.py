"""Makes, watches, takes into use and retires the keys that mailops signs with."""

from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains.checks.dkim import faults
from mailops.domains.models import CheckStatus, Domain, SigningKey
from mailops.domains.models.signing import STAYS_FOR
from mailops.lib.dns_answers import Asks
from mailops.lib.resolver import Memo, resolve
from mailops.lib.secrets import Secret
from mailops.protocol.dkim_signature import key_record, load_private_key, make_private_key
from mailops.protocol.dns_records import parse_dkim

WATCHED_FOR = timedelta(days=14)  # a key nobody publishes by then is asked for only by “Look now”
State = SigningKey.State


class NotPublished(Exception):
    """DNS doesn't show the key: whatever it signed would fail. The text says what DNS shows."""


class NotToSign(Exception):
    """The key is past its time; a new one has to be made."""


def free_selector(domain: Domain) -> str:
    """Return a selector that no key of `domain` ever had."""
    used = set(domain.signing_keys.values_list("selector", flat=True))
    return next(name for n in range(1, len(used) + 2) if (name := f"mo{n}") not in used)


@transaction.atomic
def make_key(
    *, domain: Domain, algorithm: str, selector: str, actor: User | None = None
) -> SigningKey:
    """Make a key for `domain`; nothing is signed with it until `begin_signing`."""
    pem = make_private_key(algorithm)
    key = SigningKey.objects.create(
        domain=domain,
        algorithm=algorithm,
        selector=selector,
        record=key_record(load_private_key(pem)),
    )
    key.seal_into("secret", Secret(pem))
    key.save(update_fields=["secret"])
    audit(actor=actor, verb="signing_key.make", subject=key, after={"algorithm": algorithm})
    return key


def look(key: SigningKey, *, asks: Asks = resolve, actor: User | None = None) -> None:
    """Ask DNS whether `key` is published, and note what it shows, and who asked; a silent DNS changes nothing.

    Raise DoesNotExist where the key was discarded meanwhile.
    """
    now = timezone.now()
    answer = asks(key.host, "TXT")
    if not answer.is_known:
        key.dns_sentence = f"DNS could not be asked: {answer.detail}"
    else:
        key.dns_sentence = _objection(key, answer.values)
        key.is_published = not key.dns_sentence
        key.published_at = key.published_at or (now if key.is_published else None)
    key.asked_at = now
    with transaction.atomic():
        SigningKey.objects.select_for_update().get(pk=key.pk)
        key.save(update_fields=["asked_at", "dns_sentence", "is_published", "published_at"])
        if actor:
            audit(
                actor=actor,
                verb="signing_key.look",
                subject=key,
                after={"is_published": key.is_published},
                reason=key.dns_sentence,
            )


def _objection(key: SigningKey, values: tuple[str, ...]) -> str:
    if not values:
        return "There is no record at this name yet."
    if len(values) > 1:
        return f"There are {len(values)} records at this name; receivers take any of them."
    shown, wanted = parse_dkim(values[0]), parse_dkim(key.record)
    if shown.key == wanted.key and shown.kind == wanted.kind and not shown.problems:
        return next(
            (fault.sentence for fault in faults(shown) if fault.status is CheckStatus.ERROR), ""
        )
    if shown.is_revoked:
        return "The record at this name has an empty p tag: it revokes the key."
    if shown.problems:
        return f"The record at this name can't be used: {shown.problems[0]}."
    return "The record at this name holds another key."


def begin_signing(
    *, key: SigningKey, actor: User | None, asks: Asks = resolve
) -> SigningKey | None:
    """Sign with `key` from now on; return the key it takes over from, which retires after a wait.

    DNS is asked first: raise NotPublished where it doesn't show the key, NotToSign where it has retired. To roll back,
    begin signing with the old key again.
    """
    look(key, asks=asks)
    if not key.is_published or key.dns_sentence:
        raise NotPublished(key.dns_sentence)
    with transaction.atomic():
        Domain.objects.select_for_update().get(pk=key.domain_id)
        key.refresh_from_db()
        if key.is_retired:
            raise NotToSign
        others = key.domain.signing_keys.signing().filter(algorithm=key.algorithm)
        old = others.exclude(pk=key.pk).first()
        if old:
            _retire_after_wait(old)
        if not key.is_signing:
            key.state, key.signs_since_at, key.retires_at = State.SIGNING, timezone.now(), None
            key.save(update_fields=["state", "signs_since_at", "retires_at"])
            before = {"selector": old.selector if old else None}
            after = {"selector": key.selector}
            audit(actor=actor, verb="signing_key.sign", subject=key, before=before, after=after)
            key.domain.recheck_soon()
    return old


@transaction.atomic
def stop_signing(*, key: SigningKey, actor: User | None) -> bool:
    """Sign no more with `key`; return False if it didn't sign."""
    Domain.objects.select_for_update().get(pk=key.domain_id)
    key.refresh_from_db()
    if not key.is_signing:
        return False
    _retire_after_wait(key)
    audit(actor=actor, verb="signing_key.stop", subject=key, after={"retires": str(key.retires_at)})
    key.domain.recheck_soon()
    return True


@transaction.atomic
def discard_key(*, key: SigningKey, actor: User | None) -> bool:
    """Delete a key that never signed; return False if it did."""
    Domain.objects.select_for_update().get(pk=key.domain_id)
    key.refresh_from_db()
    if not key.is_waiting:
        return False
    audit(actor=actor, verb="signing_key.discard", subject=key)
    key.delete()
    return True


def _retire_after_wait(key: SigningKey) -> None:
    key.state, key.retires_at = State.RETIRING, timezone.now() + STAYS_FOR
    key.save(update_fields=["state", "retires_at"])


def watch(*, until: datetime, asks: Asks = resolve) -> int:
    """Ask DNS for the keys somebody may be publishing now, the longest unasked first; return how many."""
    asks, looked = Memo(asks), 0
    waiting = SigningKey.objects.waiting().filter(
        Q(asked_at=None) | Q(is_published=False),
        created_at__gt=timezone.now() - WATCHED_FOR,
    )
    for key in waiting.select_related("domain").order_by(F("asked_at").asc(nulls_first=True)):
        if timezone.now() >= until:
            break
        with suppress(SigningKey.DoesNotExist):
            look(key, asks=asks)
            looked += 1
    return looked


def retire_spent() -> int:
    """Destroy the private halves of keys whose wait is over; return how many."""
    retired = 0
    for key in SigningKey.objects.spent().select_related("domain"):
        with transaction.atomic():
            same = SigningKey.objects.spent().filter(pk=key.pk)
            if same.update(state=State.RETIRED, retired_at=timezone.now(), secret=b""):
                audit(actor=None, verb="signing_key.retire", subject=key)
                retired += 1
    return retired
