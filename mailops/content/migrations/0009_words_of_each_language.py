"""What a person typed and did not save is kept for each language, with its time."""

from django.db import migrations

KEYED = """
UPDATE content_preview
SET typed = jsonb_build_object(
    coalesce(typed ->> 'language', ''), typed || jsonb_build_object('at', changed_at)
)
WHERE jsonb_typeof(typed) = 'object'
"""
SINGLE = """
UPDATE content_preview
SET typed = (
    SELECT each.value - 'at' FROM jsonb_each(typed) AS each ORDER BY each.value ->> 'at' DESC LIMIT 1
)
WHERE jsonb_typeof(typed) = 'object'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("content", "0008_link_answers"),
    ]

    operations = [
        migrations.RunSQL(KEYED, SINGLE),
    ]
