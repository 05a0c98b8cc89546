"""The slots of latencies, as the statements count them that write events; `outbox.slots` counts them in Python."""

from django.db import migrations

from mailops.outbox.slots import BOUNDS, LONGEST

FUNCTIONS = f"""
CREATE FUNCTION outbox_ms(took interval) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(greatest(date_part('epoch', took) * 1000, 0), {LONGEST})::int
$$;
CREATE FUNCTION outbox_slot(milliseconds int) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(milliseconds, '{{{",".join(map(str, BOUNDS))}}}'::int[])::smallint
$$;
"""  # noqa: S608 - numbers of our own


class Migration(migrations.Migration):
    dependencies = [("outbox", "0010_resending")]

    operations = [
        migrations.RunSQL(
            FUNCTIONS, "DROP FUNCTION outbox_slot(int); DROP FUNCTION outbox_ms(interval)"
        ),
    ]
