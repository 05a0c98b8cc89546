"""Waiting for what the server answers to what is typed into an editor."""

from urllib.parse import unquote_plus


def kept(page, words):
    """Wait for the answer to the preview that has `words` in it: by then the server keeps them."""
    return page.expect_response(
        lambda response: response.url.endswith("/preview/") and words in _said(response.request)
    )


def _said(request):
    return unquote_plus(request.post_data or "").replace("\r\n", "\n")
