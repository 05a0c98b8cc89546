from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import strip_tags

from mailops.accounts.models import AuditEntry
from mailops.audiences.curating import count_attributes, remove_member
from mailops.audiences.forms import AudienceForm
from mailops.audiences.importing import import_chunk
from mailops.audiences.models import Audience, Contact, Import, Membership
from mailops.audiences.uploading import MAX_COLUMNS
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress
from tests.audiences.uploads import import_all, start, upload
from tests.factories import make_audience, make_campaign, make_stream

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
READING = {"encoding": "utf-8", "delimiter": ",", "header": "yes"}


def csv_file(content, name="people.csv"):
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def wide(columns):
    """Return a file of that many columns, the first of addresses."""
    return ",".join(["email", *(f"c{n}" for n in range(1, columns))]) + "\na@example.com\n"


@pytest.fixture
def audience(operator):
    audience = make_audience(name="Readers")
    import_all(
        "email,city\nann@example.com,Rome\nbob@example.net,Bern\nbroken,Oslo\n",
        actor=operator,
        audience=audience,
        city=1,
    )
    return audience


@pytest.fixture
def mapped(operator):
    return upload("email,First Name\na@example.com,Ada\n", actor=operator)


def pages(audience, run):
    contact = Contact.objects.first()
    membership = Membership.objects.first()
    see = [
        reverse("audiences:list"),
        reverse("audiences:detail", args=[audience.pk]),
        reverse("audiences:export", args=[audience.pk]),
        reverse("audiences:imports", args=[audience.pk]),
        reverse("audiences:contact", args=[contact.pk]),
        reverse("audiences:import-detail", args=[run.pk]),
        reverse("audiences:import-remarks", args=[run.pk]) + "?outcome=rejected",
    ]
    send = [
        reverse("audiences:add"),
        reverse("audiences:edit", args=[audience.pk]),
        reverse("audiences:delete", args=[audience.pk]),
        reverse("audiences:import", args=[audience.pk]),
        reverse("audiences:import-map", args=[run.pk]),
        reverse("audiences:member-add", args=[audience.pk]),
        reverse("audiences:member-remove", args=[membership.pk]),
        reverse("audiences:contact-edit", args=[contact.pk]),
    ]
    return see, send


class TestWhoMay:
    def test_everyone_with_a_role_sees(self, audience, mapped, viewer, logged_in):
        see, _ = pages(audience, mapped)
        for url in see:
            assert logged_in(viewer).get(url).status_code == 200, url

    def test_only_who_may_send_changes(self, audience, mapped, operator, oncall, logged_in):
        _, send = pages(audience, mapped)
        for url in send:
            assert logged_in(operator).get(url).status_code == 200, url
            assert logged_in(oncall).get(url).status_code == 403, url
            assert logged_in(oncall).post(url).status_code == 403, url

    def test_the_anonymous_are_sent_to_log_in(self, audience, mapped, client):
        see, send = pages(audience, mapped)
        for url in see + send:
            response = client.get(url)
            assert response.status_code == 302, url
            assert "/accounts/login/" in response["Location"]

    def test_who_may_not_sees_no_buttons(self, audience, viewer, logged_in):
        text = logged_in(viewer).get(reverse("audiences:detail", args=[audience.pk])).text
        for word in ("Import CSV", "Delete", "Remove", "Add a person"):
            assert word not in text


