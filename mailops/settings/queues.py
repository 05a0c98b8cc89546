"""Celery: the queues of hints, how they are worked on, and the clock."""

import sys
from typing import Any

from mailops.lib import broker
from mailops.schedule import EVERY
from mailops.settings.database import DATABASES
from mailops.settings.environment import CELERY_BROKER_URL, MAILOPS_HOME

CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    broker.transport_options(DATABASES["default"])
    if CELERY_BROKER_URL.startswith("pgmq")
    else {"visibility_timeout": 60, "socket_connect_timeout": 5, "socket_timeout": 5}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the broker comes back, whenever that is
CELERY_BROKER_POOL_LIMIT = 4
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {
    name: {} for name in ("transactional", "bulk", "housekeeping")
}
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_IGNORE_RESULT = True
# A task is a hint and safe to repeat, so it is given back only when done.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # pgmq carries none; the workers' rows tell who lives
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Celery doesn't end connections after each task: see mailops.celery. Opened anew, with all catalogs to be read again, one
# costs several milliseconds, which is more than most ticks.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BEAT_SCHEDULE_FILENAME = str(MAILOPS_HOME / "beat")
CELERY_BEAT_SCHEDULER = "mailops.lib.beat:Scheduler"
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    # stale hints are dropped: after an outage of the workers, a minute of ticks is enough
    task: {"task": task, "schedule": seconds, "options": {"expires": 60}}
    for task, seconds in EVERY.items()
}
