"""Frames that show a mail, in a real browser."""

import socket

import pytest

from mailops.content.models import Preview
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
