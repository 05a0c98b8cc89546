"""Runs a small application under gunicorn."""

import subprocess
import sys
import textwrap
from contextlib import contextmanager

from tests.ports import free_port, is_listening
from tests.waiting import wait_until

PATIENCE = 30


@contextmanager
def serving(folder, app, *options):
    """Serve `app`, the source of a module, from a folder of its own; yield the port."""
    (folder / "echo.py").write_text(textwrap.dedent(app))
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "echo:app", f"--bind=127.0.0.1:{port}"),
            *(f"--pythonpath={folder},.", "--log-level=warning"),
            *options,
        ]
    )
    try:
        wait_until(lambda: is_listening(port), seconds=PATIENCE, what="gunicorn")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)
