"""Renders a template to stdout: what a recipient with this data would get."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.content.asking import Unreadable, look_at, read_asked
from mailops.lib.command_line import asking_the_database, words

COULD_NOT_RENDER = 2


class Command(BaseCommand):
    help = (
        "Render a template: a file, a folder of export_templates, or the name of a template here."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("template", metavar="FILE|NAME")
        parser.add_argument("--sample", type=Path, metavar="FILE", help="JSON or YAML")
        parser.add_argument("--subject", type=words, default="", help="of a file; else its <title>")
        parser.add_argument("--part", choices=("html", "text", "subject"), default="html")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with asking_the_database(returncode=COULD_NOT_RENDER):
                asked = read_asked(
                    options["template"], options["sample"], subject=options["subject"]
                )
                look = look_at(asked)
        except (Unreadable, OSError) as error:
            raise CommandError(str(error), returncode=COULD_NOT_RENDER) from error
        if look.rendered is None:
            raise CommandError("\n".join(f"{p.place}: {p.sentence}" for p in look.errors))
        self.stdout.write(getattr(look.rendered, options["part"]))
