"""What Chromium draws of a mail, and that it goes nowhere else."""

import pytest
from django.db import connection

from mailops.content import picturing
from mailops.content.models import MailTemplate, Picture

PAGE = "<!doctype html><html><head>{}</head><body style='background: #eef'><p>Zoë</p></body></html>"


@pytest.mark.needs("chromium")
@pytest.mark.django_db
def test_a_mail_that_would_lead_to_a_file_is_drawn_itself(settings, monkeypatch, tmp_path):
    settings.MAILOPS_CHROMIUM = settings.MAILOPS_CHROMIUM or "chromium"
    monkeypatch.setattr(picturing, "SHAPES", [("light", 300)])
    secret = tmp_path / "secret.txt"
    secret.write_text("of this machine")
    refresh = f"<meta HTTP-EQUIV = 'refresh' content='0;url={secret.as_uri()}'>"
    (own,), (led_on,) = (picturing.draw(PAGE.format(head)) for head in ("", refresh))
    assert led_on.image_hash == own.image_hash


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_chromium(monkeypatch):
    """The server ends one that is silent for a minute, which a picture may take."""

    def screenshot(_html, scheme, width):
        assert not connection.in_atomic_block
        return f"{scheme} {width}".encode()

    monkeypatch.setattr(picturing, "_screenshot", screenshot)
    template = MailTemplate.objects.create(name="Spring", draft_html="<p>Spring</p>")
    assert picturing.draw_alone(template.draft_html)
    assert Picture.objects.count() == len(picturing.SHAPES)
