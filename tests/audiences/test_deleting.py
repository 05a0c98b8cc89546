"""An audience that is deleted: gone for everybody at once, its rows in chunks."""

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import OperationalError, transaction
from django.db.models import ProtectedError
from django.urls import reverse
from psycopg.errors import DeadlockDetected

from mailops.audiences import deleting, tasks
from mailops.audiences.curating import add_audience, add_member
from mailops.audiences.deleting import delete_audience, delete_chunk, half_deleted
from mailops.audiences.importing import import_chunk
from mailops.audiences.models import Audience, Contact, Import, ImportRemark, Membership
from mailops.reports.attention import matters
from mailops.reports.beginning import steps
from tests.audiences.uploads import start, upload
from tests.factories import make_audience, make_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def audience():
    return make_audience("a@example.com", "b@example.com", "c@example.com", name="Readers")


@pytest.fixture
def running(audience, operator):
    """An import that has more rows to read."""
    content = "address\nd@example.com\nno address\ne@example.com"
    run = upload(content, actor=operator, audience=audience)
    start(run, actor=operator)
    assert import_chunk(run_id=run.pk, rows=2)
    return run


def test_it_is_out_of_sight_at_once(audience, running, operator, logged_in):
    contact, membership = Contact.objects.first(), audience.memberships.first()
    delete_audience(audience=audience, actor=operator)
    client = logged_in(operator)
    for url in (
        reverse("audiences:detail", args=[audience.pk]),
        reverse("audiences:import-detail", args=[running.pk]),
        reverse("audiences:member-remove", args=[membership.pk]),
    ):
        assert client.get(url).status_code == 404, url
    for url in (reverse("audiences:list"), reverse("audiences:contact", args=[contact.pk])):
        page = client.get(url).text
        assert "Readers" not in page
        assert "deleted " not in page
    assert Membership.objects.exists()
    assert [one.is_done for one in steps() if one.words == "Import an audience"] == [False]


def test_it_is_out_of_use_at_once(audience, running, operator):
    delete_audience(audience=audience, actor=operator)
    assert not import_chunk(run_id=running.pk)
    with pytest.raises(ObjectDoesNotExist):
        add_member(
            audience=audience, address="f@example.com", consent="", attributes={}, actor=operator
        )
    assert audience.memberships.count() == 4
    assert add_audience(name="Readers", description="", actor=operator).memberships.count() == 0


@pytest.mark.django_db(transaction=True)
def test_it_keeps_no_import_of_others_waiting(audience, operator, meanwhile):
    delete_audience(audience=audience, actor=operator)
    run = upload("address,city\na@example.com,Rome\n", actor=operator, audience=make_audience())
    start(run, actor=operator, city=1)
    with transaction.atomic():
        assert delete_chunk(audience_id=audience.pk)
        imported = meanwhile(import_chunk, run_id=run.pk)
        assert imported.done()
    assert Contact.objects.get(address_key="a@example.com").attributes == {"city": "Rome"}


def test_its_rows_go_in_chunks(audience, running, operator, monkeypatch):
    monkeypatch.setattr(deleting, "CHUNK", 3)
    other = make_audience("a@example.com")
    delete_audience(audience=audience, actor=operator)
    assert delete_chunk(audience_id=audience.pk)
    assert audience.memberships.count() == 1
    while delete_chunk(audience_id=audience.pk):
        pass
    assert list(Audience.with_deleted.all()) == [other]
    assert (Membership.objects.count(), Contact.objects.count()) == (1, 4)
    assert [Import.objects.count(), ImportRemark.objects.count(), half_deleted()] == [0, 0, []]


def test_the_tick_goes_on_where_the_hint_was_lost(audience, operator, monkeypatch):
    monkeypatch.setattr(deleting, "CHUNK", 1)
    monkeypatch.setattr(tasks.delete_rest, "delay", tasks.delete_rest)
    delete_audience(audience=audience, actor=operator)
    kept = make_audience("a@example.com")
    tasks.delete_rests()
    assert list(Audience.with_deleted.all()) == [kept]
    assert Membership.objects.get().audience == kept


class TestThatCanNotBeDeleted:
    """A campaign, say, that refers to it in spite of everything."""

    @pytest.fixture
    def needed(self, audience, operator):
        delete_audience(audience=audience, actor=operator)
        return make_campaign(audience=audience)

    def fail(self, audience):
        with pytest.raises(ProtectedError):
            tasks.delete_rest(audience.pk)

    def test_is_told_on_the_overview(self, audience, needed, operator, logged_in):
        assert not about_audiences()
        self.fail(audience)
        (matter,) = about_audiences()
        assert matter.title == "Not all of audience Readers is deleted"
        assert "ProtectedError: " in matter.sentence
        assert matter.since == Audience.with_deleted.get().deleted_at
        assert "Audience deleted" in logged_in(operator).get(matter.url).text

    def test_is_told_until_it_can_be(self, audience, needed):
        self.fail(audience)
        needed.delete()
        tasks.delete_rest(audience.pk)
        assert not about_audiences()
        assert not Audience.with_deleted.exists()

    def test_is_not_told_where_it_will_pass(self, audience, operator, monkeypatch):
        def break_off(*_, **__):
            raise OperationalError from DeadlockDetected()

        delete_audience(audience=audience, actor=operator)
        monkeypatch.setattr(deleting, "delete_some", break_off)
        with pytest.raises(OperationalError):
            tasks.delete_rest(audience.pk)
        assert not about_audiences()


def about_audiences():
    return [one for one in matters() if "audience" in one.title]


def test_one_that_is_kept_loses_nothing(audience):
    assert not delete_chunk(audience_id=audience.pk)
    assert audience.memberships.count() == 3


def test_a_second_press_says_nothing_more(audience, operator):
    delete_audience(audience=audience, actor=operator)
    told = Audience.with_deleted.get().deleted_at
    delete_audience(audience=audience, actor=operator)
    assert Audience.with_deleted.get().deleted_at == told
