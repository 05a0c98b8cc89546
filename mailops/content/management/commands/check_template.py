"""Asks a template's gates in CI: exit code 0 (passed), 1 (a finding that fails it), 2 (could not check)."""

import json
import re
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement

from django.core.management.base import BaseCommand, CommandError

from mailops.content.asking import Asked, Unreadable, look_at, look_at_languages, read_asked
from mailops.content.checking import Look, Sources
from mailops.content.gates.finding import Problem
from mailops.content.gates.spam import ask_filters
from mailops.content.link_answers import problem_of
from mailops.content.people import lacking
from mailops.content.reaching import ask_all, links_in
from mailops.lib.command_line import asking_the_database, words

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # for XML
PASSED, FAILED, COULD_NOT_CHECK = 0, 1, 2


class Command(BaseCommand):
    help = "Check a template: a file, a folder of export_templates, or the name of a template here."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("template", metavar="FILE|NAME")
        parser.add_argument("--sample", type=Path, metavar="FILE", help="JSON or YAML")
        parser.add_argument("--subject", type=words, default="", help="of a file; else its <title>")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--junit", type=Path, metavar="FILE")
        parser.add_argument("--links", action="store_true", help="ask whether they are there")
        parser.add_argument("--fail-on", choices=("warning", "error"), default="error")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with asking_the_database(returncode=COULD_NOT_CHECK):
                asked = read_asked(
                    options["template"], options["sample"], subject=options["subject"]
                )
                look = look_at(asked)
                others = look_at_languages(asked)
                if asked.is_here and look.rendered:
                    look.problems.extend(lacking(Sources(**asked.sources)))
        except (Unreadable, OSError) as error:
            raise CommandError(str(error), returncode=COULD_NOT_CHECK) from error
        for language, one in {"": look, **others}.items():
            if one.rendered:
                one.problems.extend(ask_filters(one.rendered, language=language))
        if options["links"]:
            look.problems.extend(_dead_links([look, *others.values()], asked))
        look.problems.extend(problem for one in others.values() for problem in one.problems)
        failing = look.errors + (look.warnings if options["fail_on"] == "warning" else [])
        self.stdout.write(_as_json(asked, look) if options["json"] else _as_text(look))
        if options["junit"]:
            report = ElementTree(_as_junit(asked, look, failing))
            try:
                report.write(options["junit"], encoding="utf-8", xml_declaration=True)
            except OSError as error:
                raise CommandError(str(error), returncode=COULD_NOT_CHECK) from error
        sys.exit(FAILED if failing else PASSED)


def _dead_links(looks: list[Look], asked: Asked) -> list[Problem]:
    found = [links_in(look.compiled) for look in looks] + [links_in("", asked.sources["text"])]
    links = dict.fromkeys(link for each in found for link in each if not link.is_own)
    answers = ask_all([link.address for link in links])
    return [problem_of(one, asked.sources["html"]) for one in answers if one.is_dead]


def _as_json(asked: Asked, look: Look) -> str:
    findings = [problem.as_json() for problem in look.problems]
    return json.dumps({"template": asked.name, "findings": findings}, indent=2)


def _as_text(look: Look) -> str:
    said = [
        f"{problem.severity:8}{problem.rule:26}{_place(problem)}{problem.sentence} {problem.fix}".rstrip()
        for problem in look.problems
    ]
    counts = f"{len(look.errors)} errors, {len(look.warnings)} warnings, {len(look.notes)} notes"
    return "\n".join([*said, counts])


def _place(problem: Problem) -> str:
    place = ", ".join(filter(None, [problem.language, problem.place]))
    return f"{place}: " if place else ""


def _as_junit(asked: Asked, look: Look, failing: list[Problem]) -> Element:
    count, name = str(max(len(look.problems), 1)), _UNFIT.sub("�", asked.name)
    suite = Element("testsuite", name=name, tests=count, failures=str(len(failing)))
    for problem in look.problems:
        case = SubElement(suite, "testcase", classname=name, name=problem.rule)
        if problem in failing:
            said = f"{_place(problem)}{problem.sentence} {problem.why} {problem.fix}"
            failure = SubElement(
                case, "failure", message=_UNFIT.sub("�", problem.sentence), type=problem.severity
            )
            failure.text = _UNFIT.sub("�", said)
    if not look.problems:
        SubElement(suite, "testcase", classname=name, name="gates")
    return suite
