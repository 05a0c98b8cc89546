"""Letters with files on their way: made from a published version, signed, and taken apart by who gets them."""

from email import message_from_bytes
from email.policy import SMTP
from hashlib import sha256

import dkim
import pytest

from mailops.content import enclosing
from mailops.content.models import FileContent, MailTemplate
from mailops.content.publishing import publish
from mailops.sandbox.reading import read
from tests.content.some_files import PDF, png
from tests.dispatch.test_delivery import deliver, make_due, make_stream_to
from tests.dispatch.test_signing import sign_with, verified
from tests.factories import make_campaign

pytestmark = pytest.mark.django_db(transaction=True)  # the committer has its own connection
HTML = """<p>Hello {{ first_name }}</p>{% if vip %}<img src="cid:gold medal.png" alt="">{% endif %}
<img src='cid:logo.png' alt="Acme">"""


@pytest.fixture
def version(settings):
    settings.MAILOPS_CHROMIUM = ""  # no pictures are drawn
    template = MailTemplate.objects.create(name="Spring", draft_subject="Hi", draft_html=HTML)
    files = {"logo.png": png(), "gold medal.png": png(9, 9), "Prüfung.pdf": PDF}
    for name, content in files.items():
        enclosing.add_file(template=template, name=name, content=content, actor=None)
    return publish(template, None)


def test_each_recipient_gets_what_is_attached_and_what_their_html_shows(server, version):
    stream = make_stream_to(server.port)
    for name, data in {"ada": {"vip": True}, "bob": {"first_name": "Björn"}}.items():
        make_due(stream, f"{name}@x.example", version=version, merge_data=data)
    deliver()
    received = {}
    for octets in server.messages:
        message = message_from_bytes(octets, policy=SMTP)
        inside = message.get_body(("related",))
        pictures = [part for part in inside.walk() if part.get_content_maintype() == "image"]
        html = message.get_body(("html",)).get_content()
        assert all(f"cid:{part['Content-ID'].strip('<>')}" in html for part in pictures)
        attached = [
            (part.get_filename(), part.get_content()) for part in message.iter_attachments()
        ]
        assert attached == [("Prüfung.pdf", PDF)]
        received[message["To"]] = [part.get_content() for part in pictures]
        shown = read(octets)  # as a test inbox shows it
        assert "cid:" not in shown.html
        assert shown.html.count("data:image/png") == len(pictures)
    assert received == {"ada@x.example": [png(9, 9), png()], "bob@x.example": [png()]}


@pytest.mark.usefixtures("no_signers")
def test_signatures_cover_the_files(server, version):
    stream = make_stream_to(server.port)
    sign_with(stream, "rsa", "ed25519")
    make_due(stream, "ada@x.example", version=version)
    deliver()
    assert verified(server.messages[0]) == {"rsa", "ed25519"}
    with pytest.raises(dkim.ValidationError):
        verified(server.messages[0].replace(b"JVBERi", b"JVBERj"))  # in the PDF


def test_what_was_found_infected_since_goes_to_nobody(server, version):
    campaign = make_campaign(stream=make_stream_to(server.port), version=version)
    campaign.start(actor=None)
    mail = make_due(campaign.stream, "ada@x.example", version=version, campaign=campaign)
    alone = make_due(campaign.stream, "bob@x.example", version=version)
    FileContent.objects.filter(sha256=sha256(PDF).hexdigest()).update(signature="Eicar-Test")
    deliver()
    assert not server.messages
    campaign.refresh_from_db()
    found = "The virus scanner found Eicar-Test in Prüfung.pdf."
    assert campaign.is_paused
    assert campaign.pause_sentence.startswith(found)
    mail.refresh_from_db()
    assert mail.status == "queued"
    alone.refresh_from_db()
    assert (alone.status, alone.reason) == ("failed", "infected")
    assert alone.sentence.startswith(found)
    campaign.resume()
    deliver()
    assert not server.messages
