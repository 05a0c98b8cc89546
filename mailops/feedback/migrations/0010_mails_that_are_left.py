from django.db import migrations, models


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
    ]
