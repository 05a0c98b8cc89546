from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0007_without_acknowledged_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="threshold",
            name="failing_since_at",
            field=models.DateTimeField(null=True),
        ),
    ]
