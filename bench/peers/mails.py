"""What both peers put into a mail besides its template."""

from typing import Any

from bench import letter


def context_of(number: int) -> dict[str, Any]:
    return {
        **letter.attributes(number),
        "email": letter.address(number),
        "unsubscribe_url": unsubscribe_url(number),
    }


def unsubscribe_url(number: int) -> str:
    """Return a URL as long as mailops' own."""
    return f"http://127.0.0.1:8000/u/{number:0>60}/"


def headers_of(number: int) -> dict[str, str]:
    """Return the header fields that bulk mail must have."""
    return {
        "List-Unsubscribe": f"<{unsubscribe_url(number)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": f"c1:v1:s1:{letter.DOMAIN}",
    }
