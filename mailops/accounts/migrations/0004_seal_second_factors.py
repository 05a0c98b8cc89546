"""Seals the second factors that stand in clear."""

from typing import Any

from django.db import migrations

from mailops.lib.secrets import Place, seal_text, unseal_text

PLACE = Place(table="mfa_authenticator", column="data", row="", endpoint="")


def seal_second_factors(apps: Any, _schema_editor: Any) -> None:
    """Seal anew what is sealed already, too: so it may run again."""
    for factor in apps.get_model("mfa", "Authenticator").objects.exclude(type="webauthn"):
        for name in ("secret", "seed"):
            if name in factor.data:
                factor.data[name] = seal_text(unseal_text(factor.data[name], PLACE), PLACE)
        factor.save(update_fields=["data"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_ended_sessions"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        migrations.CreateModel(
            name="SecondFactor",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("mfa.authenticator",),
        ),
        migrations.RunPython(seal_second_factors, migrations.RunPython.noop),
    ]
