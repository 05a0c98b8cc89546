from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("outbox", "0013_by_answer"),
    ]

    operations = [
        migrations.AddField(
            model_name="queueentry",
            name="claimed_on",
            field=models.DateField(null=True),
        ),
    ]
