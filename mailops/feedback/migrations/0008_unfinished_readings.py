from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0007_mailbox_idling"),
    ]

    operations = [
        migrations.AddField(
            model_name="rawfeedback",
            name="unfinished",
            field=models.SmallIntegerField(db_default=0),
        ),
    ]
