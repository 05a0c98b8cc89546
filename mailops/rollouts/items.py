"""What the two lists ask: one row for each item, with what proves it and for how long."""

from dataclasses import dataclass
from datetime import timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a list."""

    number: int
    title: str
    asks: str
    probe: str = ""  # a name of `probes.PROBES`; empty where only a person can tell
    proof_lasts: timedelta | None = DAY  # None: as long as nothing changes
    signed_for: timedelta | None = None  # how long a signature may last; None: none counts
    to_sign: str = ""  # what to do before signing
    by_version: bool = False  # the proof is of the template versions in use
    names_versions: bool = False  # what it fails for is told of each version in use
    week: int = 0  # of the two-week plan


PRODUCTION = (
    Item(
        number=1,
        title="SPF, DKIM and DMARC pass",
        asks="The domain's checks hold, and the newest captured mail of this stream is aligned.",
        probe="authentication",
    ),
    Item(
        number=2,
        title="Credentials are not in source control",
        asks="The secret of every transport is an encrypted row or a reference, and not too old.",
        probe="credentials",
    ),
    Item(
        number=3,
        title="Port and TLS are validated",
        asks="Every transport was tested: TLS verified, login over TLS, certificate good for 14 days or more.",
        probe="transports",
    ),
    Item(
        number=4,
        title="Retry, time-out and back-off are explicit",
        asks="The stream's own rows are set and within bounds.",
        probe="patience",
        proof_lasts=None,
    ),
    Item(
        number=5,
        title="Bounces and complaints are monitored, with an owner",
        asks="A feedback path was heard from, the stream has an owner, and alarms are on.",
        probe="feedback",
    ),
    Item(
        number=6,
        title="Templates are validated in inbox tests",
        asks="A capture of each published version in use was asserted: subject, links, unsubscribe, parts.",
        probe="captures",
        proof_lasts=None,
        by_version=True,
        names_versions=True,
    ),
    Item(
        number=7,
        title="Dark mode and clients were checked",
        asks="Somebody looked at each published version in use, light and dark, and signed.",
        signed_for=timedelta(days=365),
        to_sign="Open each version in use, light and dark, and in the mail programs your readers use; then sign.",
        by_version=True,
    ),
    Item(
        number=8,
        title="There is a way back",
        asks="An earlier published version and a second transport exist, and a drill was signed.",
        probe="way_back",
        names_versions=True,
        signed_for=timedelta(days=90),
        to_sign="As a drill, restore an earlier version and let the second transport carry the stream; then sign.",
    ),
)

TWO_WEEKS = (
    Item(
        number=1,
        week=1,
        title="The SMTP path has secure defaults",
        asks="Every transport was tested: TLS verified, login over TLS, certificate good for 14 days or more.",
        probe="transports",
    ),
    Item(
        number=2,
        week=1,
        title="Authentication is checked for every active domain",
        asks="Each domain that a stream sends from is checked by schedule, and none is broken.",
        probe="active_domains",
    ),
    Item(
        number=3,
        week=1,
        title="An inbox assertion covers one critical journey",
        asks="A capture of each published version in use was asserted: subject, links, unsubscribe, parts.",
        probe="captures",
        proof_lasts=None,
        by_version=True,
    ),
    Item(
        number=4,
        week=2,
        title="Deliverability and spam diagnostics run in CI",
        asks="The pipeline runs check_domain and check_rollout and fails by their exit codes.",
        signed_for=timedelta(days=90),
        to_sign="Add “manage.py check_domain” and “manage.py check_rollout” to your pipeline, see them fail once, then sign.",
    ),
    Item(
        number=5,
        week=2,
        title="Retry and incident playbooks have owners",
        asks="The stream has an owner, and the playbooks were read and signed.",
        probe="owner",
        signed_for=timedelta(days=90),
        to_sign="Let the owner read the playbooks for deferrals and incidents and say who is called; then sign.",
    ),
    Item(
        number=6,
        week=2,
        title="A canary is validated before each production rollout",
        asks="A small first part was sent and looked at before the rest.",
        signed_for=timedelta(days=30),
        to_sign="Send a small first part, look at its bounces and complaints, then sign.",
    ),
)
