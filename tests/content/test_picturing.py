"""What Chromium draws of a mail, and that it goes nowhere else."""

import pytest

from mailops.content import picturing

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
