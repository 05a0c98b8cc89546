"""What proves each item: one function for each probe, by the name the lists use."""

from collections.abc import Callable, Mapping

from mailops.rollouts.probes.authentication import active_domains, authentication
from mailops.rollouts.probes.captures import captures
from mailops.rollouts.probes.monitoring import feedback, owner
from mailops.rollouts.probes.proof import Proof
from mailops.rollouts.probes.transport import credentials, patience, transports, way_back
from mailops.transports.models import Stream

PROBES: Mapping[str, Callable[[Stream], Proof]] = {
    "authentication": authentication,
    "active_domains": active_domains,
    "captures": captures,
    "credentials": credentials,
    "feedback": feedback,
    "owner": owner,
    "patience": patience,
    "transports": transports,
    "way_back": way_back,
}
