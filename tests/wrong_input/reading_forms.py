"""Reads the forms of a page the way a browser would fill them in and send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

BUTTONS = {"submit", "button", "reset", "image"}


@dataclass
class PageForm:
    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)  # what would be sent untouched
    files: set[str] = field(default_factory=set)

    @property
    def is_post(self) -> bool:
        return self.method == "post"

    @property
    def names(self) -> list[str]:
        return [*self.values, *self.files]


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.forms: list[PageForm] = []
        self._select = self._textarea = ""

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._path, given.get("action", ""))
            self.forms.append(PageForm(action, given.get("method", "get").lower()))
        elif self.forms:
            self._field(tag, given)

    def _field(self, tag, given):
        form, name = self.forms[-1], given.get("name", "")
        if tag == "option":
            if self._select and ("selected" in given or self._select not in form.values):
                form.values[self._select] = given.get("value", "")
        elif not name:
            return
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea, form.values[name] = name, ""
        elif tag in {"input", "button"}:
            self._input(form, name, given)

    def _input(self, form, name, given):
        kind = given.get("type", "text")
        if kind == "file":
            form.files.add(name)
        elif kind in {"checkbox", "radio"} and "checked" not in given:
            form.values.setdefault(name, "")
        elif kind in BUTTONS:
            form.values.setdefault(name, given.get("value", ""))
        else:
            form.values[name] = given.get("value", "on" if kind == "checkbox" else "")

    def handle_data(self, data):
        if self._textarea:
            self.forms[-1].values[self._textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self._textarea:
            form, name = self.forms[-1], self._textarea
            form.values[name] = form.values[name].removeprefix("\n")  # behind the tag, not meant
            self._textarea = ""
        elif tag == "select":
            self._select = ""


def forms_of(html: str, path: str) -> list[PageForm]:
    """Return the forms on a page; `path` is where it was fetched from."""
    reader = _Reader(path)
    reader.feed(html)
    return reader.forms
