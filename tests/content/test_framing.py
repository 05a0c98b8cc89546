"""Frames that show a mail, in a real browser."""

import socket

import pytest

from mailops.content.embedding import embedded
from mailops.content.models import FileContent, Preview
from mailops.lib.foreign_html import MOST_OF_PICTURES
from tests.content.test_pages import template, url  # noqa: F401 - fixture


@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
def test_a_mails_own_frames_connect_to_nobody(open_page, editor, template):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = f"127.0.0.1:{stranger.getsockname()[1]}"
        html = f'<p>Hi</p><iframe src="http://{address}/" width="10"></iframe>'
        Preview.objects.create(template=template, user=editor, html=html)
        page = open_page(url("detail", template), editor)
        page.evaluate(
            """path => new Promise(shown => {
                const frame = document.createElement("iframe");
                frame.sandbox = ""; frame.onload = shown; frame.src = path; document.body.append(frame);
            })""",
            url("preview-html", template),
        )
        with socket.create_connection(stranger.getsockname()) as ours:
            first, came_from = stranger.accept()
            first.close()
            assert came_from == ours.getsockname()


def test_a_picture_that_is_shown_too_often_for_a_page_is_left_out_there(db):
    png = b"\x89PNG\r\n\x1a\n" + bytes(1_500_000)
    FileContent.objects.create(sha256="a" * 64, content=png, size=len(png))
    html = embedded(f'<img src="cid:{"a" * 32}@mailops">' * 1000)
    assert len(html) < MOST_OF_PICTURES + 30_000
    assert html.startswith('<img src="data:image/png;base64,')
    assert html.endswith('<img src="data:,">')
