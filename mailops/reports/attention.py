"""What has stopped or waits for a person, worst first, with why and where to press.

What lies above the reports registers a source here when its app is ready.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.timezone import now

from mailops.accounts.models import AuditEntry
from mailops.audiences.deleting import undeletable
from mailops.audiences.models import Audience
from mailops.campaigns.models import Campaign
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance
from mailops.domains.grace import grace_of
from mailops.domains.models import CheckStatus, Domain, Finding, FindingChange
from mailops.feedback import silence
from mailops.feedback.mailbox_causes import cause_of
from mailops.feedback.models import Mailbox, RawFeedback
from mailops.lib.first_rows import first_rows
from mailops.lib.templatetags.navigation import resolve
from mailops.outbox.doubtful import count_doubtful
from mailops.outbox.models import EventKind, Message, Status
from mailops.outbox.waiting import COUNTED
from mailops.reports.broken_off import broken_off
from mailops.reports.given_up import given_up_lately
from mailops.reports.matter import SHOWN, Matter
from mailops.reports.models import Figure
from mailops.reports.moments import moment_of
from mailops.reports.unheard import unheard
from mailops.suppressions.models import ProviderSync
from mailops.transports.concerns import likely_pressing, pressing
from mailops.transports.models import Credential, RunState, Stream, Transport

LATELY = timedelta(days=7)  # a warning that has stood for longer is known
A_DAY = timedelta(days=1)
TRIES = 3  # in a row; one that fails may be a peer's moment


MatterSource = Callable[[], Iterable[Matter]]
_sources: list[MatterSource] = []


def register_matters(source: MatterSource) -> None:
    """Add a source of what needs a person."""
    _sources.append(source)


def matters() -> list[Matter]:
    """Return what needs a person: the bad before the doubtful."""
    found = [matter for source in _sources for matter in source()]  # first: they say who isn't told
    found += [
        *_transports(), *_spent(), *_credentials(), *_silent(), *_mailboxes(), *_streams(), *_domains(),
        *_unanswered(), *_worsened(), *_campaigns(), *_given_up(), *broken_off(), *_undeletable(), *_out_of_step(),
        *_waiting(),
    ]  # fmt: skip
    return sorted(found, key=lambda matter: matter.tone != "bad")


def _others(n: int, one: str, many: str, url: str, tone: str) -> Iterator[Matter]:
    """Name those that are not shown one by one, before those that are: the list must not look whole."""
    if n:
        yield Matter(
            f"{n:,} more {one if n == 1 else many}", "The list has them all.", url, "See all", tone
        )


def _transports() -> Iterator[Matter]:
    unwell = Transport.objects.exclude(state=RunState.RUNNING, breaker=Transport.Breaker.CLOSED)
    stopped, more = first_rows(unwell.order_by("name"), SHOWN)
    yield from _others(
        more, "transport stands still", "transports stand still", resolve("transports:list"), "bad"
    )
    opened = _last_opened(stopped)
    carried = _carried(without=_with_a_spent_day()) if stopped else frozenset()
    for transport in stopped:
        url = resolve("transports:detail", transport.pk)
        if transport.state == RunState.PAUSED:
            title = f"Transport {transport} is paused"
            sentence, since = transport.pause_sentence, transport.paused_at
            action = "See why, then resume it"
        else:
            title = f"Transport {transport} can't be reached"
            sentence, since = transport.breaker_sentence, opened.get(transport.pk)
            action = "See why, and test it"
        yield Matter(
            title, f"{sentence} {_held_up(transport, carried)}".strip(), url, action, "bad", since
        )


def _last_opened(transports: Iterable[Transport]) -> dict[int, datetime]:
    """Return since when each transport can't be reached, by the audit trail."""
    entries = AuditEntry.objects.about(Transport, [one.pk for one in transports])
    return entries.filter(verb="transport.breaker_open").last_of_each()


def _carried(*, without: Collection[int] = ()) -> frozenset[int]:
    """Return the streams whose mail leaves now, by a transport that is none of those `without`."""
    carriers = [one for kind in Stream.Kind for one in usable_carriers(kind) if not one.is_probed]
    return frozenset(
        pk for one in carriers if one.transport_id not in without for pk in one.stream_ids
    )


