"""A template as a folder: how its files are written, and read without trusting them.

Each template is a folder: template.yaml (what it is), source.html or source.mjml, text.txt where it is written by hand,
sample.yaml, and source.de.html, text.de.txt for further languages; what goes with the mail is in files/. File names are
ours, or those that mailops would give an upload, so no file can lead elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.forms import ValidationError

from mailops.content.enclosing import MAX_FILES, RefusedFile, examine
from mailops.content.file_types import clean_name
from mailops.content.files import File, files_of_draft
from mailops.content.forms import SampleField
from mailops.content.languages import language_tags
from mailops.content.limits import MAX_SOURCE
from mailops.content.models import MailTemplate, Syntax
from mailops.lib.one_line import unbroken
from mailops.lib.storable import storable

MAX_META = 256 * 1024  # octets of a YAML file
MAX_FOLDERS = 2_000
_META, _SAMPLE, _FILES = "template.yaml", "sample.yaml", "files"
_SHOWN, _ATTACHED = "shown", "attached"
_ENDINGS = {Syntax.HTML.value: "html", Syntax.MJML.value: "mjml"}
_LONGEST = {"name": 100, "language": 35, "subject": 500, "also_for": 200}  # as the columns
_OF_META = (
    *("name", "kind", "description", "syntax", "layout", "language"),
    *("needs_approval", "subject"),
)  # beside the languages and the files


class BadFile(Exception):
    """A file can't be read as a template's; the text names it and says why."""


@dataclass
class Filed:
    """One template as its files say it."""

    name: str
    kind: str = MailTemplate.Kind.MAIL
    description: str = ""
    syntax: str = Syntax.HTML
    layout: str = ""
    language: str = ""
    needs_approval: bool = False
    subject: str = ""
    source: str = ""
    text: str = ""
    sample: dict[str, Any] = field(default_factory=dict)
    languages: dict[str, dict[str, str]] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict, compare=False)  # by their hashes

    @classmethod
    def of(cls, template: MailTemplate) -> "Filed":
        return cls(
            name=template.name,
            kind=template.kind,
            description=template.description,
            syntax=template.syntax,
            layout=template.layout.name if template.layout else "",
            language=template.language,
            needs_approval=template.needs_approval,
            subject=template.draft_subject,
            source=template.draft_html,
            text=template.draft_text,
            sample=template.sample,
            languages={
                each.language: {
                    "also_for": each.also_for,
                    "subject": each.draft_subject,
                    "source": each.draft_html,
                    "text": each.draft_text,
                }
                for each in template.variants.order_by("language")
            },
            files=files_of_draft(template),
        )


def write_template(filed: Filed, folder: Path) -> None:
    """Write the files of a template into `folder`, and delete those of another time."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = _ENDINGS[filed.syntax]
    files = {f"source.{ending}": filed.source, "text.txt": filed.text}
    for language, words in filed.languages.items():
        files[f"source.{language}.{ending}"] = words["source"]
        files[f"text.{language}.txt"] = words["text"]
    meta = {name: getattr(filed, name) for name in _OF_META}
    if filed.files:
        meta["files"] = {f.name: _SHOWN if f.is_inline else _ATTACHED for f in filed.files}
    if filed.languages:
        meta["languages"] = {
            language: {"subject": words["subject"], "also_for": words["also_for"]}
            for language, words in filed.languages.items()
        }
    files[_META] = _as_yaml(meta)
    files[_SAMPLE] = _as_yaml(filed.sample)
    for old in (*folder.glob("source.*"), *folder.glob("text.*")):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        path = folder / name
        if content or name in {_META, f"source.{ending}"}:
            path.write_text(content, encoding="utf-8", newline="")
        else:
            path.unlink(missing_ok=True)
    _write_files(filed, folder / _FILES)


def _write_files(filed: Filed, folder: Path) -> None:
    names = {file.name for file in filed.files}
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.is_file() and old.name not in names:
            old.unlink()
    for file in filed.files:
        folder.mkdir(exist_ok=True)
        (folder / file.name).write_bytes(filed.contents[file.sha256])


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=100)


def read_templates(folder: Path) -> list[Filed]:
    """Return what the folders below `folder` say; raise BadFile."""
    if not folder.is_dir():
        raise BadFile(f"{folder} is no folder.")
    root = folder.resolve()
    if (root / _META).exists():
        return [read_template(root, root)]
    found = sorted(path.parent for path in root.glob(f"*/{_META}"))[:MAX_FOLDERS]
    filed = [read_template(path, root) for path in found]
    names = [one.name for one in filed]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise BadFile(f"Two folders say they are “{doubled.pop()}”.")
    return filed


def read_template(folder: Path, root: Path) -> Filed:
    meta = _yaml_of(folder / _META, root)
    listed = {name: meta.pop(name, None) or {} for name in ("languages", "files")}
    for name, value in meta.items():
        if name not in _OF_META:
            raise BadFile(f"{folder.name}/{_META}: there is no field “{name}”.")
        kind, word = (bool, "true or false") if name == "needs_approval" else (str, "text")
        if not isinstance(value, kind):
            raise BadFile(f"{folder.name}/{_META}: “{name}” has to be {word}.")
        if isinstance(value, str):
            _refuse_unkept(name, value, folder)
    filed = Filed(**{"name": "", **meta})
    _refuse_nonsense(filed, folder)
    ending = _ENDINGS[filed.syntax]
    filed.source = _text_of(folder / f"source.{ending}", root)
    filed.text = _text_of(folder / "text.txt", root)
    filed.sample = _sample_of(folder / _SAMPLE, root)
    for language, words in _languages(listed["languages"], folder):
        said = {name: str(words.get(name, "")) for name in ("subject", "also_for")}
        for name, text in said.items():
            _refuse_unkept(name, text, folder)
        filed.languages[language] = {
            **said,
            "source": _text_of(folder / f"source.{language}.{ending}", root),
            "text": _text_of(folder / f"text.{language}.txt", root),
        }
    _read_files(filed, listed["files"], folder, root)
    return filed


