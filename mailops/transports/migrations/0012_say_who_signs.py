"""Writes down who signs what each transport sends, for domains whose streams were saved before that was."""

from django.db import migrations
from django.utils import timezone

SIGNED_HERE = "signed by mailops"
SIGNED_THERE = "signed by the provider"


def say_who_signs(apps, schema_editor):
    Requirement = apps.get_model("domains", "Requirement")
    Domain = apps.get_model("domains", "Domain")
    Route = apps.get_model("transports", "Route")
    wanted = {
        (
            route.stream.domain_id,
            _signed(route.transport),
            f"transport: {route.transport.name}"[:100],
        )
        for route in Route.objects.select_related("stream", "transport")
    }
    known = set(
        Requirement.objects.filter(kind="sends").values_list("domain_id", "value", "needed_by")
    )
    missing = sorted(wanted - known)
    Requirement.objects.bulk_create(
        [
            Requirement(domain_id=pk, kind="sends", value=value, needed_by=needed_by)
            for pk, value, needed_by in missing
        ],
        ignore_conflicts=True,
    )
    Domain.objects.filter(pk__in={pk for pk, _, _ in missing}).update(next_check_at=timezone.now())


def _signed(transport):
    is_here = transport.kind == "smtp" and not transport.options.get("dkim_selectors")
    return SIGNED_HERE if is_here else SIGNED_THERE


class Migration(migrations.Migration):
    dependencies = [
        ("transports", "0011_live_test"),
        ("domains", "0006_optional_records"),
    ]

    operations = [migrations.RunPython(say_who_signs, migrations.RunPython.noop, elidable=True)]
