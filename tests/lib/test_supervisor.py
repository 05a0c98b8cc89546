import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stdout

import pytest

from mailops.lib import supervisor
from mailops.lib.forking import Forked
from mailops.lib.supervisor import Process, StartError, Supervisor, check_free


def python(name, program, **options):
    return Process(name=name, command=[sys.executable, "-uc", program], **options)


SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


class Run:
    """A supervisor that hears SIGTERM as soon as `until(lines)` holds."""

    def __init__(self, *stages, until=lambda lines: False):
        self.lines = []
        self._until = until
        self.is_asked_to_stop = False
        self._supervisor = Supervisor(stages, self.say, lambda: self.say("mailops", "ready"))
        self.code = self._supervisor.run()

    def say(self, name, line):
        self.lines.append(f"{name}: {line}")
        if not self.is_asked_to_stop and self._until(self.lines):
            self.is_asked_to_stop = True
            os.kill(os.getpid(), signal.SIGTERM)

    def said(self, words):
        return [line for line in self.lines if words in line]


def ready(lines):
    return "mailops: ready" in lines


@pytest.fixture
def refuse_first(monkeypatch):
    """Refuse the first process, as a machine does that has no memory left."""
    spawn, asked = supervisor._spawn, []

    def refuse(process):
        asked.append(process)
        if len(asked) == 1:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return spawn(process)

    monkeypatch.setattr(supervisor, "_spawn", refuse)


class TestStarting:
    def test_a_stage_waits_for_the_one_before(self):
        first = python(
            "first",
            "import time; time.sleep(0.3); print('well'); time.sleep(60)",
            ready_words="well",
        )
        run = Run([first], [python("second", SLEEPER, ready_words="up")], until=ready)
        assert run.lines[:3] == ["first: well", "second: up", "mailops: ready"]
        assert run.code == 0

    def test_says_in_words_what_it_waits_for(self, monkeypatch):
        monkeypatch.setattr(supervisor, "LONG", 0.0)
        slow = python("prepare", SLEEPER, runs_once=True, purpose=", which fills the demo")
        run = Run([slow], until=lambda lines: "still waiting" in lines[-1])
        assert run.said("still waiting for prepare, which fills the demo")

    def test_says_nothing_of_waiting_for_what_is_up(self, monkeypatch):
        monkeypatch.setattr(supervisor, "LONG", 0.0)
        run = Run([python("beat", SLEEPER)], until=ready)
        assert not run.said("still waiting")

    def test_what_runs_once_is_done_before_the_next_begins(self):
        once = python("prepare", "print('done')", runs_once=True)
        run = Run([once], [python("web", SLEEPER, ready_words="up")], until=ready)
        assert run.lines[:3] == ["prepare: done", "web: up", "mailops: ready"]

    def test_the_failure_of_what_runs_once_ends_everything(self):
        once = python("prepare", "raise SystemExit('no database')", runs_once=True)
        run = Run([python("db", SLEEPER)], [once], [python("web", SLEEPER)])
        assert run.code == 1
        assert run.said("prepare: no database")
        assert not run.said("web:")

    def test_goes_on_where_the_machine_refuses_a_process(self, refuse_first, monkeypatch):
        monkeypatch.setattr(supervisor, "LONGEST_BACKOFF", 0.0)
        monkeypatch.setattr(supervisor, "STEPS", 0)
        run = Run([python("web", SLEEPER, ready_words="up")], until=ready)
        assert run.lines[0].startswith("web: can't be started (Resource temporarily unavailable)")
        assert run.code == 0

    @pytest.mark.parametrize(("deaths", "seconds"), [(0, 0), (1, 1), (5, 16), (6, 30), (9999, 30)])
    def test_waits_the_longer_the_oftener_it_died_but_no_longer_than_that(self, deaths, seconds):
        assert supervisor._backoff(deaths) == seconds

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(
                StartError, match=f"Port {port} on 127.0.0.1, for the pages, can't be used"
            ):
                check_free("the pages", "127.0.0.1", port, fix="Set PORT.")


class TestRestarting:
    def test_what_dies_starts_again_later_each_time_and_the_log_says_so(self):
        run = Run(
            [python("web", "raise SystemExit(3)")],
            until=lambda lines: len([line for line in lines if "died" in line]) == 3,
        )
        assert run.said("died") == [
            "web: died (exit code 3); starts again in 1 s",
            "web: died (exit code 3); starts again in 2 s",
            "web: died (exit code 3); starts again in 4 s",
        ]

    @pytest.mark.parametrize(
        ("number", "name"),
        [(signal.SIGKILL, "SIGKILL"), (signal.SIGRTMIN + 6, f"signal {signal.SIGRTMIN + 6}")],
    )
    def test_names_the_signal_that_killed_it(self, number, name):
        suicide = f"import os; os.kill(os.getpid(), {int(number)})"
        run = Run([python("web", suicide)], until=lambda lines: "died" in lines[-1])
        assert run.said(f"died ({name})")

    def test_keeps_the_last_words_of_what_dies(self):
        words = "import sys; sys.stdout.write('half a line'); sys.exit(1)"
        run = Run([python("web", words)], until=lambda lines: "died" in lines[-1])
        assert "web: half a line" in run.lines


class TestStrangers:
    """In a container without an init, the kernel hands the supervisor whatever has lost its parent."""

    def test_are_buried(self):
        stranger = os.posix_spawn(sys.executable, [sys.executable, "-Sc", ""], {})
        os.waitid(os.P_PID, stranger, os.WEXITED | os.WNOWAIT)
        Run([python("web", SLEEPER, ready_words="up")], until=ready)
        with pytest.raises(ChildProcessError):
            os.waitpid(stranger, os.WNOHANG)


