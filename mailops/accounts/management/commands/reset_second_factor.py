"""Takes the second factor of an account away from a shell: for the only admin, whom no other can help."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.accounts.managing import reset_second_factor
from mailops.accounts.models import User
from mailops.lib.command_line import asking_the_database


class Command(BaseCommand):
    help = (
        "Takes away what an account is asked for beside its password, and logs it out everywhere. Admins do so under "
        "Settings, Users; this is for the only one. A forgotten password: changepassword EMAIL."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="what the account logs in with")

    def handle(self, *args: Any, **options: Any) -> None:
        with asking_the_database(returncode=1):
            user = User.objects.filter(email__iexact=options["email"]).first()
            if user is None:
                raise CommandError(f"There is no account of {options['email']}.")
            had_any = reset_second_factor(actor=None, user=user)
        said = "logs in by the password alone now" if had_any else "has no second factor"
        self.stdout.write(f"{user.email} {said}.")
