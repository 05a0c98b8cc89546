import pytest
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.domains import deleting
from mailops.domains.checking import check_domain
from mailops.domains.forms import OwnerForm
from mailops.domains.models import Domain, Identity
from mailops.lib.locks import lock_row
from tests.factories import (
    make_campaign,
    make_domain,
    make_identity,
    make_message,
    make_stream,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(good):
    return make_domain(name="acme.example")


class TestDomainList:
    def test_shows_the_broken_first_with_the_streams_that_use_them(self, logged_in, viewer):
        make_domain(name="a.example", status="ok")
        broken = make_domain(name="z.example", status="error")
        make_stream(name="Letters", domain=broken)
        page = logged_in(viewer).get("/domains/").content.decode()
        assert page.index("z.example") < page.index("a.example")
        assert "Letters" in page
        assert "Add a domain" not in page

    def test_filters_and_gives_htmx_the_fragment_only(self, logged_in, viewer):
        make_domain(name="a.example")
        make_domain(name="b.example")
        page = logged_in(viewer).get("/domains/", {"q": "b.ex"}, headers={"HX-Request": "true"})
        assert "b.example" in page.content.decode()
        assert "a.example" not in page.content.decode()
        assert "<html" not in page.content.decode()

    def test_a_status_that_is_none_is_422(self, logged_in, viewer):
        assert logged_in(viewer).get("/domains/", {"status": "x"}).status_code == 422

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(20):
            make_stream()
        client = logged_in(viewer)
        with django_assert_max_num_queries(8):
            client.get("/domains/")

    def test_an_empty_list_holds_the_first_action(self, logged_in, admin, viewer):
        assert "Add a domain" in logged_in(admin).get("/domains/").content.decode()
        assert "An admin adds" in logged_in(viewer).get("/domains/").content.decode()

    def test_exports_csv(self, logged_in, viewer):
        make_domain(name="a.example", status="ok")
        body = logged_in(viewer).get("/domains/export/").getvalue().decode()
        assert "a.example,ok" in body


class TestDomainAdd:
    def test_adds_and_checks_at_once(self, logged_in, admin, good):
        response = logged_in(admin).post("/domains/add/", {"name": " ACME.example. "}, follow=True)
        domain = Domain.objects.get()
        assert domain.name == "acme.example"
        assert domain.was_checked
        assert "Records to publish" in response.content.decode()
        assert AuditEntry.objects.get().verb == "domain.add"

    @pytest.mark.parametrize(
        "pasted",
        [
            "https://mail.acme.example/",
            "HTTP://mail.acme.example/a?b=c#d",
            "mail.acme.example.",
            "mail.acme.example/about",
        ],
    )
    def test_takes_the_host_of_a_pasted_address(self, logged_in, admin, dns, pasted):
        logged_in(admin).post("/domains/add/", {"name": pasted})
        assert Domain.objects.get().name == "mail.acme.example"

    def test_an_international_name_is_kept_as_a_labels(self, logged_in, admin, dns):
        logged_in(admin).post("/domains/add/", {"name": "bücher.example"})
        assert Domain.objects.get().name == "xn--bcher-kva.example"

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "nodots",
            "a b.example",
            "https://",
            "x" * 300,
            "-a.example",
            "a\x00b.example",
        ],
    )
    def test_refuses_what_is_no_domain_and_keeps_it(self, logged_in, admin, name):
        response = logged_in(admin).post("/domains/add/", {"name": name})
        assert response.status_code == 422
        assert not Domain.objects.exists()

    def test_refuses_one_that_is_there(self, logged_in, admin):
        make_domain(name="acme.example")
        response = logged_in(admin).post("/domains/add/", {"name": "Acme.Example"})
        assert response.status_code == 422
        assert "already here" in response.content.decode()

    def test_a_silent_resolver_does_not_stop_it(self, logged_in, admin, dns, monkeypatch):
        dns.is_failing = True
        response = logged_in(admin).post("/domains/add/", {"name": "acme.example"}, follow=True)
        assert "Not known" in response.content.decode()


