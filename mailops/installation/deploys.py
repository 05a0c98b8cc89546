"""Notes when another revision of mailops begins to run here, so that the charts can show it."""

import subprocess

from django.conf import settings

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry
from mailops.lib.locks import advisory_lock

VERB = "deploy.start"
SHORT = 12  # digits of a commit


def record_deploy() -> AuditEntry | None:
    """Write to the audit trail that another revision than before is started; None where it is the same or not known."""
    revision = running_revision()
    with advisory_lock("deploy") as is_ours:
        if not revision or not is_ours:
            return None
        entries = AuditEntry.objects.filter(verb=VERB)
        before = entries.order_by("-id").values_list("after__revision", flat=True).first()
        if before == revision:
            return None
        was = {"revision": before} if before else {}
        return audit(actor=None, verb=VERB, before=was, after={"revision": revision})


def running_revision() -> str:
    """Return what settings call it, else the commit that is checked out, or "" where git doesn't know."""
    if settings.MAILOPS_REVISION:
        return settings.MAILOPS_REVISION
    if not (settings.BASE_DIR / ".git").exists():
        return ""
    command = ["git", "-C", str(settings.BASE_DIR), "rev-parse", f"--short={SHORT}", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - our own words
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
