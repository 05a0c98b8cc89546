"""A new revision is noted once."""

import pytest

from mailops.accounts.models import AuditEntry
from mailops.installation.deploys import record_deploy, running_revision

pytestmark = pytest.mark.django_db


class TestDeploys:
    def test_are_noted_when_the_revision_is_another(self, settings):
        for revision in ("v1", "v1", "v2", "v2", "v1"):
            settings.MAILOPS_REVISION = revision
            record_deploy()
        entries = AuditEntry.objects.filter(verb="deploy.start").order_by("id")
        assert [(one.before.get("revision"), one.after["revision"]) for one in entries] == [
            (None, "v1"),
            ("v1", "v2"),
            ("v2", "v1"),
        ]

    def test_of_no_known_revision_are_not_noted(self, settings, tmp_path):
        settings.MAILOPS_REVISION = ""
        settings.BASE_DIR = tmp_path
        assert running_revision() == ""
        assert record_deploy() is None
