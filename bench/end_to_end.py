"""(a) From the first claim to the last result: mailops beside its peers, turn by turn."""

import re
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from html import unescape
from statistics import median

from bench.contenders import CeleryBatch, Contender, Mailops, PostOffice, SmtpSource, make_content
from bench.processes import spent, usage_of
from bench.receivers import Dump, Sink
from bench.stage import HOME, BenchError, Stage

PROOF = 40  # mails of each contender that are looked at
TIMES = {"smtp_source": 4}  # so much faster that its turn would be too short to be measured
SETTLE_SECONDS = 0.3  # in which a mail too many would arrive

# to unsubscribe, each in its own way
_LINK = re.compile(r"https?://(127\.0\.0\.1|localhost)[:/][^\s\"]*")


@dataclass(frozen=True)
class Turn:
    """One contender's turn."""

    recipients: int
    seconds: float
    processor_seconds: dict[str, float]

    @property
    def per_s(self) -> float:
        return self.recipients / self.seconds


@dataclass
class Turns:
    """All turns of one contender."""

    name: str
    turns: list[Turn] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return median(turn.per_s for turn in self.turns)

    @property
    def cells(self) -> list[str]:
        """Return median, range and how many turns of how many recipients, for a table."""
        rates = [turn.per_s for turn in self.turns]
        return [
            self.name,
            f"{self.per_s:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{len(rates)} x {self.turns[0].recipients:,}",
        ]


@dataclass
class Course(Turns):
    """All turns of one contender in the race, and what it costs."""

    octets: int = 0  # of a mail, on the wire

    @property
    def row(self) -> list[str]:
        seconds = ", ".join(f"{turn.seconds:.2f}" for turn in self.turns)
        return [*self.cells, seconds, f"{self.octets:,}"]

    @property
    def figures(self) -> dict[str, object]:
        return {
            "per_s": [round(turn.per_s, 1) for turn in self.turns],
            "seconds": [round(turn.seconds, 3) for turn in self.turns],
            "recipients": self.turns[0].recipients,
            "octets": self.octets,
            "processor_us_a_message": self.processor_micros(),
        }

    def processor_micros(self) -> dict[str, int]:
        """Return the processor time a message costs in each process, in microseconds."""
        last = self.turns[-1]
        most = max(last.processor_seconds.values(), default=0)
        return {
            name: round(seconds * 1e6 / last.recipients)
            for name, seconds in sorted(last.processor_seconds.items(), key=lambda item: -item[1])
            if seconds > most / 50  # the others only wait for their turn
        }


HEAD = ["", "a second", "range", "recipients", "seconds", "octets"]


class Field:
    """All contenders, warm and proven to send the same mail."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.octets: dict[str, int] = {}
        self._said: dict[str, list[str]] = {}
        dump = Dump()
        self.sink = Sink(stage, dump=dump.file)
        self.mailops = Mailops(stage, self.sink)
        post_office, celery = PostOffice(stage, "post_office"), CeleryBatch(stage, "celery_batch")
        self.contenders: list[Contender] = [self.mailops]
        self._prove(self.mailops, dump)
        self.smtp_source = SmtpSource(make_content(HOME, dump.read()[0][1]))
        for contender in (self.smtp_source, post_office, celery):
            self._prove(contender, dump)
            self.contenders.append(contender)
        dump.close()
        self.sink.stop()
        self.sink.start()

    def _prove(self, contender: Contender, dump: Dump) -> None:
        """Let it send a few mails, which also warms it up, and look at each of them."""
        dump.clear()
        contender.fill(PROOF)
        contender.send()
        contender.check()
        time.sleep(SETTLE_SECONDS)
        mails = dump.read()
        recipients = {recipient for recipient, _ in mails}
        if len(mails) != PROOF or len(recipients) != PROOF:
            raise BenchError(
                f"{contender.name}: {len(mails)} mails to {len(recipients)} recipients"
            )
        for recipient, content in mails:
            if said(content) != self._said.setdefault(recipient, said(content)):
                raise BenchError(f"{contender.name} does not say the same to {recipient}")
        self.octets[contender.name] = sum(map(octets_of, dump.read())) // PROOF

    def take_turn(self, contender: Contender, recipients: int) -> Turn:
        """Measure one turn; raise where the receiver's count is not what was to be sent."""
        contender.fill(recipients)
        accepted, before = self.sink.count(), usage_of(self.stage)
        seconds = contender.send()
        after = usage_of(self.stage)
        time.sleep(SETTLE_SECONDS)
        accepted = self.sink.count() - accepted
        if accepted != recipients:
            raise BenchError(
                f"{contender.name} was to send {recipients:,}, the receiver accepted {accepted:,}"
            )
        contender.check()
        return Turn(recipients, seconds, spent(before, after))


def octets_of(mail: tuple[str, bytes]) -> int:
    """Return a mail's size on the wire, where each line ends in two octets."""
    _, content = mail
    return len(content) + content.count(b"\n")


def said(content: bytes) -> list[str]:
    """Return subject, text and HTML of a mail, whatever their encodings and the link to unsubscribe."""
    mail = message_from_bytes(content, policy=policy.default)
    parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
    return [" ".join(_LINK.sub("", unescape(part)).split()) for part in [mail["Subject"], *parts]]


def race(
    field: Field, recipients: int, *, rounds: int, budget_seconds: float = 36000
) -> dict[str, Course]:
    """Let all take their turns, round by round, each round beginning with another one, while time is left."""
    courses = {
        one.name: Course(one.name, octets=field.octets[one.name]) for one in field.contenders
    }
    began_at = time.monotonic()
    for number in range(rounds):
        begun_at = time.monotonic()
        first = number % len(field.contenders)
        for contender in field.contenders[first:] + field.contenders[:first]:
            many = recipients * TIMES.get(contender.name, 1)
            courses[contender.name].turns.append(field.take_turn(contender, many))
        now = time.monotonic()
        if now - began_at + (now - begun_at) > budget_seconds:
            break
    return courses
