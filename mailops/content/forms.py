"""All that comes in through the template pages."""

import json
from typing import Any, ClassVar

from django import forms

from mailops.accounts.meanwhile import field_of
from mailops.content.gates import GATES
from mailops.content.languages import language_tags
from mailops.content.limits import MAX_SOURCE
from mailops.content.models import MailTemplate
from mailops.content.starters import STARTERS
from mailops.lib.written_words import LineField
from mailops.transports.models import Stream

MAX_SAMPLE = 64 * 1024
MAX_SAMPLE_DEPTH = 50  # far beyond any mail's data, far below what Python can walk
WIDTHS = [("desktop", "Desktop"), ("phone", "Phone")]
SCHEMES = [("light", "Light"), ("dark", "Dark")]


class TemplateFilterForm(forms.Form):
    q = forms.CharField(label="Search", required=False, max_length=100, widget=forms.SearchInput)
    archived = forms.BooleanField(label="Archived", required=False)


class NewTemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    start = forms.ChoiceField(
        label="Begin with",
        choices=[(key, starter.label) for key, starter in STARTERS.items()],
        initial="letter",
        widget=forms.RadioSelect,
    )

    class Meta:
        model = MailTemplate
        fields = ("name", "kind", "description")
        field_classes: ClassVar = {"name": LineField, "description": LineField}
        labels = {"kind": "What it is"}
        help_texts = {
            "kind": "A mail is sent, a layout stands around mails, and a block is a part that mails share."
        }
        widgets = {"description": forms.TextInput(), "kind": forms.RadioSelect()}


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a template is called, written in and laid out by, and whether a second person looks."""

    class Meta:
        model = MailTemplate
        fields = ("name", "description", "syntax", "layout", "language", "needs_approval")
        field_classes: ClassVar = {"name": LineField, "description": LineField}
        widgets = {"description": forms.TextInput()}
        labels = {
            "syntax": "Written in",
            "language": "Its own language",
            "needs_approval": "A second person has to approve each version",
        }
        help_texts = {
            "layout": "It stands around the mail, which goes where its {{ content }} is.",
            "language": "Such as en or pt-BR. Readers without words of their own language get these.",
        }

    def __init__(self, *args: Any, may_waive: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_waive:
            approval = self.fields["needs_approval"]
            approval.disabled = self.instance.needs_approval
            approval.help_text = "Only operators and admins can switch it off."
        self.fields["seen"] = field_of(self.instance.mark)
        if not self.instance.is_mail:
            del self.fields["layout"]
            return
        layouts = MailTemplate.objects.current().filter(kind=MailTemplate.Kind.LAYOUT)
        self.fields["layout"].queryset = layouts.order_by("name")  # type: ignore[attr-defined]
        self.fields["layout"].empty_label = "None: the mail brings its own"  # type: ignore[attr-defined]

    def clean_language(self) -> str:
        return _language_tag(self.cleaned_data["language"])

    def clean(self) -> dict[str, Any]:
        super().clean()  # else a name that another template has is found by the database alone
        layout = self.cleaned_data.get("layout")
        if layout and layout.syntax != self.cleaned_data.get("syntax"):
            self.add_error("layout", f"This layout is written in {layout.get_syntax_display()}.")
        return self.cleaned_data


class VariantForm(forms.Form):
    language = forms.CharField(max_length=35, help_text="Such as de or pt-BR.")
    also_for = forms.CharField(
        max_length=200,
        required=False,
        label="Also for",
        help_text="Languages without words of their own that get these: gl, ca.",
    )

    def clean_language(self) -> str:
        return _language_tag(self.cleaned_data["language"])

    def clean_also_for(self) -> str:
        written = self.cleaned_data["also_for"]
        tags = [_language_tag(part) for part in written.split(",") if part.strip()]
        return ", ".join(tags)


def _language_tag(written: str) -> str:
    if not written.strip():
        return ""
    tags = language_tags(written)
    if len(tags) != 1:
        raise forms.ValidationError(f"“{written.strip()}” is no language tag such as de or pt-BR.")
    return tags[0]


class LookForm(forms.Form):
    """How a preview is shown; also the query string of its frame."""

    width = forms.ChoiceField(
        choices=WIDTHS, required=False, initial="desktop", widget=forms.RadioSelect
    )
    scheme = forms.ChoiceField(
        choices=SCHEMES, required=False, initial="light", widget=forms.RadioSelect
    )
    images = forms.BooleanField(label="Load pictures from the net", required=False)

    @property
    def chosen(self) -> dict[str, Any]:
        """What was asked for; the usual where nothing was, or what there is not."""
        self.is_valid()
        usual = {"scheme": "light", "images": False}
        return usual | {name: value for name, value in self.cleaned_data.items() if value}


class AskingForm(forms.Form):
    """How often somebody who waits for an answer has looked already."""

    asking = forms.IntegerField(min_value=1, max_value=1000, required=False)


class FillForm(forms.Form):
    """Whose values a preview is filled with."""

    SAMPLE, EMPTIEST, CONTACT = "sample", "emptiest", "contact"

    filled = forms.ChoiceField(
        choices=[
            (SAMPLE, "The sample"),
            (EMPTIEST, "The emptiest contact"),
            (CONTACT, "The contact"),
        ],
        required=False,
        initial=SAMPLE,
        widget=forms.RadioSelect,
    )
    contact = forms.CharField(
        max_length=320,
        required=False,
        widget=forms.EmailInput({"aria-label": "Address of the contact", "placeholder": "ada@…"}),
    )


class SampleField(forms.CharField):
    """A JSON object whose values a template can use."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return {}
        try:
            sample = json.loads(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                "This is not JSON: %(why)s.", params={"why": error.msg, "line": error.lineno}
            ) from error
        except RecursionError as error:
            raise forms.ValidationError("The sample is nested too deeply.") from error
        except ValueError as error:  # Python reads no number of so many digits
            raise forms.ValidationError("The sample holds a number that is too long.") from error
        if not isinstance(sample, dict):
            raise forms.ValidationError('Give an object: {"first_name": "Ada"}.')
        if problem := _why_not_kept(sample, text):
            raise forms.ValidationError(problem)
        return sample


