from typing import Any

from django.db import migrations, models


def go_back_to_what_was_left(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """Let mailboxes be read on from the first mail that was left, since nothing else will say that it was."""
    mailboxes = apps.get_model("feedback", "Mailbox").objects
    for mailbox in mailboxes.exclude(refused_uids=[], left_spans=[]):
        first = min([*mailbox.refused_uids, *(span[0] for span in mailbox.left_spans)])
        mailboxes.filter(pk=mailbox.pk).update(last_uid=first - 1)


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0009_suspect_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="mailbox",
            name="refused_uids",
            field=models.JSONField(db_default=[], default=list),
        ),
        migrations.AddField(
            model_name="mailbox",
            name="left_spans",
            field=models.JSONField(db_default=[], default=list),
        ),
        migrations.RunPython(migrations.RunPython.noop, go_back_to_what_was_left),
    ]
