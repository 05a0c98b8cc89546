"""Makes the mail that a session speaks of; while it waits for a reply it makes ahead, so that no mark waits for that."""

import time
from collections.abc import Mapping

from mailops.content.models import TemplateVersion
from mailops.dispatch.claiming import Job
from mailops.dispatch.lanes import Lane
from mailops.dispatch.preparing import Prepared, Way, prepare, prepare_all

AHEAD_OCTETS = 100_000  # larger mail is made when it is its turn: what lies ready takes memory
AHEAD = 64  # made together: more at once save little, and keep other sessions waiting
AHEAD_OF_EACH = 4  # and for each session: where there are few, mail would be old when it leaves


class Maker:
    """Makes mail for one session, and takes what another one of its lane made ahead in the same way."""

    def __init__(
        self, lane: Lane, versions: Mapping[int, TemplateVersion], *, takes_8bit: bool
    ) -> None:
        self._lane, self._versions = lane, versions
        transport = lane.transport
        self._way = Way(transport.return_path_host, takes_8bit, transport.is_signed_here)

    def make(self, job: Job) -> Prepared:
        """Return the mail of a job that was taken; raise Objection where it can't be made, or CannotSign."""
        way, ahead = self._lane.made.pop(job.fence, (None, None))
        if ahead is not None and way == self._way:
            return ahead
        made = prepare(job, self._versions[job.version_id], self._way)
        self._note_size(made)
        return made

    def make_ahead(self) -> None:
        """Make the mail that is next in the lane, if that has any."""
        if self._lane.has_enough_made:
            return
        time.sleep(0)  # gevent's threads change only here: others have their bodies to write first
        jobs = self._lane.next_unmade(min(AHEAD, AHEAD_OF_EACH * len(self._lane.sessions)))
        for job, made in zip(jobs, prepare_all(jobs, self._versions, self._way), strict=True):
            if isinstance(made, Prepared):
                self._note_size(made)
                self._lane.made[job.fence] = self._way, made
            else:  # whoever takes the job meets it again, and tells it; or it is over, as a lack of memory may be
                self._lane.made[job.fence] = self._way, None

    def _note_size(self, made: Prepared) -> None:
        """Note whether mail of its version may lie ready."""
        light, version_id = self._lane.light, made.job.version_id
        (light.add if len(made.content) <= AHEAD_OCTETS else light.discard)(version_id)
