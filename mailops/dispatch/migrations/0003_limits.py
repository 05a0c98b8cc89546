from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0002_allowance"),
    ]

    operations = [
        # what was left of a few seconds' rates: nothing to keep
        migrations.DeleteModel(name="Allowance"),
        migrations.CreateModel(
            name="Allowance",
            fields=[
                ("key", models.CharField(max_length=140, primary_key=True, serialize=False)),
                ("levels", models.JSONField(default=dict)),
                ("refilled_at", models.DateTimeField()),
                ("day", models.DateField()),
                ("spent", models.PositiveIntegerField(default=0)),
            ],
        ),
    ]
