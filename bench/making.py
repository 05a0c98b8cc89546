"""`python -m bench.making [messages]`: what one message costs to make, next to Python's own classes."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django

from bench import letter
from bench.__main__ import surround
from bench.peers.mails import context_of, headers_of

if TYPE_CHECKING:
    from mailops.content.rendering import Rendered
    from mailops.outbox.mime import Letter

ROUNDS = 5
MESSAGES = 400


def main(messages: int = MESSAGES) -> None:
    mime = import_module("mailops.outbox.mime")
    skeleton = import_module("mailops.outbox.skeleton")
    compiled = import_module("mailops.content.rendering").compile_sources(
        subject=letter.SUBJECT, html=letter.HTML, text=letter.TEXT
    )
    contexts = [context_of(number) for number in range(messages)]
    letters = [
        letter_of(mime.Letter, number, compiled.render(context))
        for number, context in enumerate(contexts)
    ]
    beyond_ascii = [replace(one, subject=f"Grüße, {one.subject}") for one in letters]
    without_8bit = [replace(one, takes_8bit=False) for one in letters]
    on_one_line = [replace(one, html=" ".join(one.html.split())) for one in letters]
    for one in (*letters[:20], *beyond_ascii[:20], *without_8bit[:20], *on_one_line[:20]):
        if skeleton.assemble(one) != mime.build_content(one):
            sys.exit("The skeleton makes another message than the email package: no figures.")
    size = len(skeleton.assemble(letters[0]))
    print(f"A message of {size:,} octets, made {messages} times, each for another recipient")
    times = interleaved(
        {
            "Liquid: subject, HTML and text": over(compiled.render, contexts),
            "skeleton": over(skeleton.assemble, letters),
            "build_content": over(mime.build_content, letters),
            "skeleton, subject beyond ASCII": over(skeleton.assemble, beyond_ascii),
            "build_content, beyond ASCII": over(mime.build_content, beyond_ascii),
            "skeleton, 7bit": over(skeleton.assemble, without_8bit),
            "build_content, 7bit": over(mime.build_content, without_8bit),
            "skeleton, HTML on one line": over(skeleton.assemble, on_one_line),
            "build_content, HTML on one line": over(mime.build_content, on_one_line),
        },
        ROUNDS,
    )
    base = median(times["skeleton"])
    print(f"{'':32}{'µs':>8}  {'range':>15}  {'to skeleton':>11}")
    for name, runs in times.items():
        spread = f"{min(runs):,.0f} – {max(runs):,.0f}"
        print(f"{name:32}{median(runs):8,.1f}  {spread:>15}  {median(runs) / base:11.1f}")


def letter_of(make: "type[Letter]", number: int, rendered: "Rendered") -> "Letter":
    public_id = UUID(int=number << 64 | number)
    return make(
        public_id=public_id,
        header_from_name=letter.SENDER_NAME,
        header_from=f"{letter.SENDER}@{letter.DOMAIN}",
        reply_to="",
        takes_8bit=True,
        recipient=letter.address(number),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=f"<{public_id.hex}@{letter.DOMAIN}>",
        date=datetime.now(UTC),
        headers=headers_of(number),
    )


def over(act: Callable[[Any], object], things: Iterable[Any]) -> Callable[[], float]:
    """Return a measurement: the processor time of `act` for one of `things`, in microseconds."""
    everything = list(things)

    def measure() -> float:
        began = time.process_time()
        for thing in everything:
            act(thing)
        return (time.process_time() - began) / len(everything) * 1e6

    return measure


def interleaved(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Take each measurement in turn, so many times over, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            times[name].append(measure())
    return times


if __name__ == "__main__":
    surround()
    django.setup()
    main(*map(int, sys.argv[1:]))
