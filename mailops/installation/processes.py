"""The table of processes that make up a running mailops, in the stages they start in."""

import os
import signal
import sys
import urllib.request
import warnings
from collections.abc import Iterable
from functools import partial
from http.client import HTTPException
from importlib import import_module

from celery import current_app
from celery.exceptions import CPendingDeprecationWarning
from django.conf import settings
from django.core.management import call_command
from django.urls import get_resolver
from gunicorn.app.wsgiapp import WSGIApplication

from mailops.lib.command_line import ending_in_a_sentence
from mailops.lib.env import host_and_port
from mailops.lib.postgres import ENVIRONMENT, Server
from mailops.lib.supervisor import Process, answers, check_free
from mailops.lib.waiting_tasks import PLACES

# the web's threads, for slow clients; each may hold a database connection
WEB_THREADS = 8
WEB_WORKER = "mailops.installation.patient_worker.PatientWorker"

# threads of the housekeeping for what doesn't wait for peers
QUICK = 5

# queue, and the pool its worker runs tasks in: a sending one does its own concurrency
WORKERS = {
    "transactional": ("--pool=solo",),
    "bulk": ("--pool=solo",),
    # each thread, which begins only when it is needed, holds a database connection
    "housekeeping": ("--pool=threads", f"--concurrency={PLACES + QUICK}"),
}

PREPARING = ", which makes the tables of the database and, where there is a demo, fills it once: minutes on a slow machine"

# where to call what listens at every address of this machine
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

# The sessions of these talk in threads. gevent's in the place of the system's save an eighth of what a message costs
# there; they must come before any other import: the process is no fork.
SENDING = frozenset({"transactional", "bulk"})

# Celery warns root of pickled tasks, of which there are none here: hints are JSON
AS_ROOT = "You're running the worker"

# command, the setting of its address, and the variable that moves it
LISTENERS = {
    "sandbox_listener": ("MAILOPS_SANDBOX_LISTENER", "MAILOPS_SANDBOX_LISTENER"),
    "feedback_listener": ("MAILOPS_FEEDBACK_LISTENER", "MAILOPS_FEEDBACK_LISTENER"),
    "demo_nameserver": ("MAILOPS_DEMO_NAMESERVER", "PORT"),
}


def stages(server: Server | None, *, is_restored: bool = False) -> list[list[Process]]:
    """Return the database where it is ours, then the migrations, then all the rest together."""
    first = [[_postgres(server)]] if server else []
    prepare = Process(
        name="prepare",
        work=partial(_command, "prepare", restored=is_restored),
        runs_once=True,
        purpose=PREPARING,
    )
    return [*first, [prepare], [_web(), *_listeners(), *_workers(), _beat()]]


def _command(name: str, **options: object) -> None:
    with ending_in_a_sentence():
        call_command(name, **options)


def check_ports() -> None:
    """Raise StartError for the first port that somebody else listens at."""
    host, port = host_and_port(settings.MAILOPS_BIND)
    check_free("the pages", host, port, fix=_how_to_move("MAILOPS_BIND"))
    for command, (listener, variable) in _listening().items():
        host, port = host_and_port(listener)
        check_free(command, host, port, fix=_how_to_move(variable))


def _how_to_move(variable: str) -> str:
    """Return what moves a listener: where its own variable is given, PORT doesn't."""
    if variable != "PORT" and os.environ.get(variable, "").strip():
        return f"Set {variable} to an address of this machine, with a free port."
    return "Set PORT to a free one."


def _postgres(server: Server) -> Process:
    return Process(
        name="postgres",
        command=server.command(),
        ready_words="database system is ready to accept connections",
        stop_signal=signal.SIGINT,  # SIGTERM would wait for idle clients for ever
        environment=ENVIRONMENT,
    )


def _web() -> Process:
    host, port = host_and_port(settings.MAILOPS_BIND)
    return Process(
        name="web", work=_serve, is_ready=partial(_is_well, _ANYWHERE.get(host, host), port)
    )


def _serve() -> None:
    sys.argv = [
        *("gunicorn", "mailops.wsgi", f"--bind={settings.MAILOPS_BIND}"),
        *(f"--worker-class={WEB_WORKER}", f"--threads={WEB_THREADS}", "--graceful-timeout=2"),
        "--workers=1",  # whatever the environment says: failed log-ins and used codes are counted in its memory
        *("--config=python:mailops.installation.gunicorn", "--log-level=warning"),
        "--no-control-socket",  # it would stand in the home of whoever runs this, one for all installations
    ]
    WSGIApplication().run()


# whatever proxy the environment names knows nothing of this machine's own addresses
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _is_well(host: str, port: int) -> bool:
    address = f"[{host}]" if ":" in host else host
    try:
        with _DIRECTLY.open(f"http://{address}:{port}/healthz/", timeout=0.5) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):  # the latter of something else that took the port
        return False


def worker_command(queue: str, *, name: str, level: str = "INFO") -> list[str]:
    """Return the command of a worker of `queue`; mailops must be on its path."""
    module = ("gevent.monkey", "--module", "celery") if queue in SENDING else ("celery",)
    program = (sys.executable, "-W", f"ignore:{AS_ROOT}", "-m", *module, "--quiet", "-A", "mailops")
    return [*program, *_worker_arguments(queue, name, level)]


def _worker_arguments(queue: str, name: str, level: str) -> list[str]:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", f"--loglevel={level}")
    return ["worker", f"--queues={queue}", f"--hostname={name}", *WORKERS[queue], *quiet]


def _workers() -> Iterable[Process]:
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    for queue in WORKERS:
        worker = partial(Process, name=queue, ready_words=" ready.")
        name = f"{queue}@%h"
        if queue in SENDING:
            command = worker_command(queue, name=name)
            yield worker(command=command, environment={**os.environ, "PYTHONPATH": path})
        else:
            yield worker(work=partial(_celery, *_worker_arguments(queue, name, "INFO")))


def _beat() -> Process:
    return Process(name="beat", work=partial(_celery, "beat", "--loglevel=WARNING", "--pidfile="))


def _celery(*arguments: str) -> None:
    warnings.filterwarnings("ignore", AS_ROOT)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    current_app.start(["--quiet", *arguments])


def _listeners() -> Iterable[Process]:
    for command, (listener, _) in _listening().items():
        yield Process(
            name=command.partition("_")[0],
            work=partial(_command, command),
            is_ready=partial(answers, *host_and_port(listener)),
        )


def _listening() -> dict[str, tuple[str, str]]:
    """Return the commands that listen here, each with its address and the variable that moves it."""
    return {
        command: (getattr(settings, address), variable)
        for command, (address, variable) in LISTENERS.items()
        if command != "demo_nameserver" or settings.MAILOPS_DEMO
    }


def preload() -> None:
    """Import what the processes need, once for all of them: they are forks of this one."""
    for name in (
        "celery.apps.worker",
        "celery.worker.consumer",
        "celery.beat",
        "celery.bin.celery",
    ):
        import_module(name)
    import_module("mailops.installation.patient_worker")
    current_app.loader.import_default_modules()
    current_app.finalize()
    get_resolver().url_patterns  # noqa: B018
