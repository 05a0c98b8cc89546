"""(f) What it costs to render and to compile a mail, and how long a preview takes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client
from django.urls import reverse
from liquid import BoundTemplate, Environment

from bench import letter
from bench.making import interleaved, over
from bench.peers.mails import context_of
from mailops.accounts.models import Role, User
from mailops.content import child, limits, rendering
from mailops.content.composing import compose
from mailops.content.inlining import inline_styles
from mailops.content.models import MailTemplate

RENDERS, ROUNDS = 250, 20
COMPILES = 10
PREVIEWS = 5
PREVIEWED_OCTETS = 100 * 1024
HEAD = ["", "µs a mail", "range", "mails a second"]
TIMES_HEAD = ["", "ms", "range", "goal"]


@dataclass(frozen=True)
class Mail:
    """The bench's mail, as the library renders it."""

    parts: tuple[BoundTemplate, ...]

    def render(self, data: Mapping[str, Any]) -> list[str]:
        return [BoundTemplate.render(part, data) for part in self.parts]


def mail(html: str, plain: Environment, escaping: Environment) -> Mail:
    return Mail(
        (
            plain.from_string(letter.SUBJECT),
            escaping.from_string(html),
            plain.from_string(letter.TEXT),
        )
    )


def measure_renders() -> tuple[list[list[str]], dict[str, Any]]:
    """Return the rows of renders by mailops and by the library alone, and the figures."""
    composed = compose(letter.HTML).html
    ours = rendering.compile_sources(subject=letter.SUBJECT, html=composed, text=letter.TEXT)
    bounded = mail(composed, limits.PLAIN, limits.HTML)
    unbounded = mail(inline_styles(letter.HTML), Environment(), Environment(autoescape=True))
    data = [context_of(number) for number in range(RENDERS)]
    times = interleaved(
        {
            "as it is sent": over(ours.render, data),
            "by the library, within the same bounds": over(bounded.render, data),
            "by the library, without bounds and guards": over(unbounded.render, data),
        },
        ROUNDS,
    )
    rows = []
    for name, runs in times.items():
        mid, spread = median(runs), f"{min(runs):,.0f} to {max(runs):,.0f}"
        rows.append([name, f"{mid:,.0f}", spread, f"{1e6 / mid:,.0f}"])
    return rows, {name: [round(run, 1) for run in runs] for name, runs in times.items()}


def measure_times() -> tuple[list[list[str]], dict[str, Any]]:
    """Return the rows of what people wait for, in milliseconds of the clock, and the figures."""
    times = {
        "compiling the bench's template": _clocked(_compile_anew, COMPILES),
        "the same, its child not yet warm": _clocked(_compile_cold, COMPILES),
        f"a preview of {PREVIEWED_OCTETS // 1024} KB, the whole answer": _previews(),
    }
    goals = ["100", "", "300"]
    rows = [
        [name, f"{median(runs):,.0f}", f"{min(runs):,.0f} to {max(runs):,.0f}", goal]
        for (name, runs), goal in zip(times.items(), goals, strict=True)
    ]
    return rows, {name: [round(run, 1) for run in runs] for name, runs in times.items()}


def _clocked(act: Callable[[int], object], times: int) -> list[float]:
    act(-1)
    found = []
    for number in range(times):
        began = time.perf_counter()
        act(number)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def _compile_anew(number: int) -> None:
    """Compile what no cache knows, all three parts."""
    html = letter.HTML.replace("</body>", f"<p>{number}</p></body>")
    text = f"{letter.TEXT}{number}"
    composed = compose(html)
    rendering.compile_sources(subject=letter.SUBJECT, html=composed.html, text=text)


def _compile_cold(number: int) -> None:
    child.end_idle()
    _compile_anew(1_000 + number)


def _previews() -> list[float]:
    """Ask the editor's preview for a large mail, changed each time, as somebody who types does."""
    author = User.objects.create(email="bench@example.com", role=Role.EDITOR)
    template = MailTemplate.objects.create(name="Large", draft_subject=letter.SUBJECT)
    client = Client(headers={"host": urlsplit(settings.MAILOPS_BASE_URL).netloc})
    client.force_login(author)
    sample = (letter.FOLDER / "sample.json").read_text()
    source = large_mail()

    def preview(number: int) -> None:
        answer = client.post(
            reverse("content:preview", args=[template.pk]),
            {
                "revision": 0,
                "subject": letter.SUBJECT,
                "text": "",
                "sample": sample,
                "html": source.replace("</body>", f"<p>Typed {number}</p></body>"),
            },
            headers={"HX-Request": "true"},
        )
        if answer.status_code != 200 or b"Typed" not in answer.content:
            raise RuntimeError(f"the preview answered {answer.status_code}")

    return _clocked(preview, PREVIEWS)


def large_mail() -> str:
    """Return the bench's mail, its body repeated until it is as large as the largest that Gmail shows whole."""
    head, _, rest = letter.HTML.partition("<body")
    opening, _, body = rest.partition(">")
    body, _, end = body.partition("</body>")
    times = (PREVIEWED_OCTETS - len(head)) // len(body) + 1
    return f"{head}<body{opening}>{body * times}</body>{end}"
