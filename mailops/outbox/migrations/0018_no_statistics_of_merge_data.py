"""Leave merge data out of what PostgreSQL samples: nobody asks by it, and it is most of what an ANALYZE of messages costs."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outbox", "0017_keep_logs_while_settling")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE outbox_message ALTER COLUMN merge_data SET STATISTICS 0",
            "ALTER TABLE outbox_message ALTER COLUMN merge_data SET STATISTICS -1",
        ),
    ]
