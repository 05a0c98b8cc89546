"""The list that leads from an empty installation to a first campaign, and then is done."""

from dataclasses import dataclass

from mailops.accounts.permissions import Act
from mailops.audiences.models import Membership
from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import CheckStatus, Domain
from mailops.lib.templatetags.navigation import resolve
from mailops.transports.models import Stream, Transport


@dataclass(frozen=True)
class Step:
    act: Act
    words: str
    url: str
    is_done: bool

    @property
    def whose(self) -> str:
        """Whose work it is, for who may not do it."""
        return _WHOSE[self.act]


_WHOSE = {Act.CONFIGURE: "an admin", Act.AUTHOR: "an editor or operator", Act.SEND: "an operator"}


def steps() -> list[Step]:
    """Return the steps, or nothing once the last one is done."""
    if Campaign.objects.exclude(started_at=None).exists():
        return []
    domains, transports = resolve("domains:list"), resolve("transports:list")
    return [
        Step(Act.CONFIGURE, "Add the domain you send from", domains, Domain.objects.exists()),
        Step(
            Act.CONFIGURE,
            "Publish its records until the checks pass",
            domains,
            Domain.objects.filter(status__in=(CheckStatus.OK, CheckStatus.WARNING)).exists(),
        ),
        Step(
            Act.CONFIGURE,
            "Add a transport and test it",
            transports,
            Transport.objects.exclude(last_tested_at=None).exists(),
        ),
        Step(
            Act.CONFIGURE, "Make a stream", resolve("transports:streams"), Stream.objects.exists()
        ),
        Step(
            Act.AUTHOR,
            "Write a template and publish it",
            resolve("content:list"),
            TemplateVersion.objects.exists(),
        ),
        Step(
            Act.SEND,
            "Import an audience",
            resolve("audiences:list"),
            Membership.objects.kept().exists(),
        ),
        Step(Act.SEND, "Launch a campaign", resolve("campaigns:list"), False),
    ]
