"""A finding of a gate, and the table of rules: how bad each is, why it matters, and what mends it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mailops.content.rendering import PART_LABELS


@dataclass(frozen=True)
class Problem:
    sentence: str
    is_error: bool = False  # an error blocks publishing
    part: str = ""
    line: int | None = None
    rule: str = "liquid.syntax"
    why: str = ""
    fix: str = ""
    is_note: bool = False  # worth knowing; nobody needs to nod at it
    language: str = ""  # whose words it is about; empty: the template's own

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "Problem":
        """Return what `as_json` wrote."""
        named = {name: kept[name] for name in ("sentence", "rule", "part", "line", "why", "fix")}
        severity = kept["severity"]
        language = kept.get("language", "")
        return cls(
            **named, is_error=severity == "error", is_note=severity == "info", language=language
        )

    @property
    def gate(self) -> str:
        return self.rule.partition(".")[0]

    @property
    def place(self) -> str:
        label = PART_LABELS.get(self.part, "")
        return f"{label}, line {self.line}" if label and self.line else label

    @property
    def severity(self) -> str:
        return "error" if self.is_error else "info" if self.is_note else "warning"

    def as_json(self) -> dict[str, object]:
        return {
            "rule": self.rule,
            "severity": self.severity,
            "part": self.part,
            "language": self.language,
            "line": self.line,
            "sentence": self.sentence,
            "why": self.why,
            "fix": self.fix,
        }


def in_reading_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return the worst first, and those that weigh the same as one comes to them; the whole mail's come last."""
    parts = list(PART_LABELS)

    def place(problem: Problem) -> tuple[bool, bool, int, int]:
        part = parts.index(problem.part) if problem.part in parts else len(parts)
        return not problem.is_error, problem.is_note, part, problem.line or 0

    return sorted(problems, key=place)


