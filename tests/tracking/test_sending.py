"""Mail of a stream that asks for it carries our links and picture, and is else what it would be."""

from uuid import uuid4

import pytest

from mailops.content.rendering import compile_marked, compile_version
from mailops.content.starters import STARTERS
from mailops.domains import signing
from mailops.outbox.models import QueueEntry
from mailops.outbox.tracked import track
from mailops.protocol import looks
from mailops.transports.models import Stream
from tests.dispatch.test_signing import sign_with, verified
from tests.factories import make_message, make_stream, make_version
from tests.tracking.mails import (
    PICTURE,
    SALE,
    TRACKED,
    YOURS,
    parts,
    prepared,
    tracked_message,
    tracking_stream,
    without_tracking,
)

pytestmark = pytest.mark.django_db


def untracked(message):
    """Return the mail as it is where nobody asks."""
    Stream.objects.update(tracks_opens=False, tracks_clicks=False)
    QueueEntry.objects.update(worker_id=None, fence=None)
    return prepared(message)


class TestMail:
    def test_is_the_same_but_for_what_tracks_it(self):
        message = tracked_message()
        (text, html), (plain_text, plain_html) = parts(prepared(message)), parts(untracked(message))
        assert (text, html) != (plain_text, plain_html)
        assert (text, without_tracking(html)) == (plain_text, plain_html)

    def test_leads_through_us_what_may_be(self):
        _, html = parts(prepared(tracked_message()))
        found = [looks.parse_token(token) for token in TRACKED.findall(html)]
        assert [token.target for token in found] == [SALE, YOURS]
        assert 'href="https://example.com/off"' in html
        assert "/feedback/unsubscribe/" in html

    def test_carries_one_picture_at_its_end(self):
        message = tracked_message()
        _, html = parts(prepared(message))
        (token,) = PICTURE.findall(html)
        assert looks.parse_token(token).public_id == message.public_id
        assert html.rstrip().endswith("></body></html>")

    @pytest.mark.parametrize(("opens", "clicks"), [(True, False), (False, True), (False, False)])
    def test_does_what_its_stream_asks_for_alone(self, opens, clicks):
        stream = tracking_stream(tracks_opens=opens, tracks_clicks=clicks)
        _, html = parts(prepared(tracked_message(stream=stream)))
        assert (bool(PICTURE.search(html)), bool(TRACKED.search(html))) == (opens, clicks)

    def test_nobody_asks_by_default(self):
        stream = make_stream()
        assert (stream.tracks_opens, stream.tracks_clicks) == (False, False)

    def test_text_alone_stays_as_it_is(self):
        version = make_version(html="", text="https://example.com/")
        message = make_message(version=version, stream=tracking_stream())
        assert prepared(message).split(b"\r\n\r\n", 1)[1] == b"https://example.com/\r\n"

    def test_leads_to_pages_to_leave_by_directly(self):
        html = '<a href="https://shop.example/newsletter/abmelden?u=1">x</a><a href="https://a.example/Unsubscribe">y</a>'
        message = tracked_message(version=make_version(html=html))
        assert not TRACKED.search(parts(prepared(message))[1])

    def test_is_never_led_through_us_twice(self, settings):
        again = f"{settings.MAILOPS_TRACKING_URL}/l/k1.x.y"
        assert f'href="{again}"' in parts(prepared(tracked_message(merge_data={"link": again})))[1]

    def test_of_a_key_that_is_gone_names_the_key_it_is_signed_with(self):
        message = tracked_message(token_key_id="gone")
        _, html = parts(prepared(message))
        assert {looks.parse_token(token).key_id for token in TRACKED.findall(html)} == {"k1"}

    def test_is_signed_as_it_leaves_and_can_be_left_with_one_press(self):
        message = tracked_message()
        sign_with(message.stream, "ed25519")
        signing.load_signers({message.identity.domain.name})
        content = prepared(message, signs_here=True, takes_8bit=True)
        signing.forget_signers()
        assert verified(content) == {"ed25519"}
        assert (
            b"/feedback/unsubscribe/"
            in content.partition(b"List-Unsubscribe: ")[2].partition(b">")[0]
        )


WRITTEN = {name: starter for name, starter in STARTERS.items() if starter.html}


@pytest.mark.parametrize("starter", WRITTEN.values(), ids=list(WRITTEN))
def test_each_starter_is_the_same_but_for_what_tracks_it(starter):
    version = make_version(html=starter.html, text="")
    plain = compile_version(version).render(starter.sample)
    marked = compile_marked(version).render(starter.sample)
    tracked = track(marked, public_id=uuid4(), key_id="k1", opens=True, clicks=True)
    assert (tracked.subject, tracked.text) == (plain.subject, plain.text)
    assert tracked.html != plain.html
    assert without_tracking(tracked.html) == plain.html
