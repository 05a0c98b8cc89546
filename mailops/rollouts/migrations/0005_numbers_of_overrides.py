from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rollouts", "0004_failing_versions"),
    ]

    operations = [
        migrations.AddField(
            model_name="override",
            name="numbers",
            field=models.JSONField(default=dict),
        ),
    ]
