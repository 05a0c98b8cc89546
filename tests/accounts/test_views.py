import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.urls import reverse

from mailops.accounts import managing, views
from mailops.accounts.auditing import audit
from mailops.accounts.forms import ProfileForm
from mailops.accounts.models import AuditEntry, Role, User
from tests.conftest import PASSWORD


class TestLogIn:
    def test_lets_in_with_address_and_password(self, client, admin):
        form = {"login": admin.email, "password": PASSWORD}
        response = client.post(reverse("account_login"), form)
        assert response["Location"] == "/"

    def test_refuses_a_wrong_password(self, client, admin):
        form = {"login": admin.email, "password": "wrong"}
        response = client.post(reverse("account_login"), form)
        assert "The e-mail address or the password is not correct." in response.content.decode()

    def test_elsewhere_is_ended_by_one_press(self, viewer, admin, logged_in):
        here, there, other = logged_in(viewer), logged_in(viewer), logged_in(admin)
        address, page = reverse("accounts:log-out-elsewhere"), reverse("mfa_index")
        assert here.get(address).status_code == 405
        assert there.get(page).status_code == 200
        assert "logged in here alone" in here.post(address, follow=True).text
        assert [client.get(page).status_code for client in (here, there, other)] == [200, 302, 200]
        entry = AuditEntry.objects.get(verb="user.log_out_elsewhere")
        assert (entry.actor, entry.subject_label) == (viewer, str(viewer))

    def test_leads_the_keyboard_from_the_address_to_the_password(self, client, db):
        page = client.get(reverse("account_login")).text
        assert page.index('name="password"') < page.index("Forgot your password?")

    def test_has_no_sign_up(self, client, db):
        assert "by invitation" in client.get(reverse("account_signup")).content.decode()

    def test_tells_a_deactivated_user(self, client, viewer):
        User.objects.update(is_active=False)
        form = {"login": viewer.email, "password": PASSWORD}
        response = client.post(reverse("account_login"), form, follow=True)
        assert "deactivated" in response.content.decode()

    def test_forgotten_password_leads_to_an_admin_and_never_pretends_to_mail(self, client, viewer):
        address = reverse("account_reset_password")
        page = client.get(address).content.decode()
        assert "Settings, Users" in page
        assert "<form" not in page
        assert client.post(address, {"email": viewer.email}).status_code == 405
        assert mail.outbox == []

    def test_forgotten_password_page_stands_where_the_link_went_bad(self, client, db):
        page = client.get("/accounts/password/reset/key/1-set-password/").content.decode()
        assert reverse("account_reset_password") in page

    @pytest.mark.parametrize("path", ["email/", "confirm-email/", "confirm-email/key/"])
    def test_has_no_pages_about_mailboxes(self, path, viewer, logged_in):
        assert logged_in(viewer).get(f"/accounts/{path}").status_code == 404

    def test_who_saves_their_profile_while_they_are_deactivated_stays_so(
        self, viewer, logged_in, monkeypatch
    ):
        is_valid = ProfileForm.is_valid

        def deactivate_and_ask(form):
            User.objects.filter(pk=viewer.pk).update(is_active=False, role="")
            return is_valid(form)

        monkeypatch.setattr(ProfileForm, "is_valid", deactivate_and_ask)
        given = {"name": "Vi", "time_zone": "Asia/Tokyo"}
        assert logged_in(viewer).post(reverse("accounts:profile"), given).status_code == 302
        viewer.refresh_from_db()
        assert (viewer.name, viewer.is_active, viewer.role) == ("Vi", False, "")

    def test_htmx_is_sent_to_the_log_in_page_whole(self, client, db):
        page = "/content/1/edit/?language=de&part=a%26b"
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
        response = client.get(reverse("accounts:audit"), headers=headers)
        there = client.get(response["HX-Redirect"])
        assert there.wsgi_request.path == reverse("account_login")
        assert there.context["redirect_field_value"] == page

    def test_what_htmx_posts_stays_on_its_page(self, client, db):
        response = client.post(reverse("accounts:audit"), headers={"HX-Request": "true"})
        assert response.status_code == 401
        assert "HX-Redirect" not in response

    def test_what_a_form_posts_is_kept_by_the_browser_alone(self, client, db):
        response = client.post(reverse("accounts:user-new"), {"name": "Typed at length"})
        assert response.status_code == 401
        assert "Your log-in has ended" in response.text
        assert "Typed at length" not in response.text
        assert not Session.objects.exists()


