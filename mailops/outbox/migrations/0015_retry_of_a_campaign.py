import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0006_paused_by_a_domain"),
        ("outbox", "0014_claimed_on"),
    ]

    operations = [
        migrations.AddField(
            model_name="resending",
            name="campaign",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="campaigns.campaign",
            ),
        ),
    ]