def _read_files(filed: Filed, listed: Any, folder: Path, root: Path) -> None:
    if not isinstance(listed, dict) or len(listed) > MAX_FILES:
        raise BadFile(f"{folder.name}/{_META}: “files” has to say of each whether it is shown.")
    for name, how in sorted(listed.items(), key=str):
        where = f"{folder.name}/{_FILES}/{name}"
        is_known = how in (_SHOWN, _ATTACHED)  # no set: it may be a list
        if clean_name(str(name)) != name or not is_known:
            raise BadFile(f"{where}: the name can't be kept, or it is neither shown nor attached.")
        path = folder / _FILES / name
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise BadFile(f"{where} isn't there, or leads out of the folder.")
        if path.stat().st_size > settings.MAILOPS_FILE_MB * 1_000_000:
            raise BadFile(f"{where} is larger than {settings.MAILOPS_FILE_MB} MB.")
        content = path.read_bytes()
        try:
            measured = examine(name, content)
        except RefusedFile as error:
            raise BadFile(f"{where}: {error}") from error
        sha256 = hashlib.sha256(content).hexdigest()
        is_inline = how == _SHOWN and measured.is_picture
        filed.files.append(File(name, sha256, len(content), is_inline))
        filed.contents[sha256] = content


def _languages(languages: Any, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(languages, dict):
        raise BadFile(f"{folder.name}/{_META}: “languages” has to name each with its subject.")
    for language, words in languages.items():
        if language_tags(str(language)) != [language] or not isinstance(words, dict):
            raise BadFile(f"{folder.name}/{_META}: “{language}” is no language tag such as pt-br.")
        yield language, words


def _refuse_nonsense(filed: Filed, folder: Path) -> None:
    if not filed.name.strip():
        raise BadFile(f"{folder.name}/{_META} has to say a “name”, of 1 to 100 characters.")
    if filed.kind not in MailTemplate.Kind.values or filed.syntax not in Syntax.values:
        raise BadFile(f"{folder.name}/{_META}: kind is mail, layout or block, syntax html or mjml.")


def _without_blanks(text: str) -> str:
    return "".join(text.split())


def _refuse_unkept(name: str, text: str, folder: Path) -> None:
    """Refuse a text that its column can't keep; a file may hold what nobody can type into a form."""
    if storable(text) != text:
        raise BadFile(f"{folder.name}/{_META}: “{name}” has a NUL or half a character in it.")
    if name in {"name", "description"} and _without_blanks(unbroken(text)) != _without_blanks(text):
        raise BadFile(
            f"{folder.name}/{_META}: “{name}” has something in it that can't be seen: write it anew."
        )
    if name in _LONGEST and len(text) > _LONGEST[name]:
        raise BadFile(
            f"{folder.name}/{_META}: “{name}” is longer than {_LONGEST[name]} characters."
        )


def _text_of(path: Path, root: Path) -> str:
    if not path.exists():
        return ""
    if not path.resolve().is_relative_to(root) or not path.is_file():
        raise BadFile(f"{path.name} in {path.parent.name} leads out of the folder.")
    if path.stat().st_size > 4 * MAX_SOURCE:
        raise BadFile(f"{path.parent.name}/{path.name} is longer than {MAX_SOURCE // 1024} KB.")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise BadFile(f"{path.parent.name}/{path.name} is not UTF-8.") from error
    if len(text) > MAX_SOURCE or "\0" in text:
        raise BadFile(f"{path.parent.name}/{path.name} is too long, or has a NUL in it.")
    return text


class _Loader(yaml.SafeLoader):
    """Reads plain YAML; without aliases, which can make a small file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def _yaml_of(path: Path, root: Path) -> dict[str, Any]:
    where = f"{path.parent.name}/{path.name}"
    written = _text_of(path, root)
    if len(written) > MAX_META:
        raise BadFile(f"{where} is longer than {MAX_META // 1024} KB.")
    try:
        read = yaml.load(written, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadFile(f"{where} is not YAML: {str(error)[:200]}") from error
    if not isinstance(read or {}, dict):
        raise BadFile(f"{where} has to name fields.")
    return read or {}


def _sample_of(path: Path, root: Path) -> dict[str, Any]:
    try:
        written = json.dumps(_yaml_of(path, root), default=str)
    except TypeError as error:  # YAML takes days for names, too
        raise BadFile(
            f"{path.parent.name}/{path.name}: a name in it is no text: put it in quotes."
        ) from error
    try:
        sample: dict[str, Any] = SampleField(required=False).clean(written)
    except ValidationError as error:
        raise BadFile(f"{path.parent.name}/{path.name}: {error.messages[0]}") from error
    return sample
