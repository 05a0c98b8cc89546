"""Notes what providers' suppression lists are to be told: a person took an address off ours."""

from django.utils import timezone

from mailops.suppressions.models import ProviderRemoval, ProviderSync, Suppression


def note_removal(*, address: str, address_key: str) -> None:
    """Note that an address may be written to again; where an entry still stops it in all streams, providers may, too.

    What stands in one stream is kept here: a provider would stop the others, and its list would be read back into ours.
    """
    if Suppression.objects.active().filter(address_key=address_key, stream=None).exists():
        return
    now = timezone.now()
    for sync in ProviderSync.objects.all():
        ProviderRemoval.objects.update_or_create(
            sync=sync,
            address_key=address_key,
            defaults={"address": address, "asked_at": now, "done_at": None, "refusal": ""},
        )
    ProviderSync.objects.filter(sentence="", due_at__gt=now).update(due_at=now)
