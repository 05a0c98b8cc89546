from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0007_time_anew"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="expansion_failures",
            field=models.PositiveSmallIntegerField(default=0),
        ),
    ]