class TestSettings:
    def test_shows_users_to_admins_only(self, admin, viewer, logged_in):
        link = reverse("accounts:users")
        assert link in logged_in(admin).get(reverse("accounts:settings")).content.decode()
        assert link not in logged_in(viewer).get(reverse("accounts:settings")).content.decode()

    def test_tells_a_stranger_that_a_role_is_missing(self, stranger, logged_in):
        page = logged_in(stranger).get(reverse("accounts:settings")).content.decode()
        assert "No role yet" in page


class TestPassword:
    def test_brings_nothing_back_that_an_admin_took_while_it_was_hashed(
        self, operator, logged_in, monkeypatch
    ):
        taken, hashed = (
            {"role": Role.VIEWER, "is_active": False, "ended_links": 3},
            User.set_password,
        )

        def take_and_hash(user, password):
            User.objects.filter(pk=user.pk).update(**taken)
            hashed(user, password)

        monkeypatch.setattr(User, "set_password", take_and_hash)
        new = dict.fromkeys(("password1", "password2"), "a long enough one")
        form = {"oldpassword": PASSWORD, **new}
        logged_in(operator).post(reverse("account_change_password"), form)
        operator.refresh_from_db()
        assert {name: getattr(operator, name) for name in taken} == taken
        assert operator.check_password("a long enough one")


class TestProfile:
    def test_saves_name_and_zone_and_records_it(self, viewer, logged_in):
        form = {"name": "Vera", "time_zone": "Europe/Berlin"}
        logged_in(viewer).post(reverse("accounts:profile"), form)
        viewer.refresh_from_db()
        assert (viewer.name, viewer.time_zone) == ("Vera", "Europe/Berlin")
        assert AuditEntry.objects.get().verb == "user.profile"

    def test_replaces_no_name_that_an_admin_gave_unseen(self, viewer, admin, logged_in):
        client, url = logged_in(viewer), reverse("accounts:profile")
        given = {"name": "Mine", "time_zone": "Europe/Berlin"}
        given["seen"] = client.get(url).context["form"]["seen"].value()
        managing.change_user(actor=admin, user=viewer, name="Theirs", role="viewer")
        stopped = client.post(url, given)
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert ("Name", "Theirs") in stopped.context["meanwhile"].facts
        assert 'value="Mine"' in stopped.text
        viewer.refresh_from_db()
        assert viewer.name == "Theirs"
        given["seen"] = stopped.context["form"]["seen"].value()
        for _ in range(2):
            assert client.post(url, given).status_code == 302
        entry = AuditEntry.objects.get(verb="user.profile")
        assert entry.before["name"] == "Theirs"
        assert entry.after == {"name": "Mine", "time_zone": "Europe/Berlin"}

    def test_refuses_a_zone_that_is_none(self, viewer, logged_in):
        form = {"name": "Vera", "time_zone": "Mars/Olympus"}
        assert logged_in(viewer).post(reverse("accounts:profile"), form).status_code == 422

    def test_times_follow_the_zone(self, viewer, logged_in):
        User.objects.filter(pk=viewer.pk).update(time_zone="Asia/Tokyo")
        audit(actor=viewer, verb="user.profile", subject=viewer)
        page = logged_in(viewer).get(reverse("accounts:audit")).content.decode()
        assert "(Asia/Tokyo)" in page


