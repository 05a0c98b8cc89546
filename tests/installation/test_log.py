"""The one log of a running mailops."""

from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from mailops.installation.log import Log


@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_disk_under_it_ends_nothing(as_json):
    stream = Path("/dev/full").open("w")  # noqa: SIM115
    log = Log(stream, as_json=as_json)
    for _ in range(3):
        log.say("web", "a line" * 3000)
    with suppress(OSError):  # what was not written
        stream.close()


@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_terminal_has_no_letters_for_ends_nothing(as_json):
    written = BytesIO()
    log = Log(TextIOWrapper(written, encoding="ascii"), as_json=as_json)
    log.say("web", "mailops – „ready“")
    assert rb"mailops \u2013 \u201eready\u201c" in written.getvalue()
