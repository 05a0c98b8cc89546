"""Makes the mail that a session speaks of; while it waits for a reply it makes ahead, so that no mark waits for that."""

import time
from collections.abc import Mapping
from contextlib import suppress

from mailops.content.models import TemplateVersion
from mailops.dispatch.claiming import Job
from mailops.dispatch.lanes import Lane, Way
from mailops.dispatch.preparing import Prepared, prepare

AHEAD_OCTETS = 100_000  # larger mail is made when it is its turn: what lies ready takes memory


class Maker:
    """Makes mail for one session, and takes what another one of its lane made ahead in the same way."""

    def __init__(
        self, lane: Lane, versions: Mapping[int, TemplateVersion], *, takes_8bit: bool
    ) -> None:
        self._lane, self._versions = lane, versions
        transport = lane.transport
        self._way = Way(transport.return_path_host, takes_8bit, transport.is_signed_here)

    def make(self, job: Job) -> Prepared:
        """Return the mail of a job that was taken; raise what `prepare` raises."""
        way, made = self._lane.made.pop(job.fence, (None, None))
        return made if made and way == self._way else self._make(job)

    def make_ahead(self) -> None:
        """Make the mail that is next in the lane, if that has any."""
        time.sleep(0)  # gevent's threads change only here: others have their bodies to write first
        if self._lane.is_light and (job := self._lane.next_unmade()):
            made = None
            with suppress(Exception):  # whoever takes the job meets it again, and tells it
                made = self._make(job)
            self._lane.made[job.fence] = self._way, made

    def _make(self, job: Job) -> Prepared:
        host, takes_8bit, signs_here = self._way
        version = self._versions[job.version_id]
        made = prepare(job, version, host, takes_8bit=takes_8bit, signs_here=signs_here)
        self._lane.is_light = len(made.content) <= AHEAD_OCTETS
        return made