class TestList:
    def test_shows_members_and_the_last_import(
        self, audience, viewer, logged_in, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_audience("x@example.com")
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            text = client.get(reverse("audiences:list")).text
        assert "Readers" in text
        assert "Completed" in text

    def test_counts_the_members_of_each(self, audience, viewer, logged_in):
        make_audience()
        shown = logged_in(viewer).get(reverse("audiences:list")).context["audiences"]
        assert sorted(one.members for one in shown) == [0, 2]

    def test_an_empty_page_holds_the_first_action(self, operator, logged_in):
        assert "Add an audience" in logged_in(operator).get(reverse("audiences:list")).text


class TestAudience:
    def test_add_leads_to_the_import(self, operator, logged_in):
        response = logged_in(operator).post(reverse("audiences:add"), {"name": "New ones"})
        audience = Audience.objects.get()
        assert response["Location"] == reverse("audiences:import", args=[audience.pk])
        assert AuditEntry.objects.get().verb == "audience.add"

    def test_a_name_that_is_taken_is_422(self, audience, operator, logged_in):
        response = logged_in(operator).post(reverse("audiences:add"), {"name": "Readers"})
        assert response.status_code == 422
        assert "already exists" in response.text

    def test_a_name_that_somebody_takes_meanwhile_is_422(
        self, audience, operator, logged_in, monkeypatch
    ):
        monkeypatch.setattr(AudienceForm, "validate_unique", lambda form: None)  # asked too early
        other = make_audience(name="Writers")
        for url in (reverse("audiences:add"), reverse("audiences:edit", args=[other.pk])):
            typed = {"name": "Readers", "description": "kept"}
            response = logged_in(operator).post(url, typed)
            assert response.status_code == 422
            assert "“Readers” is the name of another audience by now." in response.text
            assert "kept" in response.text
        other.refresh_from_db()
        assert other.name == "Writers"

    def test_edit_replaces_nothing_that_was_not_seen(self, audience, operator, logged_in):
        url, client = reverse("audiences:edit", args=[audience.pk]), logged_in(operator)
        seen = client.get(url).context["form"]["seen"].value()
        client.post(url, {"name": "Readers", "description": "of a colleague", "seen": seen})
        typed = {"name": "Old readers", "description": "mine", "seen": seen}
        late = client.post(url, typed)
        assert late.status_code == 422
        assert "of a colleague" in late.text
        assert "mine" in late.text
        audience.refresh_from_db()
        assert (audience.name, audience.description) == ("Readers", "of a colleague")
        client.post(url, {**typed, "seen": late.context["form"]["seen"].value()})
        audience.refresh_from_db()
        assert (audience.name, audience.description) == ("Old readers", "mine")

    def test_edit_keeps_what_was_typed_wrong(self, audience, operator, logged_in):
        url = reverse("audiences:edit", args=[audience.pk])
        response = logged_in(operator).post(url, {"name": "", "description": "kept"})
        assert response.status_code == 422
        assert "kept" in response.text
        logged_in(operator).post(url, {"name": "Old readers", "description": "kept"})
        audience.refresh_from_db()
        assert audience.name == "Old readers"
        entry = AuditEntry.objects.get(verb="audience.change")
        assert (entry.before["name"], entry.after["name"]) == ("Readers", "Old readers")

    def test_search_finds_parts_of_addresses(self, audience, viewer, logged_in):
        url = reverse("audiences:detail", args=[audience.pk])
        text = logged_in(viewer).get(url, {"search": "@Example.NET"}, headers=HTMX).text
        assert "bob@example.net" in text
        assert "ann@example.com" not in text
        assert "<html" not in text

    @pytest.mark.parametrize("search", ["bob@münchen.de", "B@MÜNCHEN", "münchen.de", "@xn--mnchen"])
    def test_search_finds_an_international_address_as_it_is_shown(self, search, viewer, logged_in):
        audience = make_audience("ann@example.com")
        bob = Contact.objects.create(address="bob@münchen.de", address_key="bob@xn--mnchen-3ya.de")
        Membership.objects.create(audience=audience, contact=bob)
        url = reverse("audiences:detail", args=[audience.pk])
        text = logged_in(viewer).get(url, {"search": search}, headers=HTMX).text
        assert "bob@münchen.de" in text
        assert "ann@example.com" not in text

    @pytest.mark.parametrize("query", [{"after": "x"}, {"after": "-1"}, {"after": "9" * 40}])
    def test_a_nonsense_place_is_422(self, audience, viewer, logged_in, query):
        url = reverse("audiences:detail", args=[audience.pk])
        assert logged_in(viewer).get(url, query).status_code == 422

    def test_a_hundred_members_are_two_pages_with_a_fixed_number_of_queries(
        self, viewer, logged_in, django_assert_max_num_queries
    ):
        audience = make_audience(*(f"p{n}@example.com" for n in range(100)))
        url = reverse("audiences:detail", args=[audience.pk])
        client = logged_in(viewer)
        with django_assert_max_num_queries(8):
            first = client.get(url)
        last = first.context["last"]
        second = client.get(url, {"after": last})
        assert len(first.context["members"]) == len(second.context["members"]) == 50
        assert second.context["last"] is None

    def test_a_suppressed_member_wears_its_pill(self, audience, viewer, logged_in):
        Suppression.objects.create(
            address="ann@example.com", address_key="ann@example.com", reason="complaint"
        )
        text = logged_in(viewer).get(reverse("audiences:detail", args=[audience.pk])).text
        assert "Complaint" in text

    def test_a_member_who_left_one_stream_is_said_to_have_left_that(
        self, audience, viewer, logged_in
    ):
        stream, key = make_stream(name="Letters"), "ann@example.com"
        url = reverse("audiences:detail", args=[audience.pk])
        suppress(address=key, stream=stream, reason="unsubscribe")
        alone = " ".join(strip_tags(logged_in(viewer).get(url).text).split())
        assert f"{key} Unsubscribed in Letters" in alone
        suppress(address=key, stream=None, reason="hard_bounce")
        both = " ".join(strip_tags(logged_in(viewer).get(url).text).split())
        assert f"{key} Hard bounce Unsubscribed in Letters" in both

    def test_export_holds_every_member_with_the_attributes_they_have(
        self, audience, viewer, logged_in
    ):
        response = logged_in(viewer).get(reverse("audiences:export", args=[audience.pk]))
        lines = response.getvalue().decode("utf-8-sig").splitlines()
        assert lines[0] == "address,city,time_zone,consent,added_at"
        assert lines[1].startswith("ann@example.com,Rome,")
        assert len(lines) == 3

    def test_export_tells_what_was_imported_elsewhere(self, audience, operator, viewer, logged_in):
        import_all("email,plan\nbob@example.net,gold\n", actor=operator, plan=1)
        response = logged_in(viewer).get(reverse("audiences:export", args=[audience.pk]))
        header, ann, bob = response.getvalue().decode("utf-8-sig").splitlines()
        assert header.startswith("address,city,plan,")
        assert ann.startswith("ann@example.com,Rome,,")
        assert bob.startswith("bob@example.net,Bern,gold,")

    def test_export_holds_whom_the_page_shows(self, audience, viewer, logged_in):
        url = reverse("audiences:export", args=[audience.pk])
        lines = logged_in(viewer).get(url, {"search": "@Example.NET"}).getvalue().splitlines()
        assert len(lines) == 2

    def test_export_by_a_filter_that_is_none_holds_nobody(self, audience, viewer, logged_in):
        for name in ("detail", "export"):
            url = reverse(f"audiences:{name}", args=[audience.pk])
            response = logged_in(viewer).get(url, {"search": "x" * 321})
            assert response.status_code == 422
            assert "ann@example.com" not in response.text

    def test_delete_wants_the_name_and_says_what_it_touches(self, audience, operator, logged_in):
        url = reverse("audiences:delete", args=[audience.pk])
        client = logged_in(operator)
        assert "2 memberships" in client.get(url).text
        assert client.post(url, {"typed_name": "readers"}).status_code == 422
        assert client.post(url, {"typed_name": "Readers"}).status_code == 302
        assert not Audience.objects.exists()
        assert Contact.objects.count() == 2

    def test_an_audience_of_a_campaign_is_not_deleted(self, audience, operator, logged_in):
        make_campaign(audience=audience, name="Spring")
        url = reverse("audiences:delete", args=[audience.pk])
        client = logged_in(operator)
        page = client.get(url).text
        assert "campaigns have it: Spring. Delete those that are drafts" in unescape(page)
        assert "typed_name" not in page
        response = client.post(url, {"typed_name": "Readers"}, follow=True)
        assert "campaigns have it: Spring. Delete those that are drafts" in unescape(response.text)
        assert Audience.objects.exists()
        assert not AuditEntry.objects.filter(verb="audience.delete").exists()

    def test_shows_what_is_known_of_most_first_and_folds_the_rest(
        self, operator, viewer, logged_in
    ):
        names = [f"a{number}" for number in range(20)]
        run = import_all(
            f"email,city,{','.join(names)}\na@x.example,Rome,{'v,' * 19}v\nb@x.example,Oslo\n",
            actor=operator,
            city=1,
            **{name: at for at, name in enumerate(names, 2)},
        )
        count_attributes(audience_id=run.audience_id)
        shown = logged_in(viewer).get(reverse("audiences:detail", args=[run.audience_id])).context
        assert shown["attributes"][0][0] == "city"
        assert [name for name, _ in shown["attributes"] + shown["more_attributes"]] == [
            "city",
            *sorted(names),
        ]
        assert len(shown["more_attributes"]) == 9

    def test_a_share_is_of_those_among_whom_it_was_counted(
        self, audience, operator, viewer, logged_in
    ):
        count_attributes(audience_id=audience.pk)
        remove_member(membership=audience.memberships.first(), actor=operator)
        page = logged_in(viewer).get(reverse("audiences:detail", args=[audience.pk]))
        assert "100\xa0%" in page.text
        assert "200\xa0%" not in page.text

    def test_leads_to_all_imports(self, audience, operator, viewer, logged_in):
        for number in range(6):
            upload(f"email\nb{number}@x.example\n", actor=operator, audience=audience)
        client, all_of_them = logged_in(viewer), reverse("audiences:imports", args=[audience.pk])
        first = reverse("audiences:import-detail", args=[audience.imports.earliest("pk").pk])
        page = client.get(reverse("audiences:detail", args=[audience.pk])).text
        assert all_of_them in page
        assert first not in page
        assert first in client.get(all_of_them).text


class TestMembers:
    def test_adding_one_who_is_there_says_so(self, audience, operator, logged_in):
        url = reverse("audiences:member-add", args=[audience.pk])
        response = logged_in(operator).post(
            url, {"address": "ANN@example.com", "consent": "phone"}, follow=True
        )
        assert "consent stays as it was, untold, and “phone” was not kept" in response.text
        Membership.objects.update(consent="phone")
        again = logged_in(operator).post(
            url, {"address": "ANN@example.com", "consent": "phone"}, follow=True
        )
        assert "already, with the same consent." in again.text
        assert audience.memberships.count() == 2

    def test_adding_leaves_out_what_nobody_sees(self, audience, operator, logged_in):
        url = reverse("audiences:member-add", args=[audience.pk])
        logged_in(operator).post(
            url, {"address": "\u200bnew@example.com\ufeff", "consent": "phone"}
        )
        assert Contact.objects.get(address_key="new@example.com").address == "new@example.com"

    def test_adding_takes_attributes(self, audience, operator, logged_in):
        url = reverse("audiences:member-add", args=[audience.pk])
        form = {
            "address": "new@example.com",
            "consent": "phone",
            "attributes": "city: Graz\nnote: a\\nb",
        }
        logged_in(operator).post(url, form)
        contact = Contact.objects.get(address="new@example.com")
        assert contact.attributes == {"city": "Graz", "note": "a\nb"}
        revision = audience.revision
        audience.refresh_from_db()
        assert audience.revision > revision

    @pytest.mark.parametrize(
        "form",
        [
            {"address": "nobody", "consent": "x"},
            {"address": "a@example.com", "consent": ""},
            {"address": "a@example.com", "consent": "x", "attributes": "no colon"},
            {"address": "a@example.com", "consent": "x", "attributes": "for: x"},
        ],
    )
    def test_nonsense_is_422(self, audience, operator, logged_in, form):
        url = reverse("audiences:member-add", args=[audience.pk])
        assert logged_in(operator).post(url, form).status_code == 422

    def test_removing_keeps_the_contact(self, audience, operator, logged_in):
        membership = audience.memberships.first()
        url = reverse("audiences:member-remove", args=[membership.pk])
        response = logged_in(operator).post(url)
        assert response["Location"] == reverse("audiences:detail", args=[audience.pk])
        assert audience.memberships.count() == 1
        assert Contact.objects.count() == 2
        assert logged_in(operator).post(url).status_code == 404

    def test_a_time_zone_is_chosen_shown_and_audited(self, audience, operator, logged_in):
        contact, client = Contact.objects.get(address="ann@example.com"), logged_in(operator)
        page = reverse("audiences:contact", args=[contact.pk])
        assert "not known: a campaign" in client.get(page).text
        url = reverse("audiences:contact-edit", args=[contact.pk])
        revision = audience.revision
        form = {"attributes": "city: Rome", "time_zone": "Europe/Rome"}
        client.post(url, {**form, "revision": contact.revision})
        assert "Europe/Rome" in client.get(page).text
        assert 'value="Europe/Rome" selected' in client.get(url).text
        entry = AuditEntry.objects.get(verb="contact.change")
        assert entry.after == {"city": "Rome", "time zone": "Europe/Rome"}
        audience.refresh_from_db()
        assert audience.revision > revision

    def test_a_time_zone_that_is_none_is_422_and_keeps_the_rest(
        self, audience, operator, logged_in
    ):
        contact = Contact.objects.get(address="ann@example.com")
        url = reverse("audiences:contact-edit", args=[contact.pk])
        form = {"attributes": "city: Pisa", "time_zone": "+02:00"}
        response = logged_in(operator).post(url, form)
        assert response.status_code == 422
        assert "city: Pisa" in response.text

    def test_adding_one_who_is_known_adds_the_time_zone(self, audience, operator, logged_in):
        url = reverse("audiences:member-add", args=[audience.pk])
        form = {"address": "ann@example.com", "consent": "phone"}
        logged_in(operator).post(url, {**form, "time_zone": "Asia/Tokyo"})
        logged_in(operator).post(url, form)
        contact = Contact.objects.get(address="ann@example.com")
        assert (contact.time_zone, contact.attributes) == ("Asia/Tokyo", {"city": "Rome"})

    def test_editing_a_contact_is_audited(self, audience, operator, logged_in):
        contact = Contact.objects.get(address="ann@example.com")
        url = reverse("audiences:contact-edit", args=[contact.pk])
        form = {"attributes": "city: Pisa", "revision": contact.revision}
        logged_in(operator).post(url, form)
        contact.refresh_from_db()
        assert contact.attributes == {"city": "Pisa"}
        assert AuditEntry.objects.get(verb="contact.change").before == {"city": "Rome"}


class TestContactThatChangedMeanwhile:
    @pytest.fixture
    def open_form(self, audience, operator, logged_in):
        """Return the form of Ann as it was before an import told her plan, with another city typed into it."""
        contact = Contact.objects.get(address="ann@example.com")
        page = logged_in(operator).get(reverse("audiences:contact-edit", args=[contact.pk]))
        import_all("email,plan\nann@example.com,gold\n", actor=operator, audience=audience, plan=1)
        revision = page.context["form"]["revision"].value()
        return {"attributes": "city: Bern", "time_zone": "", "revision": revision}

    def test_keeps_what_came_and_what_was_typed(self, open_form, operator, logged_in):
        contact = Contact.objects.get(address="ann@example.com")
        url = reverse("audiences:contact-edit", args=[contact.pk])
        response = logged_in(operator).post(url, open_form)
        assert response.status_code == 422
        assert "changed while you wrote" in response.text
        assert "plan: gold" in response.text
        assert "city: Bern" in response.text
        contact.refresh_from_db()
        assert contact.attributes == {"city": "Rome", "plan": "gold"}

    def test_is_saved_by_who_has_seen_it(self, open_form, operator, logged_in):
        contact = Contact.objects.get(address="ann@example.com")
        url = reverse("audiences:contact-edit", args=[contact.pk])
        again = logged_in(operator).post(url, open_form).context["form"]["revision"].value()
        assert logged_in(operator).post(url, {**open_form, "revision": again}).status_code == 302
        contact.refresh_from_db()
        assert contact.attributes == {"city": "Bern"}

    def test_is_no_matter_where_both_say_the_same(self, open_form, operator, logged_in):
        contact = Contact.objects.get(address="ann@example.com")
        url = reverse("audiences:contact-edit", args=[contact.pk])
        same = {**open_form, "attributes": "plan: gold\ncity: Rome"}
        assert logged_in(operator).post(url, same).status_code == 302
        assert not AuditEntry.objects.filter(verb="contact.change").exists()


class TestUpload:
    def test_leads_to_the_columns(self, operator, logged_in):
        audience = make_audience()
        url = reverse("audiences:import", args=[audience.pk])
        response = logged_in(operator).post(url, {"file": csv_file("email\na@example.com\n")})
        assert response["Location"] == reverse(
            "audiences:import-map", args=[Import.objects.get().pk]
        )

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "The file is empty"),
            (b"\n\n", "The file is empty"),
            (b"PK\x03\x04abc", "Excel"),
            (b"x" * 300_000, "longer than 100,000"),
            (b"a\0b", "NUL"),
        ],
    )
    def test_what_is_no_csv_is_422_with_a_sentence(self, operator, logged_in, content, words):
        audience = make_audience()
        url = reverse("audiences:import", args=[audience.pk])
        response = logged_in(operator).post(url, {"file": csv_file(content)})
        assert response.status_code == 422
        assert words in response.text
        assert not Import.objects.exists()

    def test_more_columns_than_can_be_mapped_are_422(self, operator, logged_in):
        url = reverse("audiences:import", args=[make_audience().pk])
        response = logged_in(operator).post(url, {"file": csv_file(wide(MAX_COLUMNS + 1))})
        assert response.status_code == 422
        assert "has 491 columns; 490 are the most" in response.text
        assert not Import.objects.exists()

    def test_no_file_is_422(self, operator, logged_in):
        url = reverse("audiences:import", args=[make_audience().pk])
        assert logged_in(operator).post(url).status_code == 422


