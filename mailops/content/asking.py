"""Finds what a command was asked about: a file, a folder of files, or a template by its name."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mailops.content.checking import Look, look_over
from mailops.content.folders import BadFile, Filed, read_template
from mailops.content.limits import MAX_SOURCE
from mailops.content.models import MailTemplate, Syntax
from mailops.lib.command_line import not_utf8

_TITLE = re.compile(r"<(?:mj-)?title[^>]*>([^<]{1,500})</", re.IGNORECASE)


class Unreadable(Exception):
    """What was asked about can't be read; the text says why."""


@dataclass(frozen=True)
class Asked:
    name: str
    sources: dict[str, Any]
    sample: dict[str, Any]
    languages: dict[str, dict[str, str]] = field(default_factory=dict)  # its words in others
    is_here: bool = False  # a template of this installation, whose audiences can be asked


def look_at(asked: Asked) -> Look:
    return look_over(**asked.sources, sample=asked.sample)


def look_at_languages(asked: Asked) -> dict[str, Look]:
    """Return the looks of its words in each other language, the findings tagged with it."""
    looks = {}
    for language, words in asked.languages.items():
        own = {"subject": words["subject"], "html": words["source"], "text": words["text"]}
        look = look_over(**asked.sources | own, sample=asked.sample)
        looks[language] = look.in_language(language)
    return looks


def read_asked(named: str, sample_file: Path | None, *, subject: str = "") -> Asked:
    """Return the template that `named` names; raise Unreadable."""
    path = Path(named)
    try:
        if path.is_dir():
            asked = _of_filed(read_template(path, path.resolve()))
        elif path.is_file():
            asked = _of_file(path, subject)
        else:
            asked = _of_name(named)
    except BadFile as error:
        raise Unreadable(str(error)) from error
    if sample_file is None:
        return asked
    return replace(asked, sample=_read_sample(sample_file))


def _of_file(path: Path, subject: str) -> Asked:
    if path.stat().st_size > 4 * MAX_SOURCE:
        raise Unreadable(f"{path} is longer than {MAX_SOURCE // 1024} KB.")
    try:
        source = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is not UTF-8.") from error
    title = _TITLE.search(source)
    is_mjml = path.suffix == ".mjml" or "<mjml" in source[:2000]
    sources = {
        "subject": subject or (title[1].strip() if title else ""),
        "html": source if path.suffix != ".txt" else "",
        "text": source if path.suffix == ".txt" else "",
        "syntax": Syntax.MJML if is_mjml else Syntax.HTML,
    }
    return Asked(str(path), sources, {})


def _of_name(name: str) -> Asked:
    """Return the template here that has this name; raise Unreadable."""
    try:
        name.encode()
    except UnicodeEncodeError as error:  # a file may be called so, a template can't
        raise Unreadable(f"There is no such file, and {not_utf8(name)}.") from error
    template = MailTemplate.objects.current().filter(name=name).select_related("layout").first()
    if template is None:
        raise Unreadable(f"There is no file and no template “{name}”.")
    return replace(_of_filed(Filed.of(template)), is_here=True)


def _of_filed(filed: Filed) -> Asked:
    layouts = MailTemplate.objects.filter(name=filed.layout)
    sources = {
        "subject": filed.subject,
        "html": filed.source,
        "text": filed.text,
        "syntax": filed.syntax,
        "kind": filed.kind,
        "layout": layouts.first() if filed.layout else None,
        "files": filed.files,
    }
    return Asked(filed.name, sources, filed.sample, filed.languages)


def _read_sample(path: Path) -> dict[str, Any]:
    try:
        written = path.read_text(encoding="utf-8")
        sample = json.loads(written) if path.suffix == ".json" else yaml.safe_load(written)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable(f"{path} is neither JSON nor YAML.") from error
    if not isinstance(sample, dict):
        raise Unreadable(f"{path} has to be an object of names and values.")
    return sample
