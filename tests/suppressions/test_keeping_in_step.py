"""Providers' lists and ours are kept in step: what is new there comes, what a person takes off here leaves there."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.lib.clock import ClockTimestamp
from mailops.lib.secrets import Secret
from mailops.suppressions import keeping_in_step, provider_lists
from mailops.suppressions.asking import Provider
from mailops.suppressions.keeping_in_step import begin, end, run
from mailops.suppressions.models import SYNC_LEASE, ProviderRemoval, ProviderSync, Suppression
from mailops.suppressions.provider_lists import LISTS, NO_LIST
from mailops.suppressions.suppressing import suppress, unsuppress
from mailops.suppressions.tasks import continue_sync
from mailops.transports.credentials import add_credential
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Stream
from tests.factories import (
    make_stream,
    make_suppression,
    make_suppression_import,
    make_transport,
)
from tests.suppressions.list_doubles import Lists

KEY = "canary-list-key-0123456789"
OPTIONS = {"mailgun": {"sender_domain": "mg.example.com"}, "amazon_ses": {"region": "eu-west-1"}}
# provider → its lists, each with the words by which it says why
WORDS = {
    "amazon_ses": {"list": ("BOUNCE", "hard_bounce")},
    "brevo": {"list": ("hardBounce", "hard_bounce")},
    "mailgun": {
        "bounces": ("No such mailbox", "hard_bounce"),
        "complaints": ("", "complaint"),
        "unsubscribes": ("", "unsubscribe"),
    },
    "postmark": {"outbound": ("HardBounce", "hard_bounce")},
    "sendgrid": {
        "suppression/bounces": ("550 unknown", "hard_bounce"),
        "suppression/spam_reports": ("", "complaint"),
        "suppression/unsubscribes": ("", "unsubscribe"),
    },
    "sparkpost": {"list": ("Bounce Rule", "hard_bounce")},
}
OTHER_WORDS = [
    ("amazon_ses", "COMPLAINT", "complaint"),
    ("brevo", "contactFlaggedAsSpam", "complaint"),
    ("brevo", "adminBlocked", "manual"),
    ("postmark", "SpamComplaint", "complaint"),
    ("postmark", "ManualSuppression", "unsubscribe"),
    ("sparkpost", "Spam Complaint", "complaint"),
    ("sparkpost", "List Unsubscribe", "unsubscribe"),
    ("sparkpost", "Manually Added", "manual"),
]


@pytest.fixture
def step(db, settings, monkeypatch):
    """Return a function that makes a transport whose provider is a double, kept in step."""
    opened = []
    monkeypatch.setattr(provider_lists, "PAGE", 2)
    monkeypatch.setattr(provider_lists, "_BREVO_PAGE", 2)

    def make(kind):
        double = Lists(kind)
        opened.append(double)
        settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", double.port)}
        options = {"endpoint_url": double.url, **OPTIONS.get(kind, {})}
        transport = make_transport(kind=kind, options=options)
        make_stream(transport=transport)
        add_credential(
            transport=transport, label="x", username="user", secret=Secret(KEY), actor=None
        )
        return double, begin(transport=transport, actor=None)

    yield make
    for double in opened:
        double.close()


def walk(sync):
    """Ask at once, whatever the schedule says, until nothing is left."""
    ProviderSync.objects.filter(pk=sync.pk).update(due_at=timezone.now() - timedelta(minutes=1))
    while run(sync.pk):
        pass
    sync.refresh_from_db()
    return sync


def test_every_provider_has_a_list_or_says_why_not():
    assert set(LISTS) | set(NO_LIST) == set(APIS)
    assert not set(LISTS) & set(NO_LIST)
    assert set(WORDS) == set(LISTS)


@pytest.mark.parametrize("kind", LISTS)
class TestEveryProvider:
    def test_what_is_new_there_comes_with_its_evidence_page_by_page(self, kind, step):
        double, sync = step(kind)
        wanted = {}
        for name, (words, reason) in WORDS[kind].items():
            for n in range(5):
                address = f"{reason}{n}@example.net"
                double.put(name, address, words)
                wanted[address] = reason
        assert walk(sync).sentence == "", sync.detail
        assert dict(Suppression.objects.values_list("address", "reason")) == wanted
        entry = Suppression.objects.earliest("id")
        assert (entry.stream, entry.created_by) == (None, "mailops")
        assert APIS[kind].name in entry.evidence_text
        assert "01 May 2026" in entry.evidence_text
        assert (sync.came, sync.went) == (len(wanted), 0)
        assert sync.in_step_at
        walk(sync)
        assert sync.came == len(wanted)

    def test_what_a_person_takes_off_leaves_there_and_stays_away(self, kind, step, operator):
        double, sync = step(kind)
        for name, (words, _) in WORDS[kind].items():
            double.put(name, "Bob+1@example.net", words)
            double.put(name, "eve@example.net", words)
        walk(sync)
        entry = Suppression.objects.get(address_key="bob+1@example.net")
        unsuppress(suppression=entry, reason="It was a mistake.", actor=operator)
        kept = {name: dict(one) for name, one in double.entries.items()}
        assert walk(sync).went == 1
        assert double.addresses() == {"eve@example.net"}
        assert ProviderRemoval.objects.get().done_at
        double.entries = kept  # a copy that lags behind still shows it
        walk(sync)
        assert not Suppression.objects.filter(address_key="bob+1@example.net").exists()
        name, (words, _) = next(iter(WORDS[kind].items()))
        double.put(name, "Bob+1@example.net", words, when=datetime.now(UTC) + timedelta(hours=1))
        walk(sync)
        assert Suppression.objects.filter(address_key="bob+1@example.net").exists()

    def test_of_an_address_that_was_not_there_nothing_is_wrong(self, kind, step, operator):
        _, sync = step(kind)
        entry = suppress(address="new@example.net", stream=None, reason="manual")
        unsuppress(suppression=entry, reason="A mistake.", actor=operator)
        assert (walk(sync).went, sync.sentence) == (1, "")

    def test_a_key_that_may_not_is_named_with_what_to_give_it(self, kind, step):
        double, sync = step(kind)
        double.fail = [(403, {"message": f"no {KEY}"}, {})]
        assert LISTS[kind].right in walk(sync).sentence
        assert "HTTP 403" in sync.detail
        assert KEY not in sync.detail
        assert (sync.failures, sync.in_step_at) == (1, None)

    @pytest.mark.parametrize("answer", [[], {}, "<html>", [{"email": 3}], {"items": 3}, "", {"results": [{}]}, "[" * 9999])  # fmt: skip
    def test_an_answer_of_another_form_changes_nothing(self, answer, kind, step):
        double, sync = step(kind)
        double.fail = [(200, answer, {})]
        walk(sync)
        assert not Suppression.objects.exists()
        assert sync.sentence == "" or "a form that mailops doesn't know" in sync.sentence


@pytest.mark.parametrize(("kind", "words", "reason"), OTHER_WORDS)
def test_each_reason_is_understood(kind, words, reason, step):
    double, sync = step(kind)
    double.put(next(iter(WORDS[kind])), "ann@example.net", words)
    walk(sync)
    assert Suppression.objects.get().reason == reason


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("sparkpost", "list", "List Unsubscribe"),
        ("postmark", "outbound", "ManualSuppression"),
        ("mailgun", "unsubscribes", ""),
        ("sendgrid", "suppression/unsubscribes", ""),
    ],
)
class TestWhoUnsubscribedThere:
    def test_left_the_streams_of_that_transport_and_no_other(self, kind, name, words, step):
        double, sync = step(kind)
        own = Stream.objects.get()
        make_stream()
        double.put(name, "ann@example.net", words)
        assert walk(sync).came == 1
        assert [one.stream for one in Suppression.objects.all()] == [own]

    def test_is_not_taken_out_of_a_second_stream_where_it_is_known(self, kind, name, words, step):
        double, sync = step(kind)
        own = Stream.objects.get()
        make_stream(transport=sync.transport)
        suppress(address="ann@example.net", stream=own, reason="unsubscribe")
        double.put(name, "ann@example.net", words)
        assert walk(sync).came == 0
        assert [one.stream for one in Suppression.objects.all()] == [own]

    def test_leaves_a_stream_that_joins_later_too(self, kind, name, words, step, operator):
        double, sync = step(kind)
        double.put(name, "ann@example.net", words)
        double.put(name, "bob@example.net", words)
        assert walk(sync).came == 2
        taken_off = Suppression.objects.get(address="bob@example.net")
        unsuppress(suppression=taken_off, reason="He is back.", actor=operator)
        late = make_stream(transport=sync.transport)
        assert walk(sync).sentence == ""
        assert Suppression.objects.get(stream=late).address == "ann@example.net"
        assert sync.since
        walk(sync)
        assert (Suppression.objects.count(), sync.covered) == (2, sync.walked_for)

    def test_of_one_of_two_streams_is_not_taken_out_of_a_third(self, kind, name, words, step):
        double, sync = step(kind)
        make_stream(transport=sync.transport)
        suppress(
            address="ann@example.net", stream=Stream.objects.earliest("pk"), reason="unsubscribe"
        )
        double.put(name, "ann@example.net", words)
        walk(sync)
        make_stream(transport=sync.transport)
        walk(sync)
        assert Suppression.objects.count() == 1


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_entries_of_an_address_neither_hides_the_other(order, step):
    """SparkPost keeps one for transactional mail and one for the rest."""
    double, sync = step("sparkpost")
    rows = [
        {"recipient": "bob@example.net", "type": kind, "source": source, "updated": "2026-05-01T12:00:00+00:00"}
        for kind, source in (("non_transactional", "List Unsubscribe"), ("transactional", "Bounce Rule"))
    ]  # fmt: skip
    double.fail = [(200, {"results": rows[::order], "links": []}, {})]
    assert walk(sync).came == 1
    entries = {one.reason: one.stream for one in Suppression.objects.all()}
    assert entries == {"unsubscribe": Stream.objects.get(), "hard_bounce": None}


def test_who_left_a_tag_of_mailguns_still_gets_other_mail(step):
    double, sync = step("mailgun")
    for n in range(5):
        double.put("unsubscribes", f"a{n}@example.net", "")
    real = double.mailgun

    def tagged(*asked):
        status, answer = real(*asked)
        for one in answer["items"]:
            one["tags"] = ["*"] if one["address"].startswith("a4") else ["newsletter"]
        return status, answer

    double.mailgun = tagged
    walk(sync)
    assert Suppression.objects.get().address == "a4@example.net"


class TestRefusedRemovals:
    """A provider that keeps an address says why; everything else goes on."""

    COMPLIANCE = (403, {"message": "could not be removed - Compliance"}, {"Retry-After": "1"})

    @pytest.fixture
    def taken_off(self, step, operator):
        def make(kind, name, words):
            double, sync = step(kind)
            double.put(name, "bob@example.net", words)
            walk(sync)
            entry = Suppression.objects.get()
            unsuppress(suppression=entry, reason="A mistake.", actor=operator)
            double.put(name, "new@example.net", words, when=datetime.now(UTC))
            return double, sync

        return make

    @pytest.mark.parametrize("status", [400, 403, 409, 422])
    def test_one_stops_neither_the_others_nor_the_walk(self, status, taken_off, operator):
        double, sync = taken_off("sparkpost", "list", "Bounce Rule")
        entry = suppress(address="eve@example.net", stream=None, reason="manual")
        unsuppress(suppression=entry, reason="A mistake.", actor=operator)
        double.fail = [(status, self.COMPLIANCE[1], {})]
        assert (walk(sync).sentence, sync.went) == ("", 1)
        assert "Compliance" in ProviderRemoval.objects.get(address="bob@example.net").refusal
        assert Suppression.objects.get().address == "new@example.net"

    def test_an_answer_of_200_may_refuse_too(self, taken_off):
        double, sync = taken_off("postmark", "outbound", "SpamComplaint")
        real = double.postmark

        def postmark(method, path, query, body):
            status, answer = real(method, path, query, body)
            for one in answer["Suppressions"] if method == "POST" else []:
                one |= {"Status": "Failed", "Message": "You may not change this suppression."}
            return status, answer

        double.postmark = postmark
        assert (walk(sync).went, sync.sentence) == (0, "")
        removal = ProviderRemoval.objects.get()
        assert (bool(removal.done_at), removal.refusal) == (
            True,
            "suppressions: You may not change this suppression.",
        )

    def test_a_provider_that_fails_at_one_is_walked_all_the_same(self, taken_off):
        double, sync = taken_off("sparkpost", "list", "Bounce Rule")
        double.fail = [(500, {}, {})]
        assert "is busy or failed" in walk(sync).sentence
        assert Suppression.objects.get().address == "new@example.net"
        assert not ProviderRemoval.objects.get().done_at
        assert (walk(sync).sentence, sync.went) == ("", 1)

    def test_it_is_shown_and_told_again_when_somebody_asks(self, taken_off, oncall, logged_in):
        double, sync = taken_off("sparkpost", "list", "Bounce Rule")
        double.fail = [self.COMPLIANCE]
        walk(sync)
        at = f"/suppressions/providers/{sync.transport_id}/"
        page = logged_in(oncall).get(at).content.decode()
        assert "bob@example.net" in page
        assert "Compliance" in page
        listed = logged_in(oncall).get("/suppressions/providers/").content.decode()
        assert "1 address it does not let go of" in listed
        logged_in(oncall).post(f"{at}now/")
        assert walk(sync).went == 1
        assert "Compliance" not in logged_in(oncall).get(at).content.decode()


@pytest.fixture
def while_asked(monkeypatch):
    """Return a function that has something done whenever a provider is asked, before it answers."""

    def do(act):
        ask = Provider.ask

        def asked(self, request):
            answer = ask(self, request)
            act()
            return answer

        monkeypatch.setattr(Provider, "ask", asked)

    return do


def give_its_clock(patched, clock):
    """Have the walk go by `clock`, and nothing else: the connections that it uses measure time, too."""
    patched.setattr(keeping_in_step, "time", SimpleNamespace(monotonic=lambda: next(clock)))


class TestWalk:
    def test_a_walk_that_was_cut_goes_on_where_it_was(self, step):
        double, sync = step("sparkpost")
        for n in range(6):
            double.put("list", f"a{n}@example.net", "Bounce Rule")
        ok = double.sparkpost("GET", "", {"cursor": "initial"}, None)
        double.fail = [(*ok, {}), (500, {}, {})]
        assert "is busy or failed" in walk(sync).sentence
        assert (Suppression.objects.count(), sync.cursor) == (2, "2")
        walk(sync)
        assert Suppression.objects.count() == 6
        cursors = [query["cursor"] for _, _, query, _ in double.asked]
        assert cursors == ["initial", "2", "2", "4"]
        assert (sync.sentence, sync.failures) == ("", 0)

    def test_time_is_up_after_a_while_and_the_next_task_goes_on(self, step, monkeypatch):
        double, sync = step("sparkpost")
        for n in range(6):
            double.put("list", f"a{n}@example.net", "Bounce Rule")
        clock = iter(range(0, 10_000, 20))
        give_its_clock(monkeypatch, clock)
        assert run(sync.pk)
        assert Suppression.objects.count() == 2

    def test_many_removals_hold_up_neither_the_walk_nor_the_lease(
        self, step, operator, monkeypatch
    ):
        double, sync = step("sparkpost")
        for n in range(3):
            entry = suppress(address=f"a{n}@example.net", stream=None, reason="hard_bounce")
            unsuppress(suppression=entry, reason="A mistake.", actor=operator)
        double.put("list", "new@example.net", "Bounce Rule", when=datetime.now(UTC))
        with monkeypatch.context() as patched:
            clock = iter(range(0, 10_000, 20))
            give_its_clock(patched, clock)
            assert run(sync.pk)
        sync.refresh_from_db()
        assert sync.went == 1
        assert Suppression.objects.get().address == "new@example.net"
        assert walk(sync).went == 3

    def test_a_list_that_comes_all_at_once_goes_on_behind_what_came_in(self, step, monkeypatch):
        double, sync = step("postmark")
        for n in range(5):
            double.put("outbound", f"a{n}@example.net", "HardBounce")
        monkeypatch.setattr(keeping_in_step, "CHUNK", 2)
        clock = iter(range(0, 10_000, 20))
        give_its_clock(monkeypatch, clock)
        came = []
        is_more = True
        while is_more:
            double.asked.clear()
            is_more = run(sync.pk)
            sync.refresh_from_db()
            came.append((Suppression.objects.count(), sync.came, sync.cursor, len(double.asked)))
        assert came == [(2, 2, "a1@example.net", 1), (4, 4, "a3@example.net", 1), (5, 5, "", 1)]
        assert sync.in_step_at

    def test_a_list_that_comes_all_at_once_may_be_long_but_not_endless(self, step, monkeypatch):
        double, sync = step("postmark")
        double.put("outbound", "ann@example.net", "HardBounce")
        real = double.postmark

        def long(*asked):
            status, answer = real(*asked)
            return status, answer | {"Padding": "x" * 1_500_000}

        double.postmark = long
        monkeypatch.setattr(provider_lists, "WHOLE_OCTETS", 1_200_000)
        assert "answers with more than 1 MB at once" in walk(sync).sentence
        assert not Suppression.objects.exists()
        monkeypatch.setattr(provider_lists, "WHOLE_OCTETS", 2_000_000)
        assert walk(sync).sentence == ""
        assert Suppression.objects.exists()

    @pytest.mark.parametrize(
        ("kind", "name"), [("sendgrid", "suppression/bounces"), ("brevo", "list")]
    )
    def test_what_is_taken_off_during_a_walk_hides_nobody(
        self, kind, name, step, operator, monkeypatch
    ):
        double, sync = step(kind)
        for n in range(8):
            double.put(name, f"a{n}@example.net", WORDS[kind][name][0])
        with monkeypatch.context() as patched:
            clock = iter(range(0, 10_000, 20))
            give_its_clock(patched, clock)
            assert run(sync.pk)
        for n in range(2):
            entry = Suppression.objects.get(address=f"a{n}@example.net")
            unsuppress(suppression=entry, reason="They are back.", actor=operator)
        assert walk(sync).went == 2
        kept = {f"a{n}@example.net" for n in range(2, 8)}
        assert set(Suppression.objects.values_list("address", flat=True)) == kept

    @pytest.mark.parametrize(
        ("kind", "name", "page"),
        [("sendgrid", "suppression/bounces", "PAGE"), ("brevo", "list", "_BREVO_PAGE")],
    )
    def test_what_the_provider_itself_removes_during_a_walk_hides_nobody(
        self, kind, name, page, step, monkeypatch
    ):
        double, sync = step(kind)
        monkeypatch.setattr(provider_lists, page, 20)
        for n in range(50):
            double.put(name, f"a{n:02}@example.net", WORDS[kind][name][0])
        real = getattr(double, kind)

        def removing(*asked):
            status, answer = real(*asked)
            for address in sorted(double.entries[name])[:2]:
                del double.entries[name][address]
            return status, answer

        setattr(double, kind, removing)
        assert walk(sync).sentence == ""
        assert Suppression.objects.count() == 50

    def test_later_walks_ask_for_what_is_new(self, step):
        double, sync = step("sendgrid")
        since = walk(sync).since
        double.asked.clear()
        walk(sync)
        begun = {query.get("start_time") for _, _, query, _ in double.asked}
        assert begun == {str(int((since - timedelta(days=1)).timestamp()))}

    def test_times_of_a_clock_that_was_ahead_keep_nothing_from_coming(self, step):
        double, sync = step("sendgrid")
        walk(sync)
        double.asked.clear()
        then = timezone.now() + timedelta(days=3)
        ProviderSync.objects.update(due_at=then, running_until=then, since=then)
        assert not run(sync.pk)
        assert {query.get("start_time") for _, _, query, _ in double.asked} == {None}
        sync.refresh_from_db()
        assert sync.since < timezone.now()

    def test_a_busy_provider_is_left_alone_as_long_as_it_asks(self, step):
        double, sync = step("postmark")
        double.fail = [(429, {}, {"Retry-After": "1800"})]
        walk(sync)
        assert sync.due_at > timezone.now() + timedelta(minutes=29)
        assert not run(sync.pk)

    def test_a_wait_of_thousands_of_digits_is_none(self, step):
        double, sync = step("postmark")
        double.fail = [(429, {}, {"Retry-After": "1" * 5000})]
        assert "asked again" in walk(sync).sentence
        assert sync.due_at < timezone.now() + timedelta(minutes=30)

    def test_a_host_that_is_away_is_said_so(self, step, settings):
        double, sync = step("postmark")
        transport = sync.transport
        transport.options = {"endpoint_url": double.url.replace(str(double.port), "1")}
        transport.save()
        settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", 1)}
        credential = transport.active_credential
        credential.set_secret(Secret(KEY))  # it was bound to the address that changed
        assert "connection was refused" in walk(sync).sentence

    def test_two_processes_never_walk_one_list_at_once(self, step):
        _, sync = step("postmark")
        ProviderSync.objects.update(running_until=timezone.now() + timedelta(minutes=1))
        continue_sync(sync.pk)
        sync.refresh_from_db()
        assert sync.in_step_at is None

    @pytest.mark.django_db(transaction=True)
    def test_who_waits_while_another_takes_it_leaves_it_to_that_one(self, step, meanwhile):
        double, sync = step("postmark")
        with transaction.atomic():
            ProviderSync.objects.select_for_update().get()
            second = meanwhile(run, sync_id=sync.pk)
            ProviderSync.objects.update(running_until=ClockTimestamp() + SYNC_LEASE)
        assert not second.result()
        assert not double.asked

    def test_who_was_slower_than_its_lease_changes_nothing_of_the_other_s_walk(
        self, step, while_asked
    ):
        double, sync = step("sendgrid")
        for n in range(3):
            double.put("suppression/bounces", f"a{n}@example.net", "550 unknown")
        row = ProviderSync.objects.filter(pk=sync.pk)
        theirs = iter([{"running_until": timezone.now() + timedelta(minutes=1)}])
        while_asked(lambda: [row.update(**lease) for lease in theirs])
        assert not run(sync.pk)
        sync.refresh_from_db()
        assert sync.running_until > timezone.now()
        assert (sync.list_number, sync.cursor, sync.came, len(double.asked)) == (0, "", 0, 1)
        row.update(running_until=None)
        assert walk(sync).came == 3

    def test_who_is_slow_but_alive_keeps_its_lease(self, step, while_asked, operator):
        double, sync = step("mailgun")
        double.put("bounces", "bob@example.net", "550 5.1.1 No such user")
        entry = suppress(address="ann@example.net", stream=None, reason="hard_bounce")
        unsuppress(suppression=entry, reason="A mistake.", actor=operator)
        leases = []
        while_asked(lambda: leases.append(ProviderSync.objects.get().running_until))
        walk(sync)
        assert len(leases) == len(double.asked) > 5
        assert leases == sorted(set(leases))

    def test_one_that_is_ended_meanwhile_ends_at_once(self, step, while_asked):
        double, sync = step("sendgrid")
        while_asked(lambda: ProviderSync.objects.all().delete())
        assert not run(sync.pk)
        assert len(double.asked) == 1

    def test_nothing_weaker_and_nothing_known_is_touched(self, step, operator):
        double, sync = step("postmark")
        left = suppress(address="bob@example.net", stream=None, reason="unsubscribe")
        suppress(address="ann@example.net", stream=None, reason="soft_bounces")
        double.put("outbound", "bob@example.net", "HardBounce")
        double.put("outbound", "ann@example.net", "HardBounce")
        double.put("outbound", "not an address", "HardBounce")
        assert walk(sync).came == 0
        left.refresh_from_db()
        assert left.reason == "unsubscribe"
        assert Suppression.objects.get(address="ann@example.net").reason == "hard_bounce"

    def test_a_weaker_word_on_what_an_import_alone_says_is_noted(self, step):
        double, sync = step("postmark")
        entry = make_suppression(
            address="bob@example.net", reason="imported", brought_by=make_suppression_import()
        )
        double.put("outbound", "bob@example.net", "HardBounce")
        walk(sync)
        entry.refresh_from_db()
        assert (entry.reason, entry.confirmed_as) == ("imported", "hard_bounce")

    def test_a_removal_in_one_stream_tells_nobody_while_another_entry_stands(self, step, operator):
        _, sync = step("postmark")
        entry = suppress(address="bob@example.net", stream=make_stream(), reason="manual")
        suppress(address="bob@example.net", stream=None, reason="manual")
        unsuppress(suppression=entry, reason="Only this stream.", actor=operator)
        assert not sync.removals.exists()

    def test_a_removal_in_all_streams_is_told_though_one_stream_s_own_entry_stands(
        self, step, operator
    ):
        double, sync = step("mailgun")
        double.put("bounces", "bob@example.net", "550 5.1.1 No such user")
        walk(sync)
        suppress(address="bob@example.net", stream=make_stream(), reason="unsubscribe")
        entry = Suppression.objects.get(address="bob@example.net", stream=None)
        unsuppress(suppression=entry, reason="He is back.", actor=operator)
        walk(sync)
        assert not Suppression.objects.filter(address="bob@example.net", stream=None).exists()
        assert sync.removals.get().done_at

    def test_the_key_is_said_to_the_provider_alone_and_as_it_wants_it(self, step):
        for kind, header in (("mailgun", "Authorization"), ("brevo", "api-key"), ("amazon_ses", "Authorization")):  # fmt: skip
            double, sync = step(kind)
            walk(sync)
            said = double.asked[0][3][header]
            assert (KEY in said) is (kind == "brevo")
        assert said.startswith("AWS4-HMAC-SHA256 Credential=user/")


class TestPages:
    def test_an_admin_switches_it_on_and_off(self, admin, operator, logged_in):
        transport = make_transport(kind="postmark")
        at = f"/suppressions/providers/{transport.pk}/"
        assert logged_in(operator).post(f"{at}begin/").status_code == 403
        client = logged_in(admin)
        assert "Keep it in step" in client.get(at).content.decode()
        client.post(f"{at}begin/")
        page = client.get(at).content.decode()
        assert "first walk" in page
        assert "Ask now" in page
        client.post(f"{at}end/")
        assert not ProviderSync.objects.exists()
        verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))
        assert verbs == ["suppression.sync_begin", "suppression.sync_end"]

    @pytest.mark.django_db(transaction=True)
    def test_its_end_by_two_presses_at_once_is_told_of_once(self, admin, meanwhile):
        begin(transport=make_transport(kind="postmark"), actor=admin)
        first, second = ProviderSync.objects.get(), ProviderSync.objects.get()
        with transaction.atomic():
            end(sync=first, actor=admin)
            pressed = meanwhile(end, sync=second, actor=admin)
        assert pressed.result() is None
        assert AuditEntry.objects.filter(verb="suppression.sync_end").count() == 1

    def test_what_is_wrong_is_shown_with_its_fix_and_asked_again(self, oncall, viewer, logged_in):
        transport = make_transport(kind="sendgrid")
        sync = begin(transport=transport, actor=None)
        ProviderSync.objects.update(
            sentence="The key may not.", detail="HTTP 403", due_at=timezone.now() + timedelta(hours=1)
        )  # fmt: skip
        at = f"/suppressions/providers/{transport.pk}/"
        seen = logged_in(viewer).get(at).content.decode()
        assert "The key may not." in seen
        assert "Ask now" not in seen
        assert "Behind" in logged_in(viewer).get("/suppressions/providers/").content.decode()
        assert logged_in(viewer).post(f"{at}now/").status_code == 403
        logged_in(oncall).post(f"{at}now/")
        sync.refresh_from_db()
        assert sync.due_at <= timezone.now()

    def test_who_has_no_list_says_why(self, admin, logged_in, client):
        transport = make_transport(kind="resend")
        at = f"/suppressions/providers/{transport.pk}/"
        assert client.get(at).status_code == 302
        client = logged_in(admin)
        assert "Resend has no API" in client.get(at).content.decode()
        assert "Resend has no API" in client.get("/suppressions/providers/").content.decode()
        assert client.post(f"{at}begin/").status_code == 404
        smtp = make_transport()
        assert client.get(f"/suppressions/providers/{smtp.pk}/").status_code == 404

    def test_the_panel_is_a_fragment_on_the_transports_page(self, viewer, logged_in):
        transport = make_transport(kind="postmark")
        client = logged_in(viewer)
        at = f"/suppressions/providers/{transport.pk}/"
        assert at in client.get(f"/transports/{transport.pk}/").content.decode()
        part = client.get(at, headers={"HX-Request": "true"}).content.decode()
        assert part.strip().startswith('<div id="provider-list"')

    def test_the_number_of_queries_is_fixed(self, viewer, logged_in, django_assert_max_num_queries):
        for kind in ("postmark", "sendgrid", "resend"):
            transport = make_transport(kind=kind)
            begin(transport=transport, actor=None)
        client = logged_in(viewer)
        for url in ("/suppressions/providers/", f"/suppressions/providers/{transport.pk}/"):
            with django_assert_max_num_queries(6):
                client.get(url)
