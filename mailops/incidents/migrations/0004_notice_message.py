import django.db.models.deletion
from django.db import migrations, models

_FIND_MESSAGES = """
UPDATE incidents_notice n SET message_id = m.id
  FROM outbox_message m WHERE m.idempotency_key = 'incident-notice-' || n.id AND n.has_succeeded
"""


class Migration(migrations.Migration):
    """Keep the message of an alert by mail, of those sent already too: it tells whether the alert arrived."""

    dependencies = [
        ("incidents", "0003_objective_in_danger"),
        ("outbox", "0013_by_answer"),
    ]

    operations = [
        migrations.AddField(
            model_name="notice",
            name="message",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="outbox.message",
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(fields=["-created_at"], name="notice_by_time"),
        ),
        migrations.RunSQL(_FIND_MESSAGES, migrations.RunSQL.noop),
    ]
