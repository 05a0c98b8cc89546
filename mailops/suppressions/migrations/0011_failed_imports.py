from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("suppressions", "0010_read_in_chunks"),
    ]

    operations = [
        migrations.AddField(
            model_name="suppressionimport",
            name="detail",
            field=models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="suppressionimport",
            name="failures",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="suppressionimport",
            name="sentence",
            field=models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="suppressionimport",
            name="state",
            field=models.CharField(
                choices=[
                    ("running", "Running"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                ],
                default="running",
                max_length=10,
            ),
        ),
    ]
