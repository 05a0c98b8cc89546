"""The whole way: CSV → campaign → Celery workers → SMTP → bounces and complaints back → suppressions → counts."""

from collections import Counter

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from mailops.audiences.models import Audience, Import, Membership
from mailops.campaigns.models import Campaign
from mailops.outbox.models import Message, Tally
from mailops.reports.balance import balance
from mailops.suppressions.models import Suppression
from mailops.transports.models import Transport
from tests.engine import Engine
from tests.factories import make_campaign, make_stream, make_version
from tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

MAILBOXES = {
    "accept": 30,
    "bounce": 5,
    "full": 3,
    "policy": 2,
    "defer": 3,
    "slow": 1,
    "drop": 2,
    "later-bounce": 4,
    "complain": 3,
    "unsubscribe": 3,
}
ENDS = {
    "accept": {"accepted"},
    "bounce": {"bounced"},
    "full": {"expired"},
    "policy": {"bounced", "failed"},
    "defer": {"accepted"},
    "slow": {"accepted"},
    "drop": {"uncertain"},
    "later-bounce": {"bounced"},
    "complain": {"accepted"},
    "unsubscribe": {"accepted"},
}
SUPPRESSED = {
    "bounce": "hard_bounce",
    "later-bounce": "hard_bounce",
    "complain": "complaint",
    "unsubscribe": "unsubscribe",
}


@pytest.fixture
def engine(tmp_path, live_server):
    engine = Engine(tmp_path, MAILOPS_BASE_URL=live_server.url)
    yield engine
    engine.stop()


def csv_file():
    rows = [
        f"{name}+{n}@x.example,Friend {n}" for name, many in MAILBOXES.items() for n in range(many)
    ]
    rows += ["accept+0@X.Example,Twice", "no address,Nobody"]
    return SimpleUploadedFile("people.csv", "\n".join(["email,first_name", *rows]).encode())


def import_people(client, audience):
    response = client.post(reverse("audiences:import", args=[audience.pk]), {"file": csv_file()})
    mapping = {
        "consent": "They asked for it",
        "use_0": "address",
        "name_0": "",
        "use_1": "attribute",
        "name_1": "first_name",
        "encoding": "utf-8",
        "delimiter": ",",
        "header": "yes",
    }
    assert client.post(response["Location"], mapping).status_code == 302
    return wait_until(
        lambda: Import.objects.filter(state=Import.State.COMPLETED).first(),
        seconds=30,
        what="the import",
    )


def mailbox_of(message):
    return message.recipient.partition("+")[0]


def test_from_a_csv_to_the_counts(engine, operator, logged_in):
    engine.start_receiver("--reaction-delay", "0.2", "--slow-seconds", "0.5")
    engine.start_feedback_listener()
    engine.start_housekeeping()
    engine.start_worker("bulk", "bulk")
    audience = Audience.objects.create(name="People")
    run = import_people(logged_in(operator), audience)
    people = sum(MAILBOXES.values())
    assert (run.added, run.duplicate, run.rejected) == (people, 1, 1)
    assert Membership.objects.count() == people

    transport = Transport.objects.create(
        name="Receiver",
        host="127.0.0.1",
        port=engine.receiver_port,
        security="none",
        max_sessions=4,
    )
    stream = make_stream(transport=transport, backoff_seconds=[1], expiry_seconds=20)
    version = make_version(
        html="<p>Hello {{ first_name }}</p><a href='{{ unsubscribe_url }}'>out</a>"
    )
    campaign = make_campaign(
        stream=stream, audience=audience, version=version, state=Campaign.State.RUNNING
    )

    def is_completed():
        campaign.refresh_from_db()
        return campaign.state == Campaign.State.COMPLETED

    wait_until(is_completed, seconds=90, what="the campaign to complete")

    wanted = Counter({SUPPRESSED[name]: 0 for name in SUPPRESSED})
    for name, reason in SUPPRESSED.items():
        wanted[reason] += MAILBOXES[name]

    def reasons():
        return Counter(Suppression.objects.values_list("reason", flat=True))

    try:
        wait_until(lambda: reasons() == wanted, seconds=60, what=f"suppressions {wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}; last seen {reasons()}") from error

    messages = list(Message.objects.all())
    assert campaign.planned == len(messages) == people
    wrong = [
        (m.recipient, m.status, m.reply_text)
        for m in messages
        if m.status not in ENDS[mailbox_of(m)]
    ]
    assert wrong == []
    received = engine.received()
    assert max(received.values()) == 1
    assert {m.recipient for m in messages if m.status == "accepted"} <= set(received)

    standing = balance(campaign)
    assert standing.closes
    assert standing.total == campaign.planned
    call_command("verify_counts")
    wait_until(lambda: not Tally.objects.exists(), seconds=30, what="the rollup")
    call_command("verify_counts")

    page = logged_in(operator).get(reverse("reports:reports"))
    (volume,) = (chart for chart in page.context["charts"] if chart.key == "volume")
    (accepted,) = (line for line in volume.lines if line.name == "Accepted" and not line.is_before)
    stayed = sum(message.status == "accepted" for message in messages)
    assert sum(n or 0 for n in accepted.values) == stayed