def _why_not_kept(sample: dict[str, Any], text: str) -> str:
    """Say why the database can't keep what `json` reads: it is laxer than the standard."""
    if "\\u0000" in text:
        return "The sample holds a NUL character."
    if _depth_exceeds(sample, MAX_SAMPLE_DEPTH):
        return "The sample is nested too deeply."
    try:
        json.dumps(sample, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return (
            "The sample holds half a character: an escape such as \\ud83d without its second half."
        )
    except ValueError:
        return "The sample holds a number that is none (NaN) or too large."
    return ""


def _depth_exceeds(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_depth_exceeds(each, levels - 1) for each in inner)


def _code(rows: int, **attributes: str) -> forms.Textarea:
    return forms.Textarea(
        {"class": "code", "rows": rows, "spellcheck": "false", "wrap": "soft", **attributes}
    )


TOO_LONG = {"max_length": f"The source is longer than {MAX_SOURCE // 1024} KB."}
NEEDED = {"aria-required": "true"}  # a draft may lack it, what is published may not


def _lines(source: str) -> str:
    """Return `source` with the ends of lines that a script sends; a browser's own have two characters."""
    return source.replace("\r\n", "\n")


class DraftForm(forms.Form):
    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    seen = field_of("")
    language = forms.CharField(max_length=35, required=False, widget=forms.HiddenInput)
    page = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)
    subject = forms.CharField(
        max_length=500,
        required=False,
        widget=forms.TextInput({"data-editor": "subject", **NEEDED}),
    )
    html = forms.CharField(
        label="Source",
        max_length=MAX_SOURCE,
        error_messages=TOO_LONG,
        required=False,
        strip=False,
        widget=_code(24, **{"data-editor": "html", **NEEDED}),
    )
    text = forms.CharField(
        label="Text",
        max_length=MAX_SOURCE,
        error_messages=TOO_LONG,
        required=False,
        strip=False,
        widget=_code(8, **{"data-editor": "text"}),
        help_text="Leave it empty and it is derived from the HTML.",
    )
    sample = SampleField(
        label="Sample data",
        max_length=MAX_SAMPLE,
        required=False,
        widget=_code(6, **{"data-editor": "json"}),
        help_text="JSON: what the preview is filled with, as a contact's attributes would.",
    )

    def clean_html(self) -> str:
        return _lines(self.cleaned_data["html"])

    def clean_text(self) -> str:
        return _lines(self.cleaned_data["text"])

    @classmethod
    def initial_for(cls, template: MailTemplate, language: str = "") -> dict[str, Any]:
        words = template.variants.get(language=language) if language else template
        return {
            "revision": template.draft_revision,
            "seen": template.mark_of_words(language),
            "language": language,
            "subject": words.draft_subject,
            "html": words.draft_html,
            "text": words.draft_text,
            "sample": json.dumps(template.sample, indent=2, ensure_ascii=False),
        }

    @property
    def draft(self) -> dict[str, Any]:
        """Return the sources and the sample as they were given, the sample {} where it is invalid."""
        given = getattr(self, "cleaned_data", {})
        sources = {name: given.get(name, "") for name in ("subject", "html", "text")}
        language = given.get("language", "")
        return {**sources, "sample": given.get("sample", {}), "language": language}