class TestDomainDetail:
    def test_shows_what_to_publish_beside_what_dns_shows(self, logged_in, viewer, acme, good):
        good.zones["acme.example"]["TXT"] = ["v=spf1 ip4:192.0.2.1 +all"]
        acme.requirements.create(
            kind="spf_include", value="spf.b.example", needed_by="transport: B"
        )
        good.zones["spf.b.example"] = {"TXT": ["v=spf1 -all"]}
        check_domain(acme)
        page = logged_in(viewer).get(f"/domains/{acme.pk}/").content.decode()
        assert "v=spf1 ip4:192.0.2.1 include:spf.b.example ~all" in page
        assert "<del>+all</del>" in page
        assert "<ins>include:spf.b.example</ins>" in page
        assert "What to do:" in page
        assert f"/domains/{acme.pk}/verify/" not in page

    def test_says_that_a_record_is_not_known_yet_where_nobody_is_known_to_send(self, acme, good):
        good.zones["acme.example"]["TXT"] = []
        check_domain(acme)
        record = acme.records.get(purpose="spf", host="acme.example")
        page = render_to_string("domains/_record.html", {"record": record, "state": record.state})
        assert "since mailops doesn't know who sends for it" in page
        assert "only its presence is needed" not in page

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, acme, django_assert_max_num_queries
    ):
        for n in range(10):
            acme.requirements.create(kind="dkim_selector", host=f"s{n}", needed_by="x")
        check_domain(acme)
        client = logged_in(viewer)
        with django_assert_max_num_queries(10):
            client.get(f"/domains/{acme.pk}/")

    def test_history(self, logged_in, viewer, acme):
        check_domain(acme)
        page = logged_in(viewer).get(f"/domains/{acme.pk}/history/").content.decode()
        assert "was seen for the first time" in page


class TestVerify:
    def test_checks_at_once_and_says_so(self, logged_in, oncall, acme):
        response = logged_in(oncall).post(f"/domains/{acme.pk}/verify/", follow=True)
        acme.refresh_from_db()
        assert acme.was_checked
        assert "was checked" in response.content.decode()

    def test_says_that_dns_was_silent(self, logged_in, oncall, acme, good):
        check_domain(acme)
        good.is_failing = True
        response = logged_in(oncall).post(f"/domains/{acme.pk}/verify/", follow=True)
        assert "DNS did not answer" in response.content.decode()

    def test_is_a_post_only(self, logged_in, oncall, acme):
        assert logged_in(oncall).get(f"/domains/{acme.pk}/verify/").status_code == 405


