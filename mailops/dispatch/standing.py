"""Tells where a transport stands: what it may send now, and why that is less than it could."""

from dataclasses import dataclass

from django.db.models import F

from mailops.dispatch.models import Allowance, Pressure
from mailops.transports.models import Transport


@dataclass(frozen=True)
class Standing:
    """What limits one transport now."""

    transport: Transport
    sent_today: int  # counted by its quota
    pressures: list[Pressure]

    @property
    def is_free(self) -> bool:
        return not self.pressures and self.transport.daily_quota is None


def standing_of(transport: Transport) -> Standing:
    """Return where `transport` stands, by the rows that dispatch goes by."""
    today = Allowance.objects.today().filter(key=f"t{transport.pk}").first()
    stopped_first = F("stopped_until").desc(nulls_last=True)
    pressures = Pressure.objects.filter(transport=transport).with_now()
    return Standing(
        transport=transport,
        sent_today=today.spent if today else 0,
        pressures=list(pressures.order_by(stopped_first, "mailbox_provider")),
    )