@contextmanager
def hang_ups(handler):
    """Begin with SIGHUP as by default or ignored, whatever the tests themselves were begun with."""
    previous = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


class TestStopping:
    def test_is_in_order_where_the_terminal_is_gone(self):
        told = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))\nprint('up'); signal.pause()"

        def hang_up(lines):
            if ready(lines):
                signal.raise_signal(signal.SIGHUP)

        with hang_ups(signal.SIG_DFL):
            run = Run([python("web", told, ready_words="up")], until=hang_up)
        assert run.said("SIGHUP: stopping")
        assert run.said("web: bye")

    def test_is_not_for_a_terminal_that_it_outlives(self):
        def hang_up(lines):
            signal.raise_signal(signal.SIGHUP)
            return ready(lines)

        with hang_ups(signal.SIG_IGN):
            run = Run([python("web", SLEEPER, ready_words="up")], until=hang_up)
        assert run.said("SIGTERM: stopping")

    def test_is_done_within_five_seconds_even_with_the_deaf(self):
        deaf = [python(f"deaf{number}", DEAF, ready_words="up") for number in range(3)]
        run = Run([python("db", DEAF, ready_words="up")], deaf, until=ready)
        assert len(run.said("did not stop in time and is killed")) == 4
        assert supervisor.STOP_SECONDS < 5  # for all of them together

    def test_what_others_stand_on_goes_last(self):
        told = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))\nprint('up'); signal.pause()"
        run = Run(
            [python("db", told, ready_words="up")],
            [python("web", told, ready_words="up")],
            until=ready,
        )
        assert [line for line in run.lines if "bye" in line] == ["web: bye", "db: bye"]

    def test_leaves_no_grandchild(self):
        program = (
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', {DEAF!r}])\n"
            "print('child', child.pid, flush=True); time.sleep(60)"
        )
        seen = []

        def hold(lines):
            if ready(lines):
                (told,) = [line for line in lines if "child" in line]
                seen.append(os.pidfd_open(int(told.split()[-1])))
            return ready(lines)

        Run([python("web", program, ready_words="child")], until=hold)
        assert _ends(seen[0])

    def test_children_go_when_the_supervisor_is_killed(self):
        assert _ends_with_its_supervisor(
            "command = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
            "child = Process(name='x', command=[sys.executable, '-c', command])\n"
        )


@contextmanager
def broken_log():
    """Let whoever reads this process's log be gone, with a line of it not written yet."""
    reading, writing = os.pipe()
    os.close(reading)
    log = os.fdopen(writing, "w")
    log.write("a line")
    with redirect_stdout(log):
        yield
    with pytest.raises(BrokenPipeError):
        log.close()


class TestForks:
    def test_begins_though_nobody_reads_the_log_any_more(self):
        with broken_log():
            run = Run(
                [Process(name="web", work=lambda: time.sleep(60))],
                until=lambda lines: ready(lines) or "starts again" in lines[-1],
            )
        assert ready(run.lines)

    def test_one_that_the_machine_refuses_leaves_no_pipe_open(self, monkeypatch):
        made, pipe = [], os.pipe

        def refuse():
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr(os, "pipe", lambda: made.extend(pipe()) or made)
        monkeypatch.setattr(os, "fork", refuse)
        with pytest.raises(BlockingIOError):
            Forked("web", lambda: None)
        for descriptor in made:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)

    def test_work_is_done_in_a_process_of_its_own(self):
        def work():
            sys.stdout.write(f"working in {os.getpid()}\n")
            time.sleep(60)

        run = Run([Process(name="web", work=work, ready_words="working")], until=ready)
        number = int(run.said("working in")[0].split()[-1])
        assert number != os.getpid()
        assert not run.said("did not stop in time")

    @pytest.mark.parametrize(
        ("end", "code", "words"),
        [
            (lambda: None, 0, None),
            (lambda: sys.exit(3), 3, None),
            (lambda: sys.exit("no database"), 1, "no database"),
            (lambda: 1 / 0, 1, "ZeroDivisionError"),
        ],
        ids=["returns", "exits", "explains", "raises"],
    )
    def test_its_end_is_told_like_a_programs(self, end, code, words):
        run = Run([Process(name="web", work=end)], until=lambda lines: "died" in lines[-1])
        assert run.said(f"died (exit code {code})")
        assert words is None or run.said(words)

    def test_it_goes_when_the_supervisor_is_killed(self):
        assert _ends_with_its_supervisor(
            "def work(): print(os.getpid(), flush=True); time.sleep(60)\n"
            "child = Process(name='x', work=work)\n"
        )


def _ends_with_its_supervisor(making):
    """Tell whether `child`, which a program makes and which says its number, ends when its supervisor is killed."""
    program = (
        "import os, sys, time\n"
        "from mailops.lib.supervisor import Process, Supervisor\n"
        f"{making}"
        "Supervisor([[child]], lambda name, line: print(line, flush=True)).run()"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    child = os.pidfd_open(int(supervisor.stdout.readline()))
    supervisor.kill()
    supervisor.communicate()
    return _ends(child)


def _ends(process):
    """Tell whether the process behind a pidfd ends within a moment."""
    ended = bool(select.select([process], [], [], 5)[0])
    os.close(process)
    return ended
