from django.apps import AppConfig
from django.db.backends.signals import connection_created

from mailops.lib.durable_commits import commit_durably
from mailops.lib.gone_clients import limit_patience
from mailops.lib.plans import join_without_merging


class LibConfig(AppConfig):
    name = "mailops.lib"
    label = "lib"

    def ready(self) -> None:
        connection_created.connect(commit_durably)
        connection_created.connect(join_without_merging)
        connection_created.connect(limit_patience)
