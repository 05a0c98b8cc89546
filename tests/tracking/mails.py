"""Tracked mail as it leaves, and what its recipient can call."""

import re
from email import message_from_bytes
from email.policy import default

from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.dispatch.preparing import Way, prepare
from mailops.outbox import tokens
from mailops.protocol import looks
from tests.factories import make_message, make_stream, make_version

HTML = (
    '<html><body><a href="https://example.com/sale?a=1&amp;b=2">Sale</a> <a href="{{ link }}">Yours</a>'
    ' <a data-track="off" href="https://example.com/off">Off</a> <a href="{{ unsubscribe_url }}">Leave</a></body></html>'
)
SALE, YOURS = "https://example.com/sale?a=1&b=2", "https://shop.example/?u=7"
TRACKED = re.compile(r'href="http://[^/"]*/l/([^"]*)"')
PICTURE = re.compile(
    r'<img src="http://[^/"]*/o/([^"]*)" alt="" width="1" height="1" style="border:0">'
)


def tracking_stream(**fields):
    return make_stream(**{"tracks_opens": True, "tracks_clicks": True, **fields})


def tracked_message(**fields):
    fields = {
        "version": make_version(html=HTML, text="See {{ link }}"),
        "merge_data": {"link": YOURS},
        "stream": fields.pop("stream", None) or tracking_stream(),
        **fields,
    }
    return make_message(**fields)


def prepared(message, **options):
    """Return the octets in which a due message leaves."""
    (carrier,) = usable_carriers(message.stream.kind)
    worker = Worker.objects.create(lane=message.stream.kind, host="test", pid=1)
    (job,) = Claimer(worker.pk).claim(carrier, 1)
    assert job.message_id == message.pk
    return prepare(job, message.version, Way("bounces.example.com", **options)).content


def parts(content):
    """Return the text and the HTML of a mail."""
    mail = message_from_bytes(content, policy=default)
    return tuple(mail.get_body([kind]).get_content() for kind in ("plain", "html"))


def without_tracking(html):
    """Take out of a mail what tracking put into it."""
    html = PICTURE.sub("", html)

    def put_back(match):
        target = looks.parse_token(match[1]).target
        return f'href="{target.replace("&", "&amp;")}"'

    return TRACKED.sub(put_back, html)


def click_path(message, target=SALE, written=None):
    octets = target.encode()
    signer = looks.Signer(message.public_id, "k1", tokens.signing_key("k1"))
    return "/l/" + signer.click(looks.link_number(written or target), octets, looks.encode(octets))


def picture_path(message):
    return "/o/" + looks.Signer(message.public_id, "k1", tokens.signing_key("k1")).open()