def held_up_by(stopped: Transport | Stream | Campaign) -> str:
    """Say what waits for this one that stands still."""
    if isinstance(stopped, Transport):
        return _held_up(stopped, _carried(without=_with_a_spent_day()))
    return _waits(stopped) if isinstance(stopped, Stream) else _left_of(stopped)


def _left_of(campaign: Campaign) -> str:
    """Say how many of a paused campaign's messages would leave if it went on; nothing of one that has none yet."""
    found = Figure.objects.statuses().filter(campaign_id=campaign.pk).by_kind()
    left = found.get(Status.QUEUED, 0) + found.get(Status.DEFERRED, 0)
    return f"{many_wait(left)}, of {sum(found.values()):,}." if left else ""


def _held_up(transport: Transport, carried: Collection[int]) -> str:
    """Say what waits for a transport that stands still: how many messages of which streams, and of which campaigns.

    It holds up no stream that is `carried` by another, and nobody where all of them are.
    """
    using = list(Stream.objects.running().using_transport(transport).order_by("name"))
    streams = [stream for stream in using if stream.pk not in carried]
    if using and not streams:
        return "Nobody is hurt: other transports carry its mail meanwhile."
    owed = _owed_by(streams)
    running = Campaign.objects.running().filter(stream__in=streams)
    names = [str(one) for one in running.order_by("-started_at", "-pk")[:SHOWN]]
    told = []
    if owed:
        told.append(f"{many_wait(sum(owed.values()))} for it, of {listed(owed)}.")
    if names:
        many = "Campaigns wait" if len(names) > 1 else "A campaign waits"
        told.append(f"{many} for it: {', '.join(names)}.")
    return " ".join(told)


def _owed_by(streams: Iterable[Stream]) -> dict[Stream, int]:
    """Return how many messages of each stream would leave, if what stops them didn't; nothing of one without any."""
    owed = Figure.objects.statuses().filter(
        stream_id__in=[one.pk for one in streams], kind__in=(Status.QUEUED, Status.DEFERRED)
    )
    of = owed.summed("stream_id", "campaign_id")
    campaigns = Campaign.objects.running().filter(pk__in={campaign for _, campaign, _ in of})
    running = {None, 0, *campaigns.values_list("pk", flat=True)}
    sums = Counter[int]()
    for stream, campaign, n in of:
        sums[stream] += n if campaign in running else 0
    return {one: sums[one.pk] for one in streams if sums[one.pk]}


def listed(streams: Collection[Stream]) -> str:
    """Name the first of them, and say how many more there are."""
    named = [str(stream) for stream in streams][:SHOWN]
    more = len(streams) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])])


def _spent() -> Iterator[Matter]:
    """Name the transports that have sent their number of today, where mail waits for the next day because of it."""
    spent = _with_a_spent_day()
    others = _carried(without=spent) if spent else frozenset()
    for transport in list(spent.values())[:SHOWN]:
        carried = Stream.objects.running().carried_by(transport).order_by("name")
        streams = [stream for stream in carried if stream.pk not in others]
        if not (owed := _owed_by(streams)):
            continue
        yield Matter(
            f"Transport {transport} has sent its {transport.daily_quota:,} of today",
            f"{many_wait(sum(owed.values()))} until midnight UTC, of {listed(owed)}. {_given_up_before(owed)}A higher number on its page, if its server "
            "takes more, or another route lets them leave now.",
            resolve("transports:detail", transport.pk),
            "See what it may send",
            "warn" if all(stream.is_bulk for stream in owed) else "bad",
        )


def _given_up_before(streams: Iterable[Stream]) -> str:
    """Say which of them give mail up before midnight UTC, when a new day's number begins."""
    at = now().astimezone(UTC)
    left = timedelta(days=1) - timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
    early = [one for one in streams if timedelta(seconds=one.expiry_seconds) < left]
    return (
        f"It is given up before that where its stream waits no longer: {listed(early)}. "
        if early
        else ""
    )


