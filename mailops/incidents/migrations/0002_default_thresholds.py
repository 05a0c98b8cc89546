from django.db import migrations

DEFAULTS = [
    {
        "measure": "bounces",
        "subject_kind": "stream",
        "window_minutes": 60,
        "sample_floor": 100,
        "warn": 2,
        "act": 5,
        "stop": 10,
        "pauses": True,
        "why": "Mailbox providers read many unknown recipients as a bought list: above 2 % look, at 5 % act, "
        "at 10 % stop before the domain's name suffers. Under 100 messages one bad address decides.",
    },
    {
        "measure": "complaints",
        "subject_kind": "stream",
        "window_minutes": 1440,
        "sample_floor": 1000,
        "warn": "0.08",
        "act": "0.1",
        "stop": "0.3",
        "pauses": True,
        "why": "Gmail and Yahoo ask for less than 0.1 % and never 0.3 %. Complaints come hours later, so the "
        "window is a day; under 1,000 messages one complaint is above the limit.",
    },
    {
        "measure": "bounces",
        "subject_kind": "transport",
        "window_minutes": 60,
        "sample_floor": 100,
        "warn": 2,
        "act": 5,
        "stop": 10,
        "is_enabled": False,
        "why": "For transports that several streams share. Off, since the streams' own threshold sees the same "
        "bounces first.",
    },
    {
        "measure": "bounces",
        "subject_kind": "campaign",
        "window_minutes": 1440,
        "sample_floor": 100,
        "warn": 2,
        "act": 5,
        "stop": 10,
        "is_enabled": False,
        "why": "For streams whose campaigns differ much. Off, since the streams' own threshold sees the same "
        "bounces first.",
    },
    {
        "measure": "fault",
        "subject_kind": "transport",
        "why": "A refused log-in, a policy or a quota stops all mail of a transport: no rate is needed to know.",
    },
    {
        "measure": "breaker",
        "subject_kind": "transport",
        "why": "Sessions failed one after the other: mail waits until the server can be reached again.",
    },
]


def add_defaults(apps, schema_editor):
    threshold = apps.get_model("incidents", "Threshold")
    for fields in DEFAULTS:
        threshold.objects.create(**fields)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial")]
    operations = [migrations.RunPython(add_defaults, migrations.RunPython.noop)]
