"""The demo's audience: 2,000 people, with every mailbox that the sandbox simulates among them."""

import csv
import io
from functools import cache
from random import Random

from django.core.files.uploadedfile import SimpleUploadedFile

from mailops.accounts.models import User
from mailops.audiences.curating import add_audience, count_attributes
from mailops.audiences.importing import import_chunk, start_import
from mailops.audiences.models import Audience
from mailops.audiences.uploading import look, take_upload
from mailops.domains.demo_zones import MAILBOX_EXCHANGES
from mailops.lib.dns_answers import Answer, Status
from mailops.lib.mailbox_providers import provider_of
from mailops.protocol.address import domain_of

MEMBERS = 2_000
COLUMNS = ("email", "time_zone", "first_name", "city", "plan", "interests")

# mailbox domain → how many of a hundred people have theirs there
PROVIDERS = {
    "googly.example": 46,
    "outlooky.example": 22,
    "yahooly.example": 12,
    "icloudy.example": 9,
    "protony.example": 5,
    "zohoish.example": 3,
    "selfhosted.example": 3,
}
# simulated mailbox → how many of them; bounces cross the threshold that opens an incident, not the one that stops
SIMULATED = {
    "bounce": 66,
    "later-bounce": 26,
    "policy": 10,
    "defer": 30,
    "full": 10,
    "unsubscribe": 14,
    "slow": 3,
    "drop": 2,
}
COMPLAINERS = 3  # late in the list: a rate is only told of a thousand
FIRST_NAMES = [
    "Ada",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Elif",
    "Femi",
    "Greta",
    "Hana",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mateo",
    "Noor",
    "Olu",
    "Pilar",
    "Quinn",
    "Rosa",
    "Sven",
    "Tara",
    "Uma",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yusuf",
    "Zora",
]
LAST_NAMES = [
    "Almeida",
    "Berg",
    "Castro",
    "Dahl",
    "Eriksen",
    "Fontaine",
    "Garcia",
    "Haddad",
    "Ivanov",
    "Jensen",
    "Kaya",
    "Lindqvist",
    "Moreau",
    "Nowak",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Silva",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weiss",
    "Xu",
    "Yilmaz",
    "Zeman",
]
CITIES = {
    "Lisbon": "Europe/Lisbon",
    "Zürich": "Europe/Zurich",
    "Kraków": "Europe/Warsaw",
    "Oslo": "Europe/Oslo",
    "Lyon": "Europe/Paris",
    "Graz": "Europe/Vienna",
    "Porto": "Europe/Lisbon",
    "": "",
}
INTERESTS = ("tools", "paper", "light", "wood", "garden", "kitchen")


def gather_people(*, actor: User) -> Audience:
    """Make the audience by importing a CSV file, as a person would."""
    audience = add_audience(
        name="Letter readers",
        description="Everyone who asked for the monthly letter; simulated mailboxes among them.",
        actor=actor,
    )
    file = SimpleUploadedFile("letter-readers.csv", _csv(Random(2_000)).encode())  # noqa: S311 - the same people each time
    run = take_upload(audience=audience, file=file, actor=actor)
    header, _ = look(run)
    start_import(
        run=run,
        header=header,
        mapping={
            "address": 0,
            "time_zone": 1,
            "attributes": {name: index for index, name in enumerate(COLUMNS) if index > 1},
        },
        consent="Letter form on acme.example",
        actor=actor,
    )
    while import_chunk(run_id=run.pk):
        pass
    count_attributes(audience_id=audience.pk)
    return audience


def is_simulated(address: str) -> bool:
    name = address.partition("@")[0].rstrip("0123456789")
    return name in SIMULATED or name == "complain"


def provider_of_mailbox(key: str) -> str:
    """Name the provider of an address key as the demo's name server would have it named."""
    return _provider(domain_of(key))


@cache
def _provider(domain: str) -> str:
    exchange = MAILBOX_EXCHANGES.get(domain)
    found = Answer(Status.FOUND, (exchange,)) if exchange else Answer(Status.NXDOMAIN)
    return provider_of(domain, found)


def _csv(random: Random) -> str:
    """Return the file: an honest one, so a few of its rows can't be used."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    rows = [_row(address, random) for address in _addresses(random)]
    writer.writerows(rows)
    writer.writerow([rows[7][0].upper(), *rows[7][1:]])
    writer.writerow(["ada.at.googly.example", "", "Ada", "Oslo", "free", "paper"])
    writer.writerow(["bruno@@outlooky.example", "", "Bruno", "", "free", "tools"])
    writer.writerow(["chiara@googly.example", "+01:00", "Chiara", "Lyon", "free", "wood"])
    return text.getvalue()


def _addresses(random: Random) -> list[str]:
    """Return 2,000 addresses, the simulated mailboxes spread evenly, the complaining ones late."""
    domains, weights = list(PROVIDERS), list(PROVIDERS.values())
    special = [
        f"{name}{number}" for name, count in SIMULATED.items() for number in range(1, count + 1)
    ]
    random.shuffle(special)
    ordinary = [
        f"{random.choice(FIRST_NAMES)}.{random.choice(LAST_NAMES)}{number}".lower()
        for number in range(MEMBERS - len(special) - COMPLAINERS)
    ]
    every = len(ordinary) // len(special)
    names: list[str] = []
    for number, name in enumerate(ordinary):
        names.append(name)
        if number % every == every - 1 and special:
            names.append(special.pop())
    names.extend(special)
    for number in range(1, COMPLAINERS + 1):
        names.insert(MEMBERS * 4 // 5 + 100 * number, f"complain{number}")
    return [f"{name}@{random.choices(domains, weights)[0]}" for name in names]


def _row(address: str, random: Random) -> list[str]:
    given = address.partition(".")[0]
    first_name = given.capitalize() if not is_simulated(address) else "Sim"
    interests = random.sample(INTERESTS, random.randint(2, 3))
    city = random.choice(list(CITIES))
    return [
        address,
        CITIES[city],
        first_name,
        city,
        "pro" if random.random() < 0.2 else "free",
        ",".join(interests),
    ]