def _with_a_spent_day() -> dict[int, Transport]:
    """Return the running transports that have sent their number of today, by name."""
    running = Transport.objects.running().filter(daily_quota__isnull=False).order_by("name")
    limited = {f"t{one.pk}": one for one in running}
    if not limited:
        return {}
    today = Allowance.objects.filter(key__in=list(limited), day=utc_today())
    sent = dict(today.values_list("key", "spent"))
    return {
        one.pk: one for key, one in limited.items() if sent.get(key, 0) >= (one.daily_quota or 0)
    }


def _credentials() -> Iterator[Matter]:
    """Name what transports log in with and soon can't, or should no more."""
    likely = Credential.objects.select_related("transport", "grant").filter(likely_pressing(now()))
    for credential, concern in pressing(likely.order_by("transport__name", "pk"), now())[:SHOWN]:
        yield Matter(
            f"Credential {credential.label} of {credential.transport}: {concern.title[0].lower()}{concern.title[1:]}",
            concern.fix,
            resolve("transports:credential", credential.pk),
            "See it, and rotate it" if not credential.oauth else "See it, and sign in again",
            concern.tone,
            credential.refused_at,
        )


def _silent() -> Iterator[Matter]:
    """Name what sends and hears nothing of what became of it; a webhook that is silent is an incident, until it is judged."""
    without = (one for one in unheard(now()) if one.endpoint is None)
    for one in islice(without, SHOWN):
        at = resolve("feedback:webhook-of", one.transport.pk)
        yield _nothing_heard(one.transport, one.sentence, at)
    lately = Figure.objects.events(EventKind.ACCEPTED).filter(bucket_at__gte=now() - A_DAY)
    told = {pk: n for pk, n in lately.summed("transport_id") if pk is not None}
    for relay, sentence in silence.silent_by_mail(told)[:SHOWN]:
        yield _nothing_heard(relay, sentence, resolve("feedback:webhooks"))


def _nothing_heard(transport: Transport, sentence: str, url: str) -> Matter:
    title = f"Nothing is heard of what {transport} sends"
    return Matter(title, sentence, url, "See where it should come in")


def _mailboxes() -> Iterator[Matter]:
    """Name the mailboxes whose bounces are not heard."""
    for mailbox in Mailbox.objects.broken().order_by("name")[:SHOWN]:
        trouble = "can't be read" if mailbox.failures else "needs a look"
        yield Matter(
            f"Mailbox {mailbox} {trouble}",
            what_is_unread(mailbox),
            resolve("feedback:mailbox", mailbox.pk),
            "See why, then test it",
            "bad",
            mailbox.failing_since_at,
        )


def what_is_unread(mailbox: Mailbox) -> str:
    """Say why a mailbox can't be read, and what that hurts."""
    why = cause_of(mailbox.cause).sentence
    if not mailbox.failures:
        return why
    return f"{why} Until it can be, bounces in it are not known here; they stay there."


def _streams() -> Iterator[Matter]:
    rows = Stream.objects.filter(state=RunState.PAUSED)
    streams, more = first_rows(rows.order_by("name"), SHOWN)
    yield from _others(
        more, "stream is paused", "streams are paused", resolve("transports:streams"), "bad"
    )
    for stream in streams:
        yield Matter(
            f"Stream {stream} is paused",
            f"{stream.pause_sentence} {_waits(stream)}".strip(),
            resolve("transports:stream-detail", stream.pk),
            "See why, then resume it",
            "bad",
            stream.paused_at,
        )


def _waits(stream: Stream) -> str:
    """Say how much of a paused stream waits."""
    owed = _owed_by([stream])
    return f"{many_wait(owed[stream])}." if owed else ""


def _domains() -> Iterator[Matter]:
    rows = Domain.objects.with_grace().filter(status=CheckStatus.ERROR)
    rows = rows.prefetch_related("findings", "streams")
    broken, more = first_rows(rows.order_by("name"), SHOWN)
    yield from _others(
        more, "domain is broken", "domains are broken", resolve("domains:list"), "bad"
    )
    for domain in broken:
        findings = [one for one in domain.findings.all() if one.is_broken]
        is_listed = bool(findings) and all(one.is_of_lists for one in findings)
        yield Matter(
            f"Domain {domain} is {'on lists of spam senders' if is_listed else 'broken'}",
            what_breaks(domain, findings),
            resolve("domains:detail", domain.pk),
            "See which lists" if is_listed else "See which record to mend",
            "bad",
            domain.broken_since_at,
        )


