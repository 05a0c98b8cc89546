from django.db import migrations, models


class Migration(migrations.Migration):
    """Say of which versions a proof says no, so that a draft's fault stops no other campaign."""

    dependencies = [("rollouts", "0003_mail_probes")]

    operations = [
        migrations.AddField(
            model_name="evidence",
            name="failing",
            field=models.JSONField(default=list),
        ),
    ]
