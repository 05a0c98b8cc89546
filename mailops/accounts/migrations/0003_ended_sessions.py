from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_ended_links"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="ended_sessions",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