class TestColumns:
    def test_finds_the_address_and_names_the_attributes(self, mapped, operator, logged_in):
        response = logged_in(operator).get(reverse("audiences:import-map", args=[mapped.pk]))
        columns = response.context["columns"]
        assert [column["use"].value() for column in columns] == ["address", "attribute"]
        assert columns[1]["attribute"].value() == "first_name"
        assert "Ada" in response.text

    def test_leaves_out_what_exports_tell_beside_what_is_known(self, audience, operator, logged_in):
        run = Import.objects.get()
        client = logged_in(operator)
        rows = client.get(
            reverse("audiences:import-remarks", args=[run.pk]), {"outcome": "rejected"}
        )
        members = client.get(reverse("audiences:export", args=[audience.pk]))
        told = {rows: ["email", "city"], members: ["address", "city", "time_zone"]}
        for exported, kept in told.items():
            again = upload(exported.getvalue().replace(b"broken", b"c@x.example"), actor=operator)
            page = client.get(reverse("audiences:import-map", args=[again.pk]))
            columns = page.context["columns"]
            used = [one["name"] for one in columns if one["use"].value() != "leave"]
            assert used == kept

    def test_shows_at_once_what_another_reading_makes_of_it(self, operator, logged_in):
        run = upload("name\nJos\u00e9 \u2013 x@example.com\n".encode("cp1252"), actor=operator)
        url = reverse("audiences:import-map", args=[run.pk])
        client = logged_in(operator)
        assert "The encoding is a guess" in client.get(url).text
        text = client.get(url, {"encoding": "cp1251"}, headers=HTMX).text
        assert "Jos\u0439" in text
        assert "<html" not in text

    def test_another_reading_keeps_what_was_typed(self, operator, logged_in):
        people = "email,Straße,Ort\na@example.com,Bügel,Köln\n"
        run = upload(people.encode("cp1252"), actor=operator)
        url, client = reverse("audiences:import-map", args=[run.pk]), logged_in(operator)
        page = client.get(url)
        shown = {field.html_name: field.value() for field in page.context["reading"]}
        offered = {field.html_name: field.value() for field in page.context["form"]}
        typed = {
            **offered,
            **{f"was_{name}": value for name, value in shown.items()},
            "use_1": "leave",
            "name_2": "city",
            "consent": "Shop, 2026",
        }
        look = {**typed, "encoding": "cp1251", "act": "look"}
        again = client.post(url, look, headers=HTMX)
        assert again.status_code == 200
        assert "<html" not in again.text
        form = again.context["form"]
        assert form["consent"].value() == "Shop, 2026"
        assert (form["use_1"].value(), form["name_2"].value()) == ("leave", "city")
        assert form["name_1"].value() != offered["name_1"]  # guessed anew
        run.refresh_from_db()
        assert run.is_mapping

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1250"])
    def test_an_encoding_that_does_not_fit_is_shown_as_such(self, encoding, operator, logged_in):
        people = "email,Straße,Name\na@example.com,Bügel,ÜÜ\n" * 2
        run = upload(people.encode("cp1252"), actor=operator)
        url, client = reverse("audiences:import-map", args=[run.pk]), logged_in(operator)
        reading = {**READING, "encoding": encoding}
        page = client.get(url, reading)
        assert page.status_code == 200
        assert ("The file doesn't look like UTF-8" in unescape(page.text)) is (encoding == "utf-8")
        uses = {"use_0": "address", "use_1": "attribute", "name_1": "street", "use_2": "leave"}
        pressed = client.post(url, {**reading, **uses, "consent": "a form"})
        assert pressed.status_code in {302, 422}

    def test_tell_that_the_same_file_was_imported_into_the_audience_before(
        self, operator, logged_in
    ):
        client, audience, content = logged_in(operator), make_audience(), "email\na@example.com\n"

        def told(*, into):
            run = upload(content, actor=operator, audience=into)
            return client.get(reverse("audiences:import-map", args=[run.pk])).text

        said = "This file was imported before"
        assert said not in told(into=audience)
        assert said not in told(into=audience)  # nobody went on with the first
        run = import_all(content, actor=operator, audience=audience)
        again = told(into=audience)
        assert said in again
        assert reverse("audiences:import-detail", args=[run.pk]) in again
        assert said not in told(into=make_audience())

    def test_nonsense_in_the_reading_is_422(self, mapped, operator, logged_in):
        url = reverse("audiences:import-map", args=[mapped.pk])
        assert logged_in(operator).get(url, {"encoding": "klingon"}).status_code == 422

    def test_starts_with_the_mapping_of_the_page(self, mapped, operator, logged_in):
        form = {
            **READING,
            "use_0": "address",
            "use_1": "attribute",
            "name_1": "first_name",
            "consent": "Shop",
        }
        url = reverse("audiences:import-map", args=[mapped.pk])
        response = logged_in(operator).post(url, form)
        assert response["Location"] == reverse("audiences:import-detail", args=[mapped.pk])
        mapped.refresh_from_db()
        assert mapped.state == "running"
        assert mapped.mapping == {"address": 0, "attributes": {"first_name": 1}}
        assert logged_in(operator).post(url, form).status_code == 302

    def test_starts_with_as_many_columns_as_are_taken(self, operator, logged_in):
        run = upload(wide(MAX_COLUMNS), actor=operator)
        form = {**READING, "consent": "Shop", "csrfmiddlewaretoken": "x"}
        for index in range(MAX_COLUMNS):
            form |= {f"use_{index}": "attribute", f"name_{index}": f"c_{index}"}
        url = reverse("audiences:import-map", args=[run.pk])
        assert logged_in(operator).post(url, {**form, "use_0": "address"}).status_code == 302
        run.refresh_from_db()
        assert run.state == "running"

    def test_are_not_shown_where_another_reading_finds_too_many(self, operator, logged_in):
        run = upload(f"email;note\na@example.com;{',' * MAX_COLUMNS}\n", actor=operator)
        url, other = reverse("audiences:import-map", args=[run.pk]), {**READING, "header": "no"}
        client = logged_in(operator)
        assert client.get(url).status_code == 200
        for response in (client.get(url, other, headers=HTMX), client.post(url, other)):
            assert response.status_code == 422
            assert "Read with the comma as delimiter, the file has 491 columns" in response.text
            assert 'name="use_0"' not in response.text
        run.refresh_from_db()
        assert run.is_mapping

    @pytest.mark.parametrize(
        "change",
        [
            {"use_0": "attribute", "name_0": "x"},
            {"use_1": "address"},
            {"name_1": "First Name"},
            {"name_1": "for"},
            {"name_1": ""},
            {"name_1": "x" * 41},
            {"consent": ""},
            {"use_0": "nonsense"},
        ],
    )
    def test_a_wrong_mapping_is_422_and_keeps_what_was_typed(
        self, mapped, operator, logged_in, change
    ):
        form = {
            **READING,
            "use_0": "address",
            "use_1": "attribute",
            "name_1": "nickname",
            "consent": "Shop floor",
            **change,
        }
        response = logged_in(operator).post(reverse("audiences:import-map", args=[mapped.pk]), form)
        assert response.status_code == 422
        assert form["consent"] in response.text
        mapped.refresh_from_db()
        assert mapped.state == "mapping"

    def test_two_columns_of_one_name_are_422(self, operator, logged_in):
        run = upload("email,a,b\na@example.com,1,2\n", actor=operator)
        form = {
            **READING,
            "consent": "x",
            "use_0": "address",
            "use_1": "attribute",
            "name_1": "same",
            "use_2": "attribute",
            "name_2": "same",
        }
        url = reverse("audiences:import-map", args=[run.pk])
        assert "another column" in logged_in(operator).post(url, form).text

    def test_finds_the_time_zone_by_name_and_values(self, operator, logged_in):
        for values, use in (("Europe/Rome", "time_zone"), ("blue", "attribute")):
            run = upload(f"email,Time zone\na@example.com,{values}\n", actor=operator)
            page = logged_in(operator).get(reverse("audiences:import-map", args=[run.pk]))
            assert page.context["columns"][1]["use"].value() == use

    def test_one_column_is_the_time_zone_and_not_two(self, operator, logged_in):
        run = upload("email,a,b\na@example.com,UTC,UTC\n", actor=operator)
        form = {**READING, "consent": "x", "use_0": "address", "use_1": "time_zone"}
        url = reverse("audiences:import-map", args=[run.pk])
        response = logged_in(operator).post(url, {**form, "use_2": "time_zone"})
        assert response.status_code == 422
        assert "one column at most" in response.text
        logged_in(operator).post(url, {**form, "use_2": "leave"})
        run.refresh_from_db()
        assert run.mapping == {"address": 0, "attributes": {}, "time_zone": 1}

    def test_an_upload_can_be_thrown_away(self, mapped, operator, logged_in):
        logged_in(operator).post(reverse("audiences:import-stop", args=[mapped.pk]))
        assert not Import.objects.exists()
        assert AuditEntry.objects.filter(verb="import.discard").exists()

    def test_what_was_started_meanwhile_goes_on(self, mapped, operator, logged_in):
        client = logged_in(operator)
        page = client.get(reverse("audiences:import-map", args=[mapped.pk])).text
        assert 'name="act" value="discard"' in page
        start(mapped, actor=operator)
        address = reverse("audiences:import-stop", args=[mapped.pk])
        answer = client.post(address, {"act": "discard"}, follow=True)
        assert "was not thrown away: it is running already" in answer.text
        assert Import.objects.get(pk=mapped.pk).is_running


