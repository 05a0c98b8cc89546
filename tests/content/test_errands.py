"""What somebody asked for on a page and a worker does behind: no restart loses it, and what fails says why."""

from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from mailops.content import errands, picturing
from mailops.content.models import Errand, MailTemplate, Picture
from mailops.content.picturing import NoPicture
from mailops.content.tasks import ask_links, draw_pictures
from mailops.lib.locks import session_lock

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def drawn(monkeypatch):
    def screenshot(html, scheme, width):
        drawn.append(html)
        return f"{scheme} {width}".encode()

    drawn = []
    monkeypatch.setattr(picturing, "_screenshot", screenshot)
    return drawn


@pytest.fixture
def template():
    return MailTemplate.objects.create(
        name="Spring", draft_html="<p>Spring, {{ name }}</p>", sample={"name": "Ada"}
    )


def pass_time():
    Errand.objects.exclude(due_at=None).update(due_at=Now())


def page_of(template):
    return f"{reverse('content:pictures', args=[template.pk])}?old=draft&new=draft"


def test_pictures_whose_hint_was_lost_are_drawn_by_the_tick(logged_in, editor, template, drawn):
    client = logged_in(editor)
    client.post(page_of(template))
    assert "They are being drawn" in client.get(page_of(template)).text
    draw_pictures()
    assert Picture.objects.count() == len(picturing.SHAPES)
    assert not Errand.objects.exists()
    assert "They are being drawn" not in client.get(page_of(template)).text


def test_a_worker_that_went_away_over_it_loses_nothing(drawn):
    errands.have_drawn(["<p>Spring</p>"])
    assert errands._claim(Errand.Kind.PICTURES) is not None
    draw_pictures()
    assert not drawn  # as long as its lease runs
    pass_time()
    draw_pictures()
    assert drawn


def test_asked_anew_while_it_is_done_is_done_anew():
    asked = []

    def act(errand):
        asked.append(errand)
        if len(asked) == 1:
            errands.have_links_asked(7)
        return True

    errands.have_links_asked(7)
    errands._work_off(Errand.Kind.LINKS, act, timezone.now() + timedelta(seconds=20))
    assert len(asked) == 2
    assert not Errand.objects.exists()


@pytest.fixture
def another_session():
    """Holds a lock as another process does."""

    @contextmanager
    def hold(name):
        is_held, may_end = Event(), Event()

        def run():
            with session_lock(name) as is_ours:
                assert is_ours
                is_held.set()
                may_end.wait(60)
            connection.close()

        thread = Thread(target=run)
        thread.start()
        assert is_held.wait(60)
        yield
        may_end.set()
        thread.join()

    return hold


def test_what_another_process_draws_or_asks_waits(template, another_session):
    link = '<a href="https://acme.example/">Acme</a>'
    MailTemplate.objects.update(draft_html=link)
    errands.have_drawn([link])
    errands.have_links_asked(template.pk)
    with another_session("content pictures"), another_session("content links"):
        draw_pictures()
        ask_links()
    assert list(Errand.objects.values_list("attempts", flat=True)) == [0, 0]
    assert not Errand.objects.filter(due_at=None).exists()


def test_what_can_not_be_drawn_is_given_up_and_says_why(logged_in, editor, template, monkeypatch):
    def screenshot(*_):
        raise NoPicture("Chromium drew nothing.")

    monkeypatch.setattr(picturing, "_screenshot", screenshot)
    client = logged_in(editor)
    client.post(page_of(template))
    for _ in range(errands.TRIES):
        pass_time()
        draw_pictures()
    page = client.get(page_of(template)).text
    assert "Chromium drew nothing." in page
    assert "Draw the pictures" in page
    client.post(page_of(template))
    assert "They are being drawn" in client.get(page_of(template)).text


def test_what_ends_its_process_each_time_is_given_up():
    errands.have_drawn(["<p>x</p>"])
    for _ in range(errands.TRIES):
        assert errands._claim(Errand.Kind.PICTURES)
        pass_time()
    assert errands._claim(Errand.Kind.PICTURES) is None
    assert "broken off" in Errand.objects.get().fault
    Errand.objects.update(asked_at=timezone.now() - timedelta(days=2))
    errands.forget_given_up()
    assert not Errand.objects.exists()