class TestEditAndDelete:
    def test_what_a_check_writes_while_it_is_edited_stays(
        self, logged_in, admin, acme, monkeypatch
    ):
        is_valid, at = OwnerForm.is_valid, timezone.now()

        def stop_and_ask(form):
            Domain.objects.update(bulk_stopped_at=at)
            return is_valid(form)

        monkeypatch.setattr(OwnerForm, "is_valid", stop_and_ask)
        url = reverse("domains:edit", args=[acme.pk])
        assert logged_in(admin).post(url, {"owner": "", "grace_hours": "9"}).status_code == 302
        acme.refresh_from_db()
        assert (acme.grace_hours, acme.bulk_stopped_at) == (9, at)

    def test_replaces_no_grace_that_was_not_seen(self, logged_in, admin, operator, acme):
        client, url = logged_in(admin), reverse("domains:edit", args=[acme.pk])
        seen = {"seen": client.get(url).context["form"]["seen"].value()}
        for _ in range(2):  # the same once more is no conflict
            given = {"owner": "", "grace_hours": 300, **seen}
            assert client.post(url, given).status_code == 302
        late = client.post(url, {"owner": operator.pk, "grace_hours": 72, **seen})
        assert late.status_code == 422
        assert f"Last saved by {admin}, " in late.text
        facts = {"Owner": "Nobody yet", "Hours of grace": "300"}
        assert dict(late.context["meanwhile"].facts) == facts
        acme.refresh_from_db()
        assert (acme.owner, acme.grace_hours) == (None, 300)
        seen = {"seen": late.context["form"]["seen"].value()}
        client.post(url, {"owner": operator.pk, "grace_hours": 300, **seen})
        acme.refresh_from_db()
        assert (acme.owner, acme.grace_hours) == (operator, 300)

    def test_an_owner_is_named(self, logged_in, admin, operator, acme):
        data = {"owner": operator.pk, "grace_hours": 72}
        logged_in(admin).post(f"/domains/{acme.pk}/edit/", data)
        acme.refresh_from_db()
        assert acme.owner == operator
        assert AuditEntry.objects.get().after == {"owner": "Operator"}

    def test_a_domain_in_use_is_not_deleted_and_says_why(self, logged_in, admin, acme):
        make_stream(name="Letters", domain=acme)
        response = logged_in(admin).post(
            f"/domains/{acme.pk}/delete/", {"typed_name": "acme.example"}
        )
        assert response.status_code == 422
        assert "stream Letters" in response.content.decode()

    def test_one_that_came_into_use_meanwhile_stays(self, logged_in, admin, acme, monkeypatch):
        def once_another_was_quicker(row):
            make_identity(domain=row, name="Ada")
            return lock_row(row)

        monkeypatch.setattr(deleting, "lock_row", once_another_was_quicker)
        typed = {"typed_name": "acme.example"}
        response = logged_in(admin).post(f"/domains/{acme.pk}/delete/", typed)
        assert response.status_code == 422
        assert "identity Ada" in response.content.decode()
        assert not AuditEntry.objects.exists()

    def test_deleting_wants_the_name(self, logged_in, admin, acme):
        check_domain(acme)
        client = logged_in(admin)
        assert client.post(f"/domains/{acme.pk}/delete/", {"typed_name": "x"}).status_code == 422
        client.post(f"/domains/{acme.pk}/delete/", {"typed_name": "acme.example"})
        assert not Domain.objects.exists()
        assert AuditEntry.objects.get().verb == "domain.delete"


class TestIdentities:
    def test_one_is_added(self, logged_in, admin, acme):
        data = {"name": "Zoë, of Acme", "local_part": "news", "reply_to": "help@acme.example"}
        response = logged_in(admin).post(f"/domains/{acme.pk}/identities/add/", data, follow=True)
        assert str(Identity.objects.get()) == "Zoë, of Acme <news@acme.example>"
        assert "news@acme.example" in response.content.decode()

    @pytest.mark.parametrize("name", ["Ada\r\nBcc: x@y.example", "Ada\u2028Bcc: x@y.example"])
    def test_a_name_stays_on_its_line(self, logged_in, admin, acme, name):
        data = {"name": name, "local_part": "news", "reply_to": ""}
        logged_in(admin).post(f"/domains/{acme.pk}/identities/add/", data)
        assert acme.identities.get().name == "Ada Bcc: x@y.example"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("local_part", "a b"),
            ("local_part", "a@b"),
            ("local_part", "x" * 65),
            ("local_part", "zoë"),
            ("local_part", '"a"b'),
            ("reply_to", "nobody"),
            ("reply_to", "a@b.example\r\nBcc: c@d.example"),
        ],
    )
    def test_what_would_break_a_header_is_refused(self, logged_in, admin, acme, field, value):
        data = {"name": "Ada", "local_part": "news", "reply_to": "", field: value}
        response = logged_in(admin).post(f"/domains/{acme.pk}/identities/add/", data)
        assert response.status_code == 422
        assert not Identity.objects.exists()

    def test_the_same_one_is_not_added_twice(self, logged_in, admin, acme):
        make_identity(domain=acme, name="Ada", local_part="news")
        data = {"name": "Ada", "local_part": "news", "reply_to": ""}
        response = logged_in(admin).post(f"/domains/{acme.pk}/identities/add/", data)
        assert response.status_code == 422

    @pytest.mark.django_db(transaction=True)
    def test_the_same_one_is_added_once_by_two_presses_at_once(
        self, logged_in, admin, acme, meanwhile
    ):
        data = {"name": "Ada", "local_part": "news", "reply_to": ""}
        address, first, second = (
            f"/domains/{acme.pk}/identities/add/",
            logged_in(admin),
            logged_in(admin),
        )
        with transaction.atomic():
            Domain.objects.select_for_update(no_key=True).get(pk=acme.pk)
            pressed = meanwhile(lambda: second.post(address, data).status_code)
            assert first.post(address, data).status_code == 302
        assert pressed.result() == 422
        assert Identity.objects.count() == 1

    def test_one_is_deleted_unless_it_was_used(self, logged_in, admin, acme):
        free, used = make_identity(domain=acme), make_identity(domain=acme, local_part="used")
        make_campaign(identity=used, stream=make_stream(domain=acme))
        client = logged_in(admin)
        client.post(f"/domains/identities/{free.pk}/delete/")
        response = client.post(f"/domains/identities/{used.pk}/delete/", follow=True)
        assert list(Identity.objects.all()) == [used]
        assert "has been used and stays" in response.content.decode()

    def test_mail_of_one_is_not_loaded_to_say_that_it_was_used(self, logged_in, admin, acme):
        used = make_identity(domain=acme)
        for _ in range(3):
            make_message(identity=used)
        client = logged_in(admin)
        with CaptureQueriesContext(connection) as asked:
            client.post(f"/domains/identities/{used.pk}/delete/")
        assert list(Identity.objects.filter(pk=used.pk)) == [used]
        looks = [one["sql"] for one in asked if 'FROM "outbox_message" ' in one["sql"]]
        assert looks
        assert all("LIMIT 1" in look for look in looks)


