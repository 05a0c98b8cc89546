"""Delivers a lane: claims due messages, and runs sessions in threads over them (states.md)."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection

from mailops.campaigns.models import Campaign
from mailops.content.files import files_of_version, infection_of
from mailops.content.models import TemplateVersion
from mailops.dispatch.carriers import Carrier, usable_carriers
from mailops.dispatch.claiming import Claimer, Job
from mailops.dispatch.committing import Committer, Request
from mailops.dispatch.conversation import SystemicFault
from mailops.dispatch.crowding import HOLD_SECONDS, forget_crowding, have_fewer_sessions
from mailops.dispatch.detours import Detours
from mailops.dispatch.lanes import Lane
from mailops.dispatch.opening import Opening, our_fault
from mailops.dispatch.pulse import Pulse
from mailops.dispatch.releasing import release, release_claims_since
from mailops.dispatch.seating import Seating, talking_of, waits_in_vain
from mailops.dispatch.seats import SeatKeeper
from mailops.dispatch.talks import Talks
from mailops.dispatch.working import WorkerProcess
from mailops.domains.signing import load_signers
from mailops.outbox.taught import load_taught
from mailops.transports.models import PauseCause, Stream, Transport
from mailops.transports.rotation import LOGIN_CAUSES, outlives
from mailops.transports.sessions import Phase, SessionFault

logger = logging.getLogger(__name__)

# a delivery task hands on after this; the broker shows it to others again after 60
RUN_SECONDS = 50.0
# how long a run that sent something waits for more, so that sessions stay warm
LINGER_SECONDS = 0.5
# how often a lane without jobs, or with some, is looked after
LOOK_SECONDS, BUSY_LOOK_SECONDS = 0.1, 0.25
RETRY_SECONDS = 0.5  # after the database refused
# how soon a fault is acted on, another session opened, the end of the process seen
STEP_SECONDS = 0.02
LAST_WRITE_SECONDS = 0.5  # for what was read just before the grace ended
ALIVE_SECONDS = 1.0  # how often a worker asks whether it lives; claims and marks ask each time
VERSION_SECONDS = 600.0  # how long a template's version is kept for the next job
# What no waiting mends; other faults back off and open the breaker.
NEEDS_A_PERSON = frozenset(
    {
        "auth_failed",
        "auth_required",
        "auth_not_offered",
        "clear_text_auth",
        "needs_oauth",
        "not_allowed",
        "oauth_not_offered",
        "oauth_revoked",
    }
)


class Delivery:
    """Delivers one lane for the life of a process, run by run.

    The caller's thread claims and looks after transports, each session talks in a thread of its own, and the committer's
    thread writes for all of them. Sessions outlive a run: a peer may take ten minutes for its final reply, a run lasts less than one.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        lane: str,
        *,
        should_stop: Callable[[], bool],
        hearing: Pulse | None = None,
    ) -> None:
        self._worker, self._lane_name, self._should_stop = worker, lane, should_stop
        self._committer = Committer(count_sessions=self._count_sessions)
        self._lanes: dict[int, Lane] = {}  # transport → its jobs and sessions
        self._closed: list[Lane] = []  # whose last sessions still talk; others took their place
        self._versions: dict[int, TemplateVersion] = {}
        self._wanted_at: dict[int, float] = {}  # version → when a job of it was claimed last
        self._faults: deque[SystemicFault] = deque()
        self._claimer: Claimer | None = None
        self._seating: Seating | None = None
        self._talks = Talks()
        self._detours = Detours()
        self._is_ending = False
        self._pulse = Pulse()
        self._hearing = hearing or Pulse()  # of the loop that calls `run`
        self._opening = Opening(
            self._committer,
            self._talks,
            self._versions,
            self._pulse,
            stop_for=self._faults.append,
            is_ending=lambda: self._is_ending,
        )
        self._taken = 0
        self._known_fence = 0  # the highest of the claims that reached a lane
        self._may_have_lost_claims = False
        self._look_at = self._alive_until = 0.0
        worker.count_sessions = self._count_sessions
        worker.count_logins = self._count_logins
        worker.is_stuck = self._is_stuck

    def run(self) -> bool:
        """Deliver until nothing is left to do; return whether there is more, because time was up.

        Where the process should stop, finish what is in flight instead.
        """
        self._is_ending = False
        ends_at = time.monotonic() + RUN_SECONDS
        self._taken, idle_since = 0, time.monotonic()
        self._worker.start_heart()
        with self._pulse.beating():
            with self._pulse.at_once():
                self._committer.start()
            while not self._should_stop():
                self._pulse.turn()
                self._step()
                now = time.monotonic()
                if self._is_busy():
                    idle_since = now
                    if now > ends_at:
                        return True
                elif now - idle_since > (LINGER_SECONDS if self._taken else 0.0):
                    self._leave_seats()
                    return False
                time.sleep(STEP_SECONDS)
        self.finish()
        return False

    def _is_stuck(self) -> bool:
        """Tell whether the committer's thread stands still for good, or this one: within a run or between two.

        Between two, that can wait until no session talks and all is written: the end of this process puts nothing in doubt.
        """
        if self._pulse.is_stuck or self._committer.pulse.is_stuck:
            return True
        is_over = self._pulse.is_at_rest and self._committer.is_idle and not self._count_sessions()
        return is_over and self._hearing.is_stuck

    def _is_busy(self) -> bool:
        if self._claimer is not None and self._claimer.waits_for_rate:
            return True  # the next message may leave in a moment; a tick may be a second away
        if self._committer.has_unwritten or self._may_have_lost_claims:
            return True
        if any(lane.waits_for_seat for lane in self._lanes.values()):
            return True  # who leaves loses its turn
        return self._has_work_in_hand()

    def _has_work_in_hand(self) -> bool:
        # An idle session that is only kept warm is no work, but one that still talks is.
        return any(lane.jobs or lane.live_sessions for lane in self._every_lane())

    def _step(self) -> None:
        try:
            self._pause_what_must()
            if not self._committer.has_unwritten:  # else no mark is granted
                self._look_for_work()
        except (OperationalError, InterfaceError) as error:
            logger.warning(
                "the database is away (%s); nothing new is claimed until it is back", error
            )
            self._look_again_later()
        except Error:
            logger.exception("the database refused a question; nothing new is claimed meanwhile")
            self._look_again_later()

    def _look_for_work(self) -> None:
        if self._must_look():
            self._claim_more()
        for lane in self._lanes.values():
            self._open_sessions(lane)

    def _look_again_later(self) -> None:
        connection.close()
        self._may_have_lost_claims = True
        self._look_at = time.monotonic() + RETRY_SECONDS

    def _claim_more(self) -> None:
        self._make_sure_of_worker()
        assert self._claimer is not None
        assert self._seating is not None
        if self._may_have_lost_claims:
            release_claims_since(self._known_fence, worker_id=self._claimer.worker_id)
            self._may_have_lost_claims = False
        carriers = {carrier.transport_id: carrier for carrier in usable_carriers(self._lane_name)}
        for transport_id in set(self._lanes) - set(carriers):
            self._drop(self._lanes[transport_id])
        for carrier in carriers.values():
            lane = self._lane_of(carrier)
            lane.move_over(carrier)
            self._talks.limit_of = self._claimer.rules(carrier).sessions_of
            self._give_back_what_stopped(lane)
            self._give_back_what_waits_in_vain(lane)
            is_sure = not self._may_have_lost_claims
            if is_sure and lane.is_hungry and self._seating.has_seat(lane, self._closed):
                self._claim_for(lane)
        self._seating.ask(self._lanes.values(), self._closed)
        # Where nothing was due, look again soon but not in a tight loop; where there is enough to do, less often.
        is_busy = any(lane.jobs for lane in self._lanes.values())
        self._look_at = time.monotonic() + (BUSY_LOOK_SECONDS if is_busy else LOOK_SECONDS)

    def _claim_for(self, lane: Lane) -> None:
        """Claim for a lane; an error of ours stops nothing but its transport, and what was claimed goes back."""
        self._may_have_lost_claims = True  # until they are in the lane
        try:
            self._fill(lane)
        except Error:
            raise
        except Exception as error:
            logger.exception("what was claimed for %s could not be taken", lane.transport)
            lane.fault = our_fault(Phase.CONNECT, error)
        else:
            self._may_have_lost_claims = False

    def _fill(self, lane: Lane) -> None:
        assert self._claimer is not None
        waiting = Counter((job.stream_id, job.mailbox_provider) for job in list(lane.jobs))
        jobs = self._claimer.claim(lane.carrier, lane.appetite, waiting=waiting)
        if (
            self._faults
        ):  # what was refused meanwhile may be among them: what that stops is stopped first
            self._give_up(jobs)
        else:
            self._load_templates(jobs)
            lane.add(self._detours.name(lane.carrier, jobs))
            self._taken += len(jobs)
        self._known_fence = max([self._known_fence, *(job.fence for job in jobs)])

    def _must_look(self) -> bool:
        """Tell whether it is time to look for work; a lane that eats up what it had is looked after at once."""
        ran_low = any(lane.was_fed and lane.is_hungry for lane in self._lanes.values())
        return ran_low or time.monotonic() >= self._look_at

    def _make_sure_of_worker(self) -> None:
        if time.monotonic() < self._alive_until:
            return
        worker_id = self._worker.ensure_alive()
        if self._claimer is None or self._claimer.worker_id != worker_id:
            for lane in self._every_lane():  # claims of a row that was replaced: no mark is granted
                self._give_up(lane.remove(lambda _: True))
            self._claimer = Claimer(worker_id)
            keeper = SeatKeeper(worker_id, is_urgent=self._lane_name == Stream.Kind.TRANSACTIONAL)
            self._seating = Seating(keeper, self._claimer, self._talks)
        elif self._committer.is_idle and not self._has_work_in_hand():
            # whatever it has claimed, the answer was lost
            release_claims_since(0, worker_id=worker_id)
        self._alive_until = time.monotonic() + ALIVE_SECONDS

    def _give_back_what_stopped(self, lane: Lane) -> None:
        """Give back the claims of streams and campaigns that were paused: each would cost a session at the last gate."""
        campaigns = {job.campaign_id for job in list(lane.jobs) if job.campaign_id is not None}
        stopped = _not_running(campaigns) if campaigns else set()
        streams = set(lane.carrier.stream_ids)
        self._give_up(
            lane.remove(
                lambda job: job.campaign_id in stopped or job.stream_id not in streams,
            )
        )

    def _give_back_what_waits_in_vain(self, lane: Lane) -> None:
        """Give back claims that no session takes: another process has the seats, or another transport stands in."""
        assert self._claimer is not None
        if waits_in_vain(lane):
            self._give_up(lane.remove(lambda _: True))
            self._claimer.read_anew(lane.carrier)

    def _lane_of(self, carrier: Carrier) -> Lane:
        lane = self._lanes.get(carrier.transport_id)
        if lane is None or lane.is_closing:
            transport = Transport.objects.get(pk=carrier.transport_id)
            if lane is not None:
                self._drop(lane)
                self._closed.append(lane)  # one of its sessions may wait ten minutes for a reply
            lane = self._lanes[carrier.transport_id] = Lane(carrier, transport, self._talks)
        return lane

    def _every_lane(self) -> list[Lane]:
        return [*self._lanes.values(), *self._closed]

    def _load_templates(self, jobs: list[Job]) -> None:
        wanted = {job.version_id for job in jobs}
        self._wanted_at |= dict.fromkeys(wanted, time.monotonic())  # so that none is forgotten here
        missing = wanted - set(self._versions)
        if missing:
            self._forget_versions()
            loaded = TemplateVersion.objects.in_bulk(missing)
            for version in loaded.values():
                _ = version.contents  # read here: the sessions' threads have no database
            self._versions |= loaded
        for pk in wanted:
            version = self._versions[pk]
            version.infection = infection_of(files_of_version(version))
        load_signers({job.domain for job in jobs})
        load_taught()

    def _forget_versions(self) -> None:
        """Give back the memory of versions that no job was claimed of for a while; files hang on them."""
        waiting = {job.version_id for lane in self._every_lane() for job in list(lane.jobs)}
        since = time.monotonic() - VERSION_SECONDS
        for pk, wanted_at in list(self._wanted_at.items()):
            if wanted_at < since and pk not in waiting:
                del self._wanted_at[pk]
                self._versions.pop(pk, None)

    def _leave_seats(self) -> None:
        if self._seating is not None:
            self._seating.leave(self._every_lane())

    def _open_sessions(self, lane: Lane) -> None:
        try:
            self._opening.open(lane)
        except Transport.DoesNotExist:
            self._drop(lane)

    def _pause_what_must(self) -> None:
        for lane in self._every_lane():
            if lane.turned_away:
                self._heed_turned_away(lane)
            if lane.fault is not None:
                self._note_fault(lane, lane.fault)
                lane.fault, lane.could_open = None, False
            elif lane.had_success and lane.carrier.is_in_trouble:
                with suppress(Transport.DoesNotExist):
                    lane.transport.record_success()
                    lane.transport.refresh_from_db()
            lane.had_success = False
        self._closed = [
            lane for lane in self._closed if lane.live_sessions or lane.fault or lane.turned_away
        ]
        while self._faults:
            self._stop_for(self._faults[0])
            self._faults.popleft()

    def _heed_turned_away(self, lane: Lane) -> None:
        """Have fewer sessions where some could not be opened while others talk; else it is the transport's fault."""
        faults = list(lane.turned_away)
        for_login = next((fault for fault in faults if _is_for_login(fault)), None)
        if for_login or not self._has_fewer_sessions(lane, faults):
            lane.fault = for_login or faults[-1]
        for _ in faults:
            lane.turned_away.popleft()

    def _has_fewer_sessions(self, lane: Lane, faults: list[SessionFault]) -> bool:
        assert self._claimer is not None
        try:
            is_crowded = have_fewer_sessions(
                lane.transport.pk,
                turned_away=len(faults),
                talking=talking_of(lane.transport.pk, self._every_lane()),
                worker_id=self._claimer.worker_id,
                detail=faults[-1].detail,
            )
        except Transport.DoesNotExist:
            return False
        if is_crowded:
            lane.opens_at = time.monotonic() + HOLD_SECONDS
        return is_crowded

    def _note_fault(self, lane: Lane, fault: SessionFault) -> None:
        """Charge the transport for a session that could not be opened, and nobody else."""
        with suppress(Transport.DoesNotExist):  # it may have been deleted meanwhile
            if _is_lasting(fault) and outlives(lane.transport, fault):
                pass  # a rotation is under way, and another credential takes over
            elif _needs_a_person(fault):
                lane.transport.pause(
                    cause=PauseCause.FAULT, sentence=fault.sentence, detail=fault.detail
                )
            else:
                lane.transport.record_failure(sentence=fault.sentence, detail=fault.detail)
                forget_crowding(lane.transport.pk)
            lane.transport.refresh_from_db()
        self._drop(lane)

    def _stop_for(self, fault: SystemicFault) -> None:
        if fault.stops == "campaign" and fault.campaign_id is not None:
            for campaign in Campaign.objects.filter(pk=fault.campaign_id):
                campaign.pause(cause=PauseCause.FAULT, sentence=fault.sentence, detail=fault.detail)
            self._look_at = 0.0  # its other claims go back at once
            return
        if fault.stops == "stream" and fault.stream_id is not None:
            for stream in Stream.objects.filter(pk=fault.stream_id):
                stream.pause(cause=PauseCause.FAULT, sentence=fault.sentence, detail=fault.detail)
            self._look_at = 0.0
            return
        for lane in self._lanes.values():
            if lane.transport.pk == fault.transport_id:
                with suppress(Transport.DoesNotExist):  # it may have been deleted meanwhile
                    if not outlives(lane.transport, fault):
                        lane.transport.pause(
                            cause=PauseCause.FAULT, sentence=fault.sentence, detail=fault.detail
                        )
                self._drop(lane)

    def _drop(self, lane: Lane) -> None:
        """Give back what no session of this transport speaks of."""
        self._give_up(lane.close())

    def _give_up(self, jobs: list[Job]) -> None:
        """Have claims given back by the committer, which keeps them in memory while the database is away."""
        if jobs:
            self._committer.put(Request(releases=jobs))

    def finish(self) -> None:
        """Let bodies in flight get their replies within the grace; write everything that was read, give back the rest."""
        self._is_ending = True  # the sessions see it, and let no body begin
        deadline = time.monotonic() + settings.MAILOPS_STOP_GRACE_SECONDS
        left = [job for lane in self._every_lane() for job in lane.close()]
        while time.monotonic() < deadline and (
            self._count_sessions() or self._committer.has_unwritten
        ):
            time.sleep(STEP_SECONDS)
        self._committer.stop(patience=max(LAST_WRITE_SECONDS, deadline - time.monotonic()))
        try:
            self._pause_what_must()
            left += [job for lane in self._every_lane() for job in lane.close()]
            release([job.claim for job in left])
        except Error as error:
            logger.warning(
                "claims could not be given back (%s); the sweep does it when this worker is gone",
                error,
            )
        self._lanes.clear()
        self._closed.clear()

    def _count_sessions(self) -> int:
        # A copy, since the heartbeat's thread counts too.
        return sum(lane.live_sessions for lane in self._every_lane())

    def _count_logins(self) -> dict[int, int]:
        lanes = self._every_lane()
        return Counter(login for lane in lanes for login in lane.credentials_in_use())


def _not_running(campaigns: set[int]) -> set[int]:
    stopped = Campaign.objects.filter(pk__in=campaigns).exclude(state=Campaign.State.RUNNING)
    return set(stopped.values_list("pk", flat=True))


def _is_lasting(fault: SessionFault) -> bool:
    return fault.reply is None or fault.reply.is_permanent


def _needs_a_person(fault: SessionFault) -> bool:
    return fault.cause in NEEDS_A_PERSON and _is_lasting(fault)


def _is_for_login(fault: SessionFault) -> bool:
    return fault.cause in NEEDS_A_PERSON | LOGIN_CAUSES and _is_lasting(fault)
