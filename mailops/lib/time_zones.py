"""Names of time zones as IANA knows them, and as people write them."""

import zoneinfo
from functools import cache

# Files of the database that name no place: what they mean depends on the machine.
_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})


class UnknownZone(ValueError):
    """No zone has this name; the text says what to write."""


def zone_names() -> list[str]:
    """Return the names of all zones, sorted."""
    return sorted(_by_folded_name().values())


def zone_choices() -> list[tuple[str, str]]:
    """Return all zones as a form offers them, each with its name as people write it."""
    return [(name, name.replace("_", " ")) for name in zone_names()]


def zone_name(text: str) -> str:
    """Return the name of the zone that `text` means, whatever its case and blanks; raise UnknownZone."""
    name = _by_folded_name().get(_folded(text))
    if name is None:
        raise UnknownZone(
            f"“{text[:40]}” is no time zone: write its IANA name, such as Europe/Berlin. An offset like +01:00 is none, "
            "since it does not know when clocks change."
        )
    return name


def is_zone(text: str) -> bool:
    return _folded(text) in _by_folded_name()


@cache
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone of a stored name; UTC for one that this machine's data does not know."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


@cache
def _by_folded_name() -> dict[str, str]:
    return {_folded(name): name for name in zoneinfo.available_timezones() - _NO_PLACES}


def _folded(text: str) -> str:
    return text.strip().casefold().replace(" ", "_")
