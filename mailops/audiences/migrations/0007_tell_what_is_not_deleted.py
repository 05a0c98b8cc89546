from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audiences", "0006_delete_in_chunks"),
    ]

    operations = [
        migrations.AddField(
            model_name="audience",
            name="deletion_fault",
            field=models.TextField(blank=True, db_default="", editable=False),
        ),
    ]
