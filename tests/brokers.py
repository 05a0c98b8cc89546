"""Starts real brokers on free loopback ports, and ends them."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager

from tests.conftest import PROGRAM_PATH
from tests.ports import free_port, free_ports, is_listening
from tests.waiting import wait_until

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one on PATH changes user


@contextmanager
def redis(folder):
    """Run a Redis that keeps nothing; yield its URL."""
    port = free_port()
    program = shutil.which("redis-server", path=PROGRAM_PATH)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with _running([program, *options], folder, port, {}):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def rabbitmq(folder):
    """Run a RabbitMQ node of its own, with its own port mapper; yield its URL."""
    port, distribution, mapper = free_ports(3)
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"mailops{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
    }
    try:
        with _running([RABBITMQ], folder, port, environment):
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        # Erlang leaves its port mapper running; this one is ours alone, by its port.
        subprocess.run(
            [shutil.which("epmd", path=PROGRAM_PATH), "-port", str(mapper), "-kill"],
            check=False,
            capture_output=True,
        )


@contextmanager
def _running(command, folder, port, environment):
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: is_listening(port), seconds=90, what=f"the broker; see {folder}/broker.log"
        )
        yield
    finally:
        # the server is a child of a shell script: the whole group of this session, which we started, ends
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
