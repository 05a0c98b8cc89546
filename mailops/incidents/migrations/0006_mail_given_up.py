from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0005_watch"),
    ]

    operations = [
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
                    ("given_up", "Mail given up"),
                ],
                max_length=12,
            ),
        ),
    ]
