"""Lends contacts and their attributes to the template editor, which lies below and knows no audiences."""

from collections import Counter
from collections.abc import Iterable

from mailops.audiences.models import Audience, Contact
from mailops.content.people import Lack, Person
from mailops.protocol.address import InvalidAddress, address_key

NEWEST = 2_000  # contacts among which the emptiest is looked for
AUDIENCES = 200


class Lender:
    def attributes(self) -> list[str]:
        counts: Counter[str] = Counter()
        for found in _counted():
            counts.update({name: row["members"] for name, row in found.attributes.items()})
        return [name for name, _ in counts.most_common(300)]

    def person(self, address: str) -> Person | None:
        try:
            key = address_key(address, allow_utf8=True)
        except InvalidAddress:
            return None
        contact = Contact.objects.filter(address_key=key).first()
        return Person(contact.address, contact.attributes) if contact else None

    def emptiest(self, names: Iterable[str]) -> Person | None:
        wanted = set(names)
        newest = Contact.objects.order_by("-pk").values_list("address", "attributes")[:NEWEST]
        people = [Person(address, data) for address, data in newest]
        return min(people, key=lambda one: _given(one, wanted), default=None)

    def lacks(self, names: Iterable[str]) -> dict[str, Lack]:
        wanted = set(names)
        worst: dict[str, Lack] = {}
        for audience in _counted():
            for name in wanted & set(audience.attributes):
                members = audience.attributes[name].get("of", 0)
                without = members - audience.attributes[name]["members"]
                if without > 0 and without > getattr(worst.get(name), "without", 0):
                    worst[name] = Lack(audience.name, members, without)
        return worst


def _counted() -> list[Audience]:
    return list(Audience.objects.exclude(attributes={}).order_by("-pk")[:AUDIENCES])


def _given(person: Person, names: set[str]) -> tuple[int, int]:
    given = [name for name, value in person.data.items() if value not in ("", None)]
    return len(names & set(given)), len(given)