class TestUsers:
    def test_are_for_admins(self, operator, logged_in):
        assert logged_in(operator).get(reverse("accounts:users")).status_code == 403

    def test_anonymous_is_sent_to_log_in(self, client, db):
        assert "/accounts/login/" in client.get(reverse("accounts:users"))["Location"]

    def test_invites_and_shows_the_link_once(self, admin, logged_in):
        client = logged_in(admin)
        form = {"email": "New@Example.com", "name": "", "role": "editor"}
        page = client.post(reverse("accounts:user-new"), form, follow=True)
        assert "/accounts/password/reset/key/" in page.content.decode()
        again = client.get(page.request["PATH_INFO"]).content.decode()
        assert "/accounts/password/reset/key/" not in again

    def test_refuses_an_address_that_is_taken_in_another_case(self, admin, viewer, logged_in):
        form = {"email": viewer.email.upper(), "role": "editor"}
        assert logged_in(admin).post(reverse("accounts:user-new"), form).status_code == 422

    def test_replaces_no_change_that_was_not_seen(self, admin, operator, logged_in):
        client, url = logged_in(admin), reverse("accounts:user", args=[operator.pk])
        given = {"name": operator.name, "role": "operator"}
        given["seen"] = client.get(url).context["form"]["seen"].value()
        for _ in range(2):  # the same once more is no conflict
            assert client.post(url, given | {"role": "viewer"}).status_code == 302
        stopped = client.post(url, given | {"name": "Mine"})
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        facts = dict(stopped.context["meanwhile"].facts)
        assert facts == {
            "Name": operator.name or "none",
            "Role": "Viewer: sees all, changes nothing",
        }
        assert 'value="Mine"' in stopped.text
        operator.refresh_from_db()
        assert operator.role == "viewer"
        given["seen"] = stopped.context["form"]["seen"].value()
        assert client.post(url, given | {"name": "Mine"}).status_code == 302
        operator.refresh_from_db()
        assert (operator.name, operator.role) == ("Mine", "operator")

    def test_names_whoever_changed_their_own_name(self, admin, viewer, operator, logged_in):
        client, url = logged_in(admin), reverse("accounts:user", args=[viewer.pk])
        given = {"name": "Mine", "role": "viewer"}
        given["seen"] = client.get(url).context["form"]["seen"].value()
        managing.change_profile(user=viewer, name="Vera", time_zone="UTC")
        viewer.refresh_from_db()
        assert "Last saved by Vera, " in client.post(url, given).text
        managing.change_user(actor=operator, user=viewer, name="Vera", role="oncall")
        managing.change_profile(user=viewer, name="Vera", time_zone="Asia/Tokyo")
        assert f"Last saved by {operator}, " in client.post(url, given).text

    def test_last_admin_cannot_step_down(self, admin, logged_in):
        form = {"name": "A", "role": "viewer"}
        response = logged_in(admin).post(reverse("accounts:user", args=[admin.pk]), form)
        assert response.status_code == 422
        assert "last admin who can log in" in response.content.decode()

    def test_deactivated_user_is_out_at_once(self, admin, viewer, logged_in):
        theirs = logged_in(viewer)
        logged_in(admin).post(reverse("accounts:user-deactivate", args=[viewer.pk]))
        assert "/accounts/login/" in theirs.get(reverse("accounts:profile"))["Location"]

    def test_whoever_is_let_in_again_has_to_log_in(self, admin, viewer, logged_in):
        theirs, client = logged_in(viewer), logged_in(admin)
        for act in ("deactivate", "reactivate"):
            client.post(reverse(f"accounts:user-{act}", args=[viewer.pk]))
        assert "/accounts/login/" in theirs.get(reverse("accounts:profile"))["Location"]

    def test_reads_the_same_number_of_rows_for_many(
        self, admin, logged_in, django_assert_max_num_queries
    ):
        for n in range(20):
            User.objects.create_user(f"u{n}@example.com")
        client = logged_in(admin)
        with django_assert_max_num_queries(5):
            client.get(reverse("accounts:users"))


