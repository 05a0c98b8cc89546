from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0006_paused_by_a_domain"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="retime_from",
            field=models.BigIntegerField(null=True),
        ),
    ]
