"""What was stored is text wherever it is shown: no markup on a page, no template, no formula in a CSV file."""

import csv
import io

import pytest

from tests.addresses import Address
from tests.examples import example
from tests.factories import make_campaign, make_incident, make_message, make_suppression
from tests.wrong_input.stored_text import furnish, write_everywhere
from tests.wrong_input.test_walk import EXAMPLES, app_of, body_of

MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
LIQUID = "{{ 7777 | times: 7 }}"
RENDERED_LIQUID = "54439"
# these show a mail as its recipient gets it, in a frame that may run nothing
FRAMES = {"content:version-html", "content:preview-html", "outbox:html", "sandbox:message-html"}
# these render a person's template, which is what it is for
RENDERING = {
    "content:edit",
    "content:version",
    "content:version-html",
    "outbox:detail",
    "outbox:html",
}
STARTS = ("=", "+", "-", "@", "\t", "\r")
NOTHING_STORED = {
    "account_reset_password",
    "account_reset_password_done",
    "installation",
    "mfa_login_webauthn",
}
FORMULAS = ["=HYPERLINK(1)", "+1+cmd", "-1+cmd", "@SUM(1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("some", EXAMPLES)
def test_no_page_takes_it_for_markup(some: list[Address], browser):
    paths = [(address, example(address)) for address in some]
    furnish(MARKUP)
    write_everywhere(MARKUP + LIQUID)
    shown = 0
    for address, path in paths:
        response = browser.get(path)
        body = body_of(response)
        assert response.status_code < 500, address
        if response["Content-Type"].startswith("text/html") and address.name not in FRAMES:
            assert "<script>alert" not in body, address
            assert "<img src=x" not in body, address
            shown += "&lt;script&gt;alert" in body
        if address.name not in RENDERING:
            assert RENDERED_LIQUID not in body, address
        if address.name in FRAMES and response.status_code == 200:
            assert response["Content-Security-Policy"].endswith("sandbox")
    assert shown or app_of(some[0]) in NOTHING_STORED


def exports() -> list[str]:
    """Return the paths of every download that a spreadsheet opens, for rows made just now."""
    every = [address for param in EXAMPLES for address in param.values[0]]
    named = [one for one in every if one.name.endswith(("export", "csv", "remarks"))]
    paths = {one.name: example(one) for one in [*named, *(e for e in every if "split" in e.name)]}
    paths["audiences:import-remarks"] += "?outcome=rejected"
    split = paths.pop("reports:export-split")
    by = ("campaign", "domain", "stream", "transport", "mailbox_provider")
    return [*paths.values(), *(f"{split}?by={dimension}" for dimension in by)]


def test_no_export_gives_a_spreadsheet_a_formula(browser):
    for make in (make_incident, make_suppression):
        make()
    make_message(campaign=make_campaign())
    paths = exports()
    assert len(paths) > 15
    furnish("x")
    seen = set()
    for formula in FORMULAS:
        write_everywhere(formula)
        for path in paths:
            response = browser.get(path)
            assert response["Content-Type"].startswith("text/csv"), path
            rows = list(
                csv.reader(io.StringIO(body_of(response).removeprefix("\ufeff"), newline=""))
            )
            for cell in (cell for row in rows for cell in row):
                assert not cell.startswith(STARTS) or is_number(cell), (path, cell)
                seen |= {path} if formula in cell else set()
    assert len(seen) >= 12  # of the others, no cell is anybody's text


def is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdigit()
