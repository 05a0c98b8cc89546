"""Mail that is made ahead, while a session waits for a reply."""

import threading
from collections import Counter

import pytest

from mailops.dispatch import making, preparing
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.lanes import Lane
from mailops.dispatch.making import Maker
from mailops.dispatch.models import Worker
from mailops.dispatch.preparing import Objection, Prepared
from mailops.dispatch.rules import SessionLimit
from mailops.dispatch.talks import Talks
from mailops.outbox.models import Message
from mailops.transports.models import Transport
from mailops.transports.sessions import Envelope
from tests.dispatch.test_delivery import deliver, make_due, make_stream_to
from tests.factories import make_message, make_stream, make_transport
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(monkeypatch):
    """Make mail that is nothing but its recipient, and count how often each was made."""
    count = Counter()

    def prepare(job, way):
        count[job.recipient] += 1
        if job.recipient.startswith("bad"):
            return Objection("render_failed", "No name.")
        octets = 200_000 if job.recipient.startswith("large") else 1
        return Prepared(job, Envelope(way.return_path_host, job.recipient), b"x" * octets)

    make_by(monkeypatch, lambda jobs, _, way: [prepare(job, way) for job in jobs])
    return count


def make_by(monkeypatch, prepare_all):
    """Have mail made by a function in the place of `prepare_all`, alone and together."""
    for module in (making, preparing):
        monkeypatch.setattr(module, "prepare_all", prepare_all)


def make_lane(*recipients):
    stream = make_stream(transport=make_transport())
    for recipient in recipients:
        provider = "google" if recipient.endswith("@gmail.com") else "x.example"
        make_message(stream=stream, recipient=recipient, mailbox_provider=provider)
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (carrier,) = usable_carriers("bulk")
    lane = Lane(carrier, Transport.objects.get(), Talks())
    lane.enter(threading.current_thread())
    lane.add(Claimer(worker.pk).claim(carrier, 20))
    lane.light, lane.seats = {job.version_id for job in lane.jobs}, 1
    return lane


def maker_of(lane, *, takes_8bit=True):
    return Maker(lane, dict.fromkeys(job.version_id for job in lane.jobs), takes_8bit=takes_8bit)


def test_whoever_takes_a_job_finds_its_mail_made(made):
    lane = make_lane("one@x.example", "two@x.example")
    maker, another = maker_of(lane), maker_of(lane)
    maker.make_ahead()
    another.make_ahead()  # nothing is left to make
    one, two = list(lane.jobs)
    assert [another.make(one).job, maker.make(two).job] == [one, two]
    assert made == {"one@x.example": 1, "two@x.example": 1}
    assert not lane.made


def test_what_was_made_for_8_bit_octets_goes_to_no_server_that_takes_none(made):
    lane = make_lane("one@x.example")
    maker_of(lane).make_ahead()
    maker_of(lane, takes_8bit=False).make(lane.jobs[0])
    assert made["one@x.example"] == 2


def test_an_objection_is_raised_when_the_job_is_taken(made):
    lane = make_lane("bad@x.example")
    maker = maker_of(lane)
    maker.make_ahead()
    with pytest.raises(Objection):
        maker.make(lane.jobs[0])


def test_what_failed_ahead_is_made_when_it_is_its_turn(made, monkeypatch):
    lane = make_lane("one@x.example")
    maker = maker_of(lane)
    with monkeypatch.context() as short:
        make_by(short, lambda *_: [MemoryError()])
        maker.make_ahead()
    assert maker.make(lane.jobs[0]).job == lane.jobs[0]


def test_what_can_not_be_made_holds_up_nothing_behind_it(made):
    lane = make_lane("bad@x.example", "two@x.example")
    maker = maker_of(lane)
    maker.make_ahead()
    assert maker.make(lane.jobs[1]).job == lane.jobs[1]
    assert made == {"bad@x.example": 1, "two@x.example": 1}


@pytest.mark.parametrize("blocked", [2, 10])
def test_nothing_is_made_ahead_that_no_session_may_take(made, blocked):
    lane = make_lane(
        *(f"blocked{number}@gmail.com" for number in range(blocked)),
        *(f"free{number}@x.example" for number in range(5)),
    )
    lane.talks.limit_of = lambda provider: SessionLimit(
        sessions=1 if provider == "google" else None
    )
    lane.talks.seats = {"google": 0}
    maker = maker_of(lane)
    while job := lane.take(0):
        maker.make(job)
        maker.make_ahead()
    assert made == {f"free{number}@x.example": 1 for number in range(5)}


def test_large_mail_is_made_when_it_is_its_turn(made):
    lane = make_lane("large1@x.example", "large2@x.example", "three@x.example")
    maker = maker_of(lane)
    lane.light.clear()
    maker.make_ahead()  # nobody knows of how large its mail is
    large, _, small = list(lane.jobs)
    maker.make(large)
    maker.make_ahead()
    assert not lane.made
    maker.make(small)
    maker.make_ahead()
    assert len(lane.made) == 1


def test_what_was_made_for_jobs_that_went_back_is_forgotten(made):
    lane = make_lane(*(f"r{number}@x.example" for number in range(4)))
    maker_of(lane).make_ahead()
    late = lane.take(0)  # its hours were over: it was never made into mail
    first = lane.jobs[0]
    lane.remove(lambda job: job == first)
    assert set(lane.made) == {job.fence for job in lane.jobs}
    assert late.fence not in lane.made


def test_is_made_ahead_only_until_each_session_finds_its_next_mail(made):
    lane = make_lane(*(f"r{number}@x.example" for number in range(20)))
    maker = maker_of(lane)
    maker.make_ahead()
    assert len(lane.made) == making.AHEAD_OF_EACH
    maker.make_ahead()
    assert len(lane.made) == making.AHEAD_OF_EACH
    while lane.made:
        maker.make(lane.take(0))
    maker.make_ahead()
    assert len(made) == 2 * making.AHEAD_OF_EACH


def test_each_mail_of_a_session_is_made_once_and_sent_once(settings, monkeypatch):
    made = Counter()
    really = making.prepare_all

    def prepare_all(jobs, *args):
        made.update(job.recipient for job in jobs)
        return really(jobs, *args)

    make_by(monkeypatch, prepare_all)
    with SmtpServer(extensions=("8BITMIME", "PIPELINING")) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        stream = make_stream_to(server.port)
        recipients = [f"r{number}@x.example" for number in range(8)]
        for recipient in recipients:
            make_due(stream, recipient)
        deliver()
    assert made == dict.fromkeys(recipients, 1)
    told = [line for mail in server.messages for line in mail.splitlines() if line[:3] == b"To:"]
    assert sorted(told) == [f"To: {one}".encode() for one in recipients]
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


def test_a_lane_that_closes_takes_no_job_back():
    lane = make_lane("a@x.example")
    job = lane.take(0.0)
    lane.close()
    assert not lane.give_back(job)
    assert not lane.jobs
