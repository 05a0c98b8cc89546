from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0006_mail_given_up"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="incident",
            name="acknowledged_at",
        ),
    ]
