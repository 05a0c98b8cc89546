from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("suppressions", "0005_provider_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="providerremoval",
            name="refusal",
            field=models.TextField(blank=True, db_default=""),
        ),
    ]
