from django.db import migrations

FORWARD = """
CREATE FUNCTION content_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'version % of template % is published and stays', OLD.number, OLD.template_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF (NEW.template_id, NEW.number, NEW.subject, NEW.html, NEW.text, NEW.sample, NEW.variables,
      NEW.content_hash, NEW.note, NEW.published_at)
     IS DISTINCT FROM
     (OLD.template_id, OLD.number, OLD.subject, OLD.html, OLD.text, OLD.sample, OLD.variables,
      OLD.content_hash, OLD.note, OLD.published_at) THEN
    RAISE EXCEPTION 'version % of template % is published and never changes', OLD.number, OLD.template_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER version_is_final BEFORE UPDATE OR DELETE ON content_templateversion
  FOR EACH ROW EXECUTE FUNCTION content_version_is_final();
"""
BACK = """
DROP TRIGGER version_is_final ON content_templateversion;
DROP FUNCTION content_version_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("content", "0002_drafts_and_previews")]

    operations = [migrations.RunSQL(FORWARD, BACK)]