def what_breaks(domain: Domain, broken: Iterable[Finding]) -> str:
    """Say what is broken of a domain, which was read `with_grace`, and when that stops bulk mail."""
    names = ", ".join(dict.fromkeys(finding.label for finding in causes_first(broken)))
    grace = grace_of(domain)
    if grace is None or not grace.has_bulk:
        return f"{names}. Receivers may refuse mail from it, or file it as spam."
    if grace.has_stopped:
        return f"{names}. That is so for longer than its grace, so its bulk mail has stopped."
    return f"{names}. Bulk mail from it stops on {moment_of(grace.ends_at)} unless it is mended."


def causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the oldest first, and last what only follows from the others."""
    return sorted(findings, key=lambda finding: (finding.judges_others, finding.since_at))


def _unanswered() -> Iterator[Matter]:
    """Name the domains whose records nobody can see: what is known of them is old."""
    found = by_domain(Finding.objects.unanswered(now()))
    yield from _others(
        max(len(found) - SHOWN, 0),
        "domain of which DNS tells nothing",
        "domains of which DNS tells nothing",
        resolve("domains:list"),
        "warn",
    )
    for domain, findings in list(found.items())[:SHOWN]:
        yield Matter(
            f"DNS tells nothing of {domain}",
            what_is_unknown(findings),
            resolve("domains:detail", domain.pk),
            "See what was asked",
            "warn",
            min(finding.unanswered_since_at for finding in findings),
        )


def by_domain(findings: QuerySet[Finding]) -> dict[Domain, list[Finding]]:
    """Return findings with their domains, by name."""
    found: dict[Domain, list[Finding]] = {}
    for finding in findings.select_related("domain").order_by("domain__name", "check_name"):
        found.setdefault(finding.domain, []).append(finding)
    return found


def what_is_unknown(findings: Sequence[Finding]) -> str:
    """Say what DNS tells nothing of, what that hurts, and what to do."""
    names = ", ".join(dict.fromkeys(finding.label for finding in findings))
    return (
        f"{names}: what is known is old, so a record that breaks now is not seen here. Receivers that are told nothing, "
        "too, defer or refuse mail. See whether its name servers answer, and the resolver of this machine."
    )


def _worsened() -> Iterator[Matter]:
    """Name what was well and is no more, though mail still passes."""
    changes = FindingChange.objects.filter(
        before=CheckStatus.OK, after=CheckStatus.WARNING, at__gt=now() - LATELY
    )
    still = Finding.objects.filter(
        Exists(changes.filter(domain=OuterRef("domain"), check_name=OuterRef("check_name"))),
        status=CheckStatus.WARNING,
    )
    for finding in still.select_related("domain").order_by("domain__name", "check_name")[:SHOWN]:
        yield Matter(
            f"{finding.label} of {finding.domain} has worsened",
            finding.sentence,
            resolve("domains:detail", finding.domain_id),
            "See what changed",
            "warn",
            finding.since_at,
        )


def _campaigns() -> Iterator[Matter]:
    rows = Campaign.objects.filter(state=Campaign.State.PAUSED)
    paused, more = first_rows(rows.order_by("-id"), SHOWN)
    campaigns = f"{resolve('campaigns:list')}?state={Campaign.State.PAUSED}"
    yield from _others(more, "campaign is paused", "campaigns are paused", campaigns, "warn")
    for campaign in paused:
        yield Matter(
            f"Campaign {campaign} is paused",
            f"{campaign.pause_sentence} {_left_of(campaign)}".strip(),
            resolve("campaigns:detail", campaign.pk),
            "See why, then launch or cancel it"
            if campaign.may_be_launched
            else "See why, then resume or cancel it",
            "warn",
            campaign.paused_at,
        )


def _given_up() -> Iterator[Matter]:
    """Name of what much mail was given up; a campaign's that was sent again since is not among it."""
    for lost in given_up_lately(now(), most=SHOWN):
        is_campaign = isinstance(lost.of, Campaign)
        what = "Campaign" if is_campaign else "Stream"
        yield Matter(
            f"{what} {lost.of}: {_many(lost.n)} given up",
            f"{lost.words} in the last day, of {lost.whole:,}. See why first; it can be sent again.",
            f"{resolve('outbox:campaign-retry', lost.of.pk)}?status={lost.status}"
            if is_campaign
            else f"{resolve('outbox:list')}?stream={lost.of.pk}&status={lost.status}",
            "Choose what to send again" if is_campaign else "Look at them",
            "bad",
        )


