"""(f) What it costs to render and to compile a mail, what each bound of that costs, and how long a preview takes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client
from django.urls import reverse
from liquid import BoundTemplate, RenderContext
from liquid.builtin.tags.for_tag import ForNode, ForTag

from bench import letter
from bench.making import interleaved, over
from bench.peers.mails import context_of
from mailops.accounts.models import Role, User
from mailops.content import child, limits, rendering
from mailops.content.composing import compose
from mailops.content.inlining import inline_styles
from mailops.content.models import MailTemplate
from mailops.content.output import Buffer

RENDERS, ROUNDS = 250, 20
COMPILES = 10
PREVIEWS = 5
PREVIEWED_OCTETS = 100 * 1024
HEAD = ["", "µs a mail", "range", "mails a second", "it costs"]
TIMES_HEAD = ["", "ms", "range", "goal"]


class Unaccounted(limits.Context):
    """Counts no work: neither loops nor values are charged."""

    __slots__ = ()

    def spend(self, work: int) -> None:
        pass


class Unmeasured(limits.Context):
    """Doesn't look at the sizes of values, before and after filters, nor of what is assigned."""

    __slots__ = ()

    def assign(self, key: str, val: Any) -> None:
        self.locals[key] = val

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        function: Callable[..., object] = RenderContext.filter(self, name, token)
        return function


class Unlimited(Unmeasured, Unaccounted):
    __slots__ = ()


class Endless(Buffer):
    """Writes whatever comes, however much."""

    __slots__ = ()

    def take(self, octets: int) -> None:
        pass


class PlainFor(ForTag):
    """Loops that aren't metered, with the name as quick as ours."""

    class node_class(ForNode):  # noqa: N801 - the library's name for it
        def __init__(self, token: Any, expression: Any, block: Any, default: Any = None) -> None:
            expression.identifier = str(expression.identifier)
            super().__init__(token, expression, block, default)


def environment(
    context: type[limits.Context] = limits.Context,
    *,
    is_metered: bool = True,
    is_counted: bool = True,
    autoescape: bool,
) -> limits.BoundedEnvironment:
    """Return mailops' environment without some of its bounds."""

    def get_buffer(self: limits.Context, buf: Any = None) -> Buffer:  # noqa: ARG001
        return Endless(0)

    def first_buffer(self: BoundTemplate) -> Buffer:  # noqa: ARG001
        return Endless(0)

    counted = {} if is_counted else {"get_buffer": get_buffer}
    used = type("Context", (context,), {"__slots__": (), **counted})
    first = {} if is_counted else {"_get_buffer": first_buffer}
    template = type("Template", (limits.Template,), {"context_class": used, **first})
    made: limits.BoundedEnvironment = type(
        "Environment", (limits.BoundedEnvironment,), {"template_class": template}
    )(autoescape=autoescape)
    if not is_metered:
        made.add_tag(PlainFor)
    return made


@dataclass(frozen=True)
class Mail:
    """The bench's mail as one environment parsed it."""

    parts: tuple[BoundTemplate, ...]

    def render(self, data: Mapping[str, Any]) -> list[str]:
        return [part.render(data) for part in self.parts]


def mail(html: str, **without: Any) -> Mail:
    plain = environment(autoescape=False, **without)
    escaping = environment(autoescape=True, **without)
    return Mail(
        (
            plain.from_string(letter.SUBJECT),
            escaping.from_string(html),
            plain.from_string(letter.TEXT),
        )
    )


def measure_renders() -> tuple[list[list[str]], dict[str, Any]]:
    """Return the rows of renders with all bounds and without each of them, and the figures."""
    composed = compose(letter.HTML).html
    ours = rendering.compile_sources(subject=letter.SUBJECT, html=composed, text=letter.TEXT)
    mails = {
        "all bounds": mail(composed),
        "without the account of work (time)": mail(composed, context=Unaccounted),
        "without metered loops": mail(composed, is_metered=False),
        "without sizes of values (memory)": mail(composed, context=Unmeasured),
        "without a limit of output": mail(composed, is_counted=False),
        "without guards of addresses and styles": mail(inline_styles(letter.HTML)),
        "without any of them": mail(
            inline_styles(letter.HTML), context=Unlimited, is_metered=False, is_counted=False
        ),
    }
    data = [context_of(number) for number in range(RENDERS)]
    measures = {"as it is sent": over(ours.render, data)}
    measures |= {name: over(each.render, data) for name, each in mails.items()}
    times = interleaved(measures, ROUNDS)
    # The quickest round of each is the one that nothing disturbed: only of those is a few percent a difference.
    base = min(times["all bounds"])
    rows = []
    for name, runs in times.items():
        costs = f"{1 - min(runs) / base:.0%}" if name.startswith("without") else ""
        mid, spread = median(runs), f"{min(runs):,.0f} to {max(runs):,.0f}"
        rows.append([name, f"{mid:,.0f}", spread, f"{1e6 / mid:,.0f}", costs])
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
