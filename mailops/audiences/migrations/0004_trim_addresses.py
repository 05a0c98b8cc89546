from django.db import migrations

TRIM = (
    "UPDATE audiences_contact SET address = btrim(address, %s) WHERE address <> btrim(address, %s)"
)
BLANKS = " \t\r\n\f\v\u00a0\u200b\ufeff"  # what the key of an address is made without


class Migration(migrations.Migration):
    dependencies = [
        ("audiences", "0003_hours"),
    ]

    operations = [
        migrations.RunSQL([(TRIM, [BLANKS, BLANKS])], migrations.RunSQL.noop, elidable=True),
    ]
