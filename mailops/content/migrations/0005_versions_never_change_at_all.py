from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION content_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'version % of template % is published and stays', OLD.number, OLD.template_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  -- who published it may be deleted; nothing else ever changes
  IF to_jsonb(NEW) - 'published_by_id' IS DISTINCT FROM to_jsonb(OLD) - 'published_by_id' THEN
    RAISE EXCEPTION 'version % of template % is published and never changes', OLD.number, OLD.template_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("content", "0004_layouts_languages_and_gates")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
