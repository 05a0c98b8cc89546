"""Probes of the ways out: their secrets, their last test, the stream's patience, and the way back."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from mailops.rollouts.captured import in_use
from mailops.rollouts.probes.proof import Proof
from mailops.transports.concerns import concerns_of_secret
from mailops.transports.diagnosis import run_test
from mailops.transports.models import Credential, Stream, Transport

TEST_LASTS = timedelta(hours=23)  # a little less than its proof, so that it never goes stale
FAILED_TEST_LASTS = timedelta(minutes=5)  # it may have been mended
LEAST_DAYS = 14  # of a certificate
LONGEST_WAIT = 24 * 3600  # a step longer than a day makes mail pointless before it is tried again
EXPIRY = range(60, 7 * 24 * 3600 + 1)  # RFC 5321 section 4.5.4.1: give up after four to five days
NO_ROUTE = ("No transport carries this stream.", "Choose a transport on the stream's page.")


def _transports(stream: Stream) -> list[Transport]:
    routes = stream.routes.select_related("transport").order_by("position")
    return [route.transport for route in routes]


def credentials(stream: Stream) -> Proof:
    """Check that the secrets of all transports of `stream` are encrypted rows or references, neither old nor expired."""
    transports = _transports(stream)
    problems = [problem for transport in transports for problem in _exposed(transport)]
    return Proof.over(
        problems if transports else [NO_ROUTE],
        well="Every secret is kept encrypted or by reference, and none is older than a year.",
        data={transport.name: _kept(transport.active_credential) for transport in transports},
    )


def _kept(credential: Credential | None) -> str:
    if credential is None:
        return "no secret"
    if credential.reference:
        return f"reference {credential.reference.partition(':')[0]}"
    if credential.oauth:
        return "OAuth tokens, encrypted" if credential.oauth.is_given else "no token"
    return "encrypted row" if credential.secret else "empty"


def _exposed(transport: Transport) -> Iterator[tuple[str, str]]:
    credential = transport.active_credential
    if credential is None:
        if not transport.is_trusted_relay:
            yield f"{transport} has no credential.", f"Add one on the page of {transport}."
        return
    for concern in concerns_of_secret(credential, timezone.now()):
        yield f"The credential of {transport}: {concern.title.lower()}.", concern.fix


def transports(stream: Stream) -> Proof:
    """Check the last test of every transport of `stream`; an old one, or one that failed, is done again."""
    found = _transports(stream)
    for transport in found:
        if _is_worth_testing(transport):
            run_test(transport, by="checklist")
    data = {transport.name: _summary(transport) for transport in found}
    problems = [problem for transport in found for problem in _unsafe(transport)]
    relays = [transport.name for transport in found if transport.is_trusted_relay]
    others = "TLS is verified and the log-in works. " if len(relays) < len(found) else ""
    noted = (
        f"Trusted relays, which need neither TLS nor log-in: {'; '.join(relays)}." if relays else ""
    )
    return Proof.over(
        problems if found else [NO_ROUTE],
        well=f"Every transport was tested. {others}{noted}".strip(),
        data=data,
    )


def _is_worth_testing(transport: Transport) -> bool:
    at = transport.last_tested_at
    if at is None or not transport.last_test:
        return True
    lasts = TEST_LASTS if transport.last_test.get("is_ok") else FAILED_TEST_LASTS
    return at < timezone.now() - lasts


def _summary(transport: Transport) -> dict[str, Any]:
    test: Mapping[str, Any] = transport.last_test
    tls: Mapping[str, Any] = test.get("tls") or {}
    return {
        "ok": test.get("is_ok"),
        "tls": tls.get("version", "none"),
        "certificate days left": tls.get("days_left"),
        "tested": str(transport.last_tested_at or "never"),
    }


def _unsafe(transport: Transport) -> Iterator[tuple[str, str]]:
    test: Mapping[str, Any] = transport.last_test
    look = f"Open the page of {transport} and test the connection."
    if not test.get("is_ok"):
        yield f"{transport}: {test.get('what') or 'the last test failed.'}", test.get("fix") or look
        return
    if transport.is_trusted_relay or transport.kind != Transport.Kind.SMTP:
        return
    tls: Mapping[str, Any] = test.get("tls") or {}
    if not tls:
        yield f"{transport} does not use TLS.", "Choose STARTTLS on 587 or TLS on 465."
    elif int(tls.get("days_left") or 0) < LEAST_DAYS:
        yield (
            f"The certificate of {transport} ends in {tls.get('days_left')} days.",
            "Have its operator renew it.",
        )
    if not (test.get("auth") or {}).get("is_logged_in"):
        yield f"{transport} lets mail in without a log-in.", f"Add a credential to {transport}."


def patience(stream: Stream) -> Proof:
    """Check that back-off and expiry are set on `stream` itself, and within bounds."""
    steps = list(stream.backoff_seconds)
    return Proof.over(
        _impatient(stream, steps),
        well=f"{len(steps)} back-off steps, {_told(steps)}; mail expires after {_told([stream.expiry_seconds])}; each phase of a session has its time-out.",
        data={"backoff_seconds": steps, "expiry_seconds": stream.expiry_seconds},
    )


def _told(seconds: list[int]) -> str:
    """Return durations for people: “60 s to 8 h”."""
    ends = [seconds[0], seconds[-1]] if len(seconds) > 1 else seconds
    sizes = [(3600, "h"), (60, "min"), (1, "s")]
    words = []
    for end in ends:
        size, unit = next(((n, u) for n, u in sizes if end % n == 0 and end >= n), (1, "s"))
        words.append(f"{end // size} {unit}")
    return " to ".join(words)


def _impatient(stream: Stream, steps: list[int]) -> Iterator[tuple[str, str]]:
    fix = "Set back-off and expiry on the stream's page."
    if not steps:
        yield "No back-off is set.", fix
    elif min(steps) < 1 or max(steps) > LONGEST_WAIT:
        yield "A back-off step is not between a second and a day.", fix
    elif steps != sorted(steps):
        yield "The back-off steps don't grow.", fix
    if stream.expiry_seconds not in EXPIRY:
        yield "The expiry is not between a minute and seven days.", fix
    elif steps and stream.expiry_seconds < steps[0]:
        yield "Mail expires before it is tried a second time.", fix


def way_back(stream: Stream) -> Proof:
    """Check that an earlier published version and a second route are there to fall back on."""
    found = _transports(stream)
    versions = [use.version for use in in_use(stream)]
    first = [version for version in versions if version.number < 2]
    problems = []
    if len(found) < 2:
        problems.append(
            (
                "There is no second transport.",
                "Add a second transport to the routes on the stream's page.",
            )
        )
    problems += [
        (
            f"{version} has no earlier version.",
            "Publish the template again, so that there is one to go back to.",
        )
        for version in first
    ]
    if not versions:
        problems.append(("This stream uses no template yet.", "Make a campaign or send a message."))
    return Proof.over(
        problems,
        well="An earlier version of each template and a second transport are there.",
        data={
            "transports": [transport.name for transport in found],
            "versions": [str(version) for version in versions],
        },
        versions=tuple(version.pk for version in versions),
        failing=tuple(version.pk for version in first) if len(found) >= 2 else (),
    )
