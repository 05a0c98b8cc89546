"""Tells what DMARC makes of mail by each way out, from what the last check wrote down; asks no DNS."""

from mailops.domains.checks.alignment import WORKS, Facts, align_way
from mailops.domains.expected import Way, expectations_of
from mailops.domains.models import CheckStatus, Domain
from mailops.protocol.alignment import Alignment


def alignments_of(domain: Domain) -> dict[str, tuple[Way, Alignment]]:
    """Return the alignment of mail from `domain` by the name of each way; what was not checked is not known."""
    facts = Facts.kept(domain.dmarc_facts)
    told = domain.findings.values_list("check_name", "status")
    works = {check: WORKS.get(CheckStatus(status)) for check, status in told}
    return {
        way.name: (way, align_way(domain.name, way, facts, works.get))
        for way in expectations_of(domain).ways
    }
