"""Which audiences' attributes are counted, and when."""

import pytest

from mailops.audiences import tasks
from mailops.audiences.curating import audiences_to_count, count_attributes
from mailops.audiences.importing import import_chunk, note_failure, stop_import
from mailops.audiences.models import Audience, Contact
from mailops.lib.chunks import MAX_FAILURES
from tests.audiences.uploads import import_all, start, upload
from tests.factories import make_audience

pytestmark = pytest.mark.django_db
FILE = "email,city\na@example.com,Rome\nb@example.com,Bern\n"


def counted() -> dict[str, dict[str, int]]:
    """Count what is due, and return for each audience how many of its members have which attribute."""
    for audience_id in audiences_to_count():
        count_attributes(audience_id=audience_id)
    return {
        audience.name: {name: found["members"] for name, found in audience.attributes.items()}
        for audience in Audience.objects.all()
    }


@pytest.fixture
def old():
    """An audience whose one member will be in others, too."""
    audience = make_audience("a@example.com", name="Old")
    counted()
    return audience


@pytest.fixture
def half_done(operator):
    run = upload(FILE, actor=operator, audience=make_audience(name="New"))
    start(run, actor=operator, city=1)
    import_chunk(run_id=run.pk, rows=1)
    return run


class TestAfterAnImport:
    def test_every_audience_is_counted_that_has_one_of_the_people(self, old, operator):
        make_audience("z@example.com", name="Others")
        import_all(FILE, actor=operator, audience=make_audience(name="New"), city=1)
        assert counted() == {"Old": {"city": 1}, "New": {"city": 2}, "Others": {}}

    def test_that_was_stopped(self, old, half_done, operator):
        stop_import(run=half_done, actor=operator)
        assert counted() == {"Old": {"city": 1}, "New": {"city": 1}}

    def test_that_failed(self, old, half_done):
        for _ in range(MAX_FAILURES):
            note_failure(run_id=half_done.pk, error=RuntimeError("disk full"))
        assert counted() == {"Old": {"city": 1}, "New": {"city": 1}}


class TestWhen:
    def test_not_while_an_import_changes_more(self, old, half_done):
        assert audiences_to_count() == []

    def test_not_again_where_nothing_changed(self, old, operator):
        import_all(FILE, actor=operator, audience=make_audience(name="New"), city=1)
        before = counted()
        assert audiences_to_count() == []
        Contact.objects.update(attributes={})  # behind the back of what raises the revision
        count_attributes(audience_id=old.pk)
        assert counted() == before

    def test_at_the_tick_and_when_an_import_is_over(self, old, operator, monkeypatch):
        asked = []
        monkeypatch.setattr(tasks.count_attributes, "delay", asked.append)
        monkeypatch.setattr(tasks.clear_import, "delay", lambda _: None)
        run = upload(FILE, actor=operator, audience=old)
        start(run, actor=operator, city=1)
        tasks.continue_import(run.pk)
        tasks.continue_imports()
        assert asked == [old.pk, old.pk]

    def test_an_audience_that_is_gone_is_no_matter(self):
        count_attributes(audience_id=1)