class PublishForm(forms.Form):
    """A release; `seen` stands for the content the person looked at, `nod` for the warnings they saw."""

    seen = field_of("")
    note = LineField(
        label="What changed",
        max_length=500,
        required=False,
        widget=forms.TextInput({"placeholder": "New footer, shorter subject"}),
    )
    nod = forms.BooleanField(required=False)

    def __init__(self, *args: Any, warnings: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if warnings:
            what = "the warning" if warnings == 1 else f"the {warnings} warnings"
            self.fields["nod"].label = f"I have seen {what} above"
            self.fields["nod"].required = True
            self.fields["nod"].error_messages["required"] = (
                "Mend what is warned of, or say that you have seen it."
            )
        else:
            del self.fields["nod"]


class AskForm(forms.Form):
    """A question for a second person."""

    seen = field_of("")
    note = LineField(
        label="What changed, for who looks at it",
        max_length=500,
        required=False,
        widget=forms.TextInput(),
    )


class DecideForm(forms.Form):
    decision = forms.ChoiceField(choices=[("approve", "Approve"), ("refuse", "Don't approve")])
    reason = LineField(label="Why", max_length=500, required=False, widget=forms.TextInput())

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("decision") == "refuse" and not self.cleaned_data.get("reason"):
            self.add_error("reason", "Say what has to change.")
        return self.cleaned_data


class OverrideForm(forms.Form):
    seen = field_of("")
    reason = LineField(
        label="Why nobody else can look at it now",
        max_length=500,
        help_text="It stands on the audit trail, beside your name.",
    )


class SeenForm(forms.Form):
    """Which state the page showed: the number of the newest version, or the revision of the draft."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    @property
    def number(self) -> int | None:
        return self.cleaned_data["seen"] if self.is_valid() else None


class GatesForm(forms.Form):
    stream = forms.ModelChoiceField(Stream.objects.all())
    gates = forms.MultipleChoiceField(choices=list(GATES.items()), required=False)
    seen = field_of("")


class DiffForm(forms.Form):
    """Two sides of a comparison: version numbers, or the draft."""

    old = forms.ChoiceField(label="From")
    new = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, numbers: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("draft", "Draft"), *((str(n), f"Version {n}") for n in numbers)]
        for field in self.fields.values():
            field.choices = choices  # type: ignore[attr-defined]