class TestAuditTrail:
    @pytest.fixture
    def entries(self, admin):
        audit(actor=admin, verb="user.change", subject=admin, before={"a": 1}, after={"a": 2})
        audit(actor=None, verb="campaign.pause", reason="=HYPERLINK()")

    def test_filters_by_act(self, entries, viewer, logged_in):
        page = logged_in(viewer).get(reverse("accounts:audit"), {"verb": "user.change"})
        assert [entry.verb for entry in page.context["entries"]] == ["user.change"]

    def test_filters_by_subject(self, entries, admin, logged_in):
        query = {"subject": f"accounts.User:{admin.pk}"}
        page = logged_in(admin).get(reverse("accounts:audit"), query)
        assert [entry.verb for entry in page.context["entries"]] == ["user.change"]

    @pytest.mark.parametrize(
        "query",
        [
            {"since": "yesterday"},
            {"subject": "'; drop"},
            {"before": "x"},
            {"verb": "nothing"},
            {"since": "0001-01-01"},
            {"until": "9999-12-31"},
            {"since": "2026-11-02", "until": "2026-11-01"},
        ],
    )
    def test_refuses_nonsense_in_the_query_string(self, query, viewer, logged_in):
        assert logged_in(viewer).get(reverse("accounts:audit"), query).status_code == 422

    def test_takes_one_day(self, entries, viewer, logged_in):
        query = {"since": "2026-11-02", "until": "2026-11-02"}
        assert logged_in(viewer).get(reverse("accounts:audit"), query).status_code == 200

    def test_gives_htmx_the_fragment_only(self, entries, viewer, logged_in):
        page = logged_in(viewer).get(reverse("accounts:audit"), headers={"HX-Request": "true"})
        assert page.content.decode().strip().startswith('<div id="entries"')

    def test_goes_on_to_older_ones(self, viewer, logged_in):
        for _ in range(51):
            audit(actor=None, verb="campaign.pause")
        client = logged_in(viewer)
        first = client.get(reverse("accounts:audit"))
        older = client.get(reverse("accounts:audit"), {"before": first.context["older"]})
        assert len(older.context["entries"]) == 1

    @pytest.mark.parametrize("query", [{"verb": "campaign.cancel"}, {"q": "Too early"}])
    def test_looks_at_a_bounded_number_at_once_and_leads_on(
        self, viewer, logged_in, monkeypatch, query
    ):
        monkeypatch.setattr(views, "LOOKED_AT", 3)
        audit(actor=None, verb="campaign.cancel", reason="Too early.")
        for _ in range(5):
            audit(actor=None, verb="campaign.pause")
        client, url = logged_in(viewer), reverse("accounts:audit")
        first = client.get(url, query)
        assert not first.context["entries"]
        assert "The trail goes on" in first.text
        second = client.get(url, {**query, "before": first.context["older"]})
        assert [entry.reason for entry in second.context["entries"]] == ["Too early."]
        assert second.context["older"] is None

    def test_looks_at_no_more_of_long_times_and_at_nothing_outside_them(
        self, viewer, logged_in, monkeypatch
    ):
        monkeypatch.setattr(views, "LOOKED_AT", 3)
        for day in range(1, 11):
            entry = audit(actor=None, verb="campaign.pause", reason=f"Day {day}.")
            AuditEntry.objects.filter(pk=entry.pk).update(at=f"2026-01-{day:02}T12:00Z")
        client, url = logged_in(viewer), reverse("accounts:audit")

        def reasons(page):
            return [entry.reason for entry in page.context["entries"]]

        query = {"q": "Day", "since": "2026-01-03", "until": "2026-01-07"}
        first = client.get(url, query)
        assert reasons(first) == ["Day 7.", "Day 6.", "Day 5."]
        second = client.get(url, {**query, "before": first.context["older"]})
        assert reasons(second) == ["Day 4.", "Day 3."]
        assert second.context["older"] is None

    def test_counts_days_in_the_viewers_zone_on_the_page_and_in_the_export(self, viewer, logged_in):
        User.objects.update(time_zone="Pacific/Auckland")  # thirteen hours ahead in January
        for at in ("10T10:59", "10T11:00", "11T10:59", "11T11:00"):
            audit(actor=None, verb="campaign.pause", reason=at)
            AuditEntry.objects.filter(reason=at).update(at=f"2026-01-{at}Z")
        query = {"since": "2026-01-11", "until": "2026-01-11"}
        client = logged_in(viewer)
        page = client.get(reverse("accounts:audit"), query)
        shown = [entry.reason for entry in page.context["entries"]]
        assert shown == ["11T10:59", "10T11:00"]
        export = client.get(reverse("accounts:audit-csv"), query)
        lines = b"".join(export.streaming_content).decode().splitlines()[1:]
        assert [line.rpartition(",")[2] for line in lines] == shown

    def test_exports_what_the_filter_shows_and_defuses_formulas(self, entries, viewer, logged_in):
        query = {"verb": "campaign.pause"}
        response = logged_in(viewer).get(reverse("accounts:audit-csv"), query)
        text = b"".join(response.streaming_content).decode()
        assert "'=HYPERLINK()" in text
        assert "user.change" not in text