class TestRequirements:
    def test_a_selector_is_expected_and_checked_at_once(self, logged_in, admin, acme):
        data = {"kind": "dkim_selector", "value": "S1._domainkey.acme.example", "key": ""}
        response = logged_in(admin).post(f"/domains/{acme.pk}/expect/", data, follow=True)
        assert "DKIM s1" in response.content.decode()
        assert acme.findings.get(check_name="dkim:s1").status == "ok"

    @pytest.mark.parametrize(
        "typed",
        [
            {"kind": "dkim_selector", "value": "s 1"},
            {"kind": "dkim_selector", "value": "s1", "key": "nonsense"},
            {"kind": "spf_include", "value": "not a domain"},
            {"kind": "spf_address", "value": "300.1.1.1"},
            {"kind": "spf_address", "value": "acme.example"},
            {"kind": "dmarc", "value": "maybe"},
            {"kind": "return_path", "value": "x"},
            {"kind": "dmarc", "value": ""},
        ],
    )
    def test_nonsense_is_refused(self, logged_in, admin, acme, typed):
        response = logged_in(admin).post(f"/domains/{acme.pk}/expect/", typed)
        assert response.status_code == 422
        assert not acme.requirements.exists()

    def test_a_persons_is_taken_back_and_a_transports_is_not(self, logged_in, admin, acme):
        ours = acme.requirements.create(kind="dmarc", value="reject", needed_by="person: Ada")
        theirs = acme.requirements.create(kind="dmarc", value="none", needed_by="transport: T")
        client = logged_in(admin)
        client.post(f"/domains/expected/{ours.pk}/delete/")
        assert client.post(f"/domains/expected/{theirs.pk}/delete/").status_code == 404
        assert list(acme.requirements.all()) == [theirs]


class TestWhoMay:
    @pytest.mark.parametrize(
        "page", ["", "add/", "{}/", "{}/history/", "export/", "{}/edit/", "{}/delete/"]
    )
    def test_the_anonymous_are_sent_to_log_in(self, client, acme, page):
        response = client.get("/domains/" + page.format(acme.pk))
        assert response.status_code == 302
        assert "login" in response["Location"]

    @pytest.mark.parametrize(
        "page", ["add/", "{}/edit/", "{}/delete/", "{}/identities/add/", "{}/expect/"]
    )
    def test_only_an_admin_configures(self, logged_in, operator, acme, page):
        assert logged_in(operator).get("/domains/" + page.format(acme.pk)).status_code == 403

    def test_a_viewer_verifies_nothing_and_a_stranger_sees_nothing(
        self, logged_in, viewer, stranger, acme
    ):
        assert logged_in(viewer).post(f"/domains/{acme.pk}/verify/").status_code == 403
        assert logged_in(stranger).get("/domains/").status_code == 403