class TestProgress:
    def test_polls_while_it_runs_and_stops_when_it_is_done(self, mapped, operator, logged_in):
        start(mapped, actor=operator)
        url = reverse("audiences:import-detail", args=[mapped.pk])
        client = logged_in(operator)
        running = client.get(url, headers=HTMX)
        assert running.status_code == 200
        assert "every 1s" in running.text
        assert "<html" not in running.text
        assert not import_chunk(run_id=mapped.pk)
        done = client.get(url, headers=HTMX)
        assert done.status_code == 286
        assert "every 1s" not in done.text

    def test_the_page_itself_is_never_286(self, audience, viewer, logged_in):
        run = Import.objects.get()
        assert (
            logged_in(viewer).get(reverse("audiences:import-detail", args=[run.pk])).status_code
            == 200
        )

    def test_can_be_stopped(self, mapped, operator, logged_in):
        start(mapped, actor=operator)
        client = logged_in(operator)
        url = reverse("audiences:import-stop", args=[mapped.pk])
        for _ in range(2):
            assert client.post(url).status_code == 302
        mapped.refresh_from_db()
        assert mapped.state == "stopped"
        assert client.get(url).status_code == 405


class TestRejectedRows:
    def test_come_before_all_others(self, operator, viewer, logged_in):
        rows = "ann@x.example\n" * 30 + "broken\n"
        run = import_all(f"email\n{rows}", actor=operator)
        shown = logged_in(viewer).get(reverse("audiences:import-detail", args=[run.pk])).context
        assert [one.outcome for one in shown["remarks"]] == ["rejected"] + ["duplicate"] * 19
        assert shown["remarks"][0].line == 32

    def test_come_back_in_the_columns_of_the_file(self, audience, viewer, logged_in):
        run = Import.objects.get()
        url = reverse("audiences:import-remarks", args=[run.pk])
        response = logged_in(viewer).get(url, {"outcome": "rejected"})
        lines = response.getvalue().decode("utf-8-sig").splitlines()
        assert lines[0] == "email,city,line,reason"
        assert lines[1].startswith("broken,Oslo,4,")

    def test_can_be_mended_and_imported_again(self, operator, viewer, logged_in):
        run = import_all(
            "email,phone\n+tag@example,+49 30 1\n'-x@example,'=1\n", actor=operator, phone=1
        )
        url = reverse("audiences:import-remarks", args=[run.pk])
        file = logged_in(viewer).get(url, {"outcome": "rejected"}).getvalue()
        import_all(file.replace(b"@example", b"@example.com"), actor=operator, phone=1)
        assert set(Contact.objects.values_list("address", "attributes__phone")) == {
            ("+tag@example.com", "+49 30 1"),
            ("-x@example.com", "=1"),
        }

    def test_a_nonsense_outcome_is_422(self, audience, viewer, logged_in):
        url = reverse("audiences:import-remarks", args=[Import.objects.get().pk])
        assert logged_in(viewer).get(url, {"outcome": "lost"}).status_code == 422