def _undeletable() -> Iterator[Matter]:
    """Name the deleted audiences in which there still is something: whoever deleted them takes it for gone."""
    audiences = list(undeletable()[:SHOWN])
    told = AuditEntry.objects.about(Audience, [one.pk for one in audiences])
    deletions = told.filter(verb="audience.delete").order_by("at")
    names = dict(deletions.values_list("subject_id", "subject_label"))
    for audience in audiences:
        yield Matter(
            f"Not all of audience {names.get(str(audience.pk), audience.pk)} is deleted",
            "Nobody sees or uses it any more, but who was in it, and the account of its imports, are not all gone. It is "
            f"tried again each minute; whoever runs the database can remove what is in the way: {audience.deletion_fault}",
            f"{resolve('accounts:audit')}?subject=audiences.Audience:{audience.pk}",
            "See who deleted it",
            "bad",
            audience.deleted_at,
        )


def _out_of_step() -> Iterator[Matter]:
    """Name the providers' suppression lists that could not be asked several times in a row."""
    failing = ProviderSync.objects.filter(failures__gte=TRIES).exclude(sentence="")
    for sync in failing.select_related("transport").order_by("transport__name")[:SHOWN]:
        yield Matter(
            f"The suppression list of {sync.transport} can't be kept in step",
            f"{sync.sentence} What is new there is not known here until it can.",
            resolve("suppressions:sync", sync.transport_id),
            "See why, then ask now",
            "warn",
            sync.in_step_at,
        )


def _waiting() -> Iterator[Matter]:
    messages = resolve("outbox:list")
    plainly_held = Message.objects.filter(status=Status.HELD, settling_fence=None)
    if held := plainly_held[:COUNTED].count():
        yield Matter(
            f"{_many(held)} held",
            "A held message leaves when a person releases it.",
            f"{messages}?status={Status.HELD}",
            "Look at them",
        )
    if doubtful := count_doubtful(most=COUNTED):
        yield Matter(
            f"{_many(doubtful)} uncertain",
            "The connection was lost after the body: they were sent or not, and mailops does not guess.",
            resolve("outbox:doubtful"),
            "Settle them or send them again",
        )
    if unread := RawFeedback.objects.filter(state=RawFeedback.State.FAILED)[:COUNTED].count():
        yield Matter(
            f"{_many(unread, 'report')} not readable",
            "mailops failed to read what came back, so what it says of your messages is not known. Each stays, and says why.",
            f"{resolve('feedback:list')}?state={RawFeedback.State.FAILED}",
            "See why, then read them again after an update",
            "bad",
        )
    if quarantined := RawFeedback.objects.quarantined()[:COUNTED].count():
        yield Matter(
            f"{_many(quarantined, 'report')} in quarantine",
            "Feedback that could not be proven to be about our mail; it changed nothing.",
            f"{resolve('feedback:list')}?state={RawFeedback.State.QUARANTINED}",
            "Look at it",
        )


def many_wait(n: int) -> str:
    """Say that so many messages wait."""
    return f"{n:,} message{' waits' if n == 1 else 's wait'}"


def _many(n: int, noun: str = "message") -> str:
    words = f"{COUNTED:,} or more" if n >= COUNTED else f"{n:,}"
    return f"{words} {noun}{'' if n == 1 else 's'}"