# rule → why it matters, what mends it
RULES: dict[str, tuple[str, str]] = {
    "liquid.syntax": ("", ""),
    "liquid.unknown_name": ("Everybody would see a gap there, or its fallback.", "Check the spelling, or add it to the sample."),
    "liquid.no_fallback": ("Those contacts would see a gap in the sentence.", "Give a fallback: {{ name | default: 'there' }}."),
    "liquid.foreign": ("It would go out as it is written.", "Write {{ name }}, with the name of an attribute."),
    "liquid.mjml": ("MJML leaves out what it doesn't know, without a word.", "Write it as MJML's reference says."),
    "liquid.untranslated": ("Its readers would get the words of another language.", "Write the subject and the body in this language."),
    "files.missing": ("Mail programs show a broken picture, or nothing.", "Add the file under Files as a picture that is shown, or write the name of one that is there."),
    "files.unused": ("Readers download it for nothing, and some programs show it as an attachment.", "Show it with cid:, attach it, or remove it."),
    "files.unscanned": ("Nobody knows whether it is clean.", "Scan it again under Files when the scanner is back."),
    "files.infected": ("It would harm readers, and providers would stop the account.", "Remove it."),
    "files.too_much": ("Nearly all mail servers refuse a mail of more than 10 MB, and files grow by a third on the way.", "Link to large files instead."),
    "mail.subject": ("A mail without a subject looks like spam.", "Write one."),
    "mail.subject_cut": ("Phones show about 40 characters, most programs 70.", "Say the most important thing first, in fewer words."),
    "mail.preheader": ("Inboxes show the first words of the mail beside the subject.", 'Begin the body with a hidden line: <div style="display:none">…</div>, or <mj-preview>.'),
    "mail.text": ("Some people and many filters read the text part.", "Write words, not only pictures, or a text part by hand."),
    "mail.unsubscribe": ("Mail to many people needs one, by law and by Gmail's and Yahoo's rules.", "Link to {{ unsubscribe_url }}."),
    "mail.size": ("Often that is the unsubscribe link.", "Cut repeated styles, comments and rows."),
    "mail.weight": ("Pictures in the source are downloaded by everybody, again with each mail.", "Attach them or host them instead."),
    "mail.images_only": ("Filters take a mail of pictures for spam, and many people see no pictures.", "Write the message as text."),
    "mail.alt": ("Readers without pictures, and screen readers, get nothing.", 'Add alt="…", or alt="" for decoration.'),
    "mail.image_size": ("Without a width Outlook shows a picture in its full size, and the text jumps while it loads.", 'Add width="…" and height="…".'),
    "mail.data_image": ("Gmail and Outlook don't show pictures that stand in the source.", "Attach or host them."),
    "mail.long_line": ("SMTP allows 998 octets in a line (RFC 5322, 2.1.1); longer ones travel encoded and can't be read on the wire.", "Break the line."),
    "mail.unclosed": ("Each mail program ends it somewhere else, so what follows may be bold, a link, or in the wrong place.", "Close it where it ends."),
    "mail.charset": ("Mail is sent as UTF-8; another name makes letters come out wrong.", 'Write <meta charset="utf-8">.'),
    "mail.script": ("Mail programs remove scripts, and filters refuse such mail.", "Remove it."),
    "mail.form": ("Most mail programs don't show it, or warn of it.", "Link to a page instead."),
    "mail.stylesheet": ("Mail programs don't load stylesheets.", "Put the rules in a <style> element; they are inlined."),
    "mail.font": ("Only Apple Mail and a few others load fonts; the rest take the next in the list.", "Name a fallback that every system has."),
    "links.bad": ("It leads nowhere.", "Give a whole address: https://…"),
    "links.http": ("Browsers warn of it, and anybody on the way can read and change it.", "Use https:."),
    "links.lookalike": ("Filters and people take it for phishing.", "Let the words and the address name the same host."),
    "links.host": ("Filters trust such addresses little.", "Link to a name of your own."),
    "reach.dead": ("Readers would find nothing there.", "Mend the address, or the page."),
    "reach.unasked": ("A link that leads nowhere is only seen by who asks for it.", "Wait until they are asked, or say that you have seen this."),
    "reach.asked": ("", ""),
    "clients.css": ("", ""),
    "clients.tag": ("", ""),
    "dark.contrast": ("In dark mode the text can hardly be read.", "Set color and background together, also within @media (prefers-color-scheme: dark)."),
    "dark.logo": ("A dark picture on a transparent ground vanishes on a dark page.", "Give it a light ground or outline, or exchange it within @media (prefers-color-scheme: dark)."),
    "accessibility.lang": ("Screen readers pronounce it in the reader's own language.", 'Write <html lang="en">, or <mjml lang="en">.'),
    "accessibility.direction": ("It is aligned to the left, with full stops and brackets on the wrong side.", 'Write <html dir="rtl">, or <mjml dir="rtl">.'),
    "accessibility.headings": ("Screen readers jump from heading to heading.", "Begin with h1 and leave out no level."),
    "accessibility.table": ("Screen readers read a table for layout cell by cell.", 'Add role="presentation".'),
    "accessibility.contrast": ("Text needs a contrast of 4.5 to its ground (WCAG 1.4.3), large text 3.", "Take a darker or a lighter color."),
    "accessibility.link_words": ("Heard alone, it says nothing of where it leads.", "Name what is behind the link."),
    "spam.unasked": ("Nobody knows what a filter thinks of it.", "See to the filter and look again, or say that you have seen this."),
    "spam.score": ("Mailbox providers run filters like this one.", "Mend what it names."),
}  # fmt: skip


def found(
    rule: str,
    sentence: str,
    *,
    line: int | None = None,
    part: str = "html",
    is_error: bool = False,
    why: str = "",
    fix: str = "",
    is_note: bool = False,
) -> Problem:
    """Return a problem with its rule's reason and remedy."""
    known_why, known_fix = RULES[rule]
    return Problem(
        sentence, is_error, part, line, rule, why or known_why, fix or known_fix, is_note
    )
