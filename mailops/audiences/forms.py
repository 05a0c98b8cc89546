"""What people type about audiences and their members."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.safestring import mark_safe

from mailops.accounts.meanwhile import field_of
from mailops.audiences.models import Audience, Contact
from mailops.audiences.naming import problem_of_name
from mailops.lib.time_zones import zone_choices
from mailops.lib.whole_numbers import LARGEST_ID
from mailops.lib.written_words import LineField, LinesField
from mailops.protocol.address import InvalidAddress, address_key


class AudienceForm(forms.ModelForm):  # type: ignore[type-arg] # the class has no item at run time
    class Meta:
        model = Audience
        fields = ("name", "description")
        field_classes: ClassVar = {"name": LineField, "description": LinesField}
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"description": "Who is in it and where they come from."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)


class MemberFilterForm(forms.Form):
    search = forms.CharField(
        required=False,
        label="Address",
        max_length=320,
        widget=forms.SearchInput(attrs={"placeholder": "name@ or @domain"}),
    )

    def clean_search(self) -> str:
        search: str = self.cleaned_data["search"]
        return search.lower()


ATTRIBUTES_HELP = mark_safe(
    r"One a line, as <code>name: value</code>; a line break in a value is <code>\n</code>, "
    r"a backslash <code>\\</code>."
)
WRITTEN = {"\n": r"\n", "\r": r"\r", "\\": r"\\"}
MEANT = {written: char for char, written in WRITTEN.items()}


def _in_one_line(value: Any) -> str:
    return re.sub(r"[\n\r\\]", lambda found: WRITTEN[found.group()], str(value))


def _as_meant(text: str) -> str:
    return re.sub(r"\\[nr\\]", lambda found: MEANT[found.group()], text)


class PlaceForm(forms.Form):
    """Where in a list the page begins; apart from the filter, so that a new search begins at the front."""

    after = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)


class AttributesField(forms.CharField):
    r"""Attributes as lines of `name: value`; a line break in a value is written as \n, a backslash as \\."""

    widget = forms.Textarea(attrs={"rows": 8, "class": "code", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{name}: {_in_one_line(each)}" for name, each in value.items())
        return value

    def clean(self, value: Any) -> Any:
        attributes: dict[str, str] = {}
        for line in re.split(r"\r\n|\r|\n", super().clean(value)):
            if not line.strip():
                continue
            name, colon, text = line.partition(":")
            problem = problem_of_name(name.strip()) if colon else "Write “name: value”."
            if problem:
                raise forms.ValidationError(f"“{line[:60]}”: {problem}")
            attributes[name.strip()] = _as_meant(text.strip())
        return attributes


class ZoneField(forms.ChoiceField):
    """The zone of a person, or that it is not known."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False,
            label="Time zone",
            choices=_zones,
            help_text="Mail with hours of its own leaves by this clock.",
            **kwargs,
        )


def _zones() -> list[tuple[str, str]]:
    return [("", "Not known"), *zone_choices()]


class ContactForm(forms.Form):
    time_zone = ZoneField()
    attributes = AttributesField(required=False, help_text=ATTRIBUTES_HELP)
    revision = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    @classmethod
    def of(cls, contact: Contact, data: Mapping[str, str] | None = None) -> "ContactForm":
        """Return the form that shows `contact`, filled with `data` if there is any."""
        known = {name: getattr(contact, name) for name in ("time_zone", "attributes", "revision")}
        return cls(data, initial=known)


class MemberForm(forms.Form):
    address = forms.CharField(max_length=320, widget=forms.TextInput(attrs={"type": "email"}))
    consent = LineField(
        max_length=254,
        label="What says that they agreed?",
        help_text="Kept with the membership, as evidence.",
    )
    time_zone = ZoneField()
    attributes = AttributesField(required=False, help_text=ATTRIBUTES_HELP)

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        try:
            address_key(address)
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error
        return address
