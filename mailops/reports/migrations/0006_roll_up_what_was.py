from django.db import migrations

# Counts of before there were rollups: they wait for being rolled up, once, like anything that is added.
STAGED = """
INSERT INTO reports_delta (bucket_at, cohort_at, measure, kind, reason, stream_id, campaign_id, transport_id, domain_id,
                           version_id, mailbox_provider, n)
SELECT bucket_at, cohort_at, measure, kind, reason, stream_id, campaign_id, transport_id, domain_id, version_id,
       mailbox_provider, n
  FROM reports_count
 WHERE measure <> 'status' AND NOT EXISTS (SELECT FROM reports_rollup) AND NOT EXISTS (SELECT FROM reports_delta)
"""


class Migration(migrations.Migration):
    dependencies = [("reports", "0005_histograms")]

    operations = [migrations.RunSQL(STAGED, migrations.RunSQL.noop)]
