from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0004_notice_message"),
    ]

    operations = [
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("since_at", models.DateTimeField()),
                ("looked_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="watch_is_one")
                ],
            },
        ),
        migrations.AlterField(
            model_name="threshold",
            name="measure",
            field=models.CharField(
                choices=[
                    ("bounces", "Bounce rate"),
                    ("complaints", "Complaint rate"),
                    ("fault", "Stopped by itself"),
                    ("breaker", "Not reachable"),
                    ("burn", "Objective in danger"),
                    ("unserved", "Nobody sends"),
                ],
                max_length=12,
            ),
        ),
    ]
