"""Foreign HTML in a frame, without frames of its own."""

import pytest

from mailops.lib.foreign_html import without_frames


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>a</p><iframe src=//x>b</iframe>", "<p>a</p><x-iframe src=//x>b</iframe>"),
        ("<IFrame/src=//x>", "<x-IFrame/src=//x>"),
        ("<frameset><frame src=//x>", "<x-frameset><x-frame src=//x>"),
        ('<iframe srcdoc="<iframe src=//x>">', '<x-iframe srcdoc="<x-iframe src=//x>">'),
        ("a < iframe, a<b", "a < iframe, a<b"),
    ],
)
def test_loses_frames_alone(html, shown):
    assert without_frames(html) == shown
