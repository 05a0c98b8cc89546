"""How an uploaded file is to be read, and what its columns mean."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from mailops.audiences.models import Import, ImportRemark
from mailops.audiences.naming import free_name, liquid_name, problem_of_name
from mailops.lib.csv_reading import DELIMITERS, ENCODINGS
from mailops.lib.time_zones import is_zone
from mailops.lib.written_words import LineField

MAX_FILE_BYTES = 1024 * 1024 * 1024
ZONE_WORDS = frozenset({"time_zone", "timezone", "tz", "zone"})
# what exports of ours tell in their last columns, beside what is known of people
TOLD = (["line", "reason"], ["consent", "added_at"])
ADDRESS_WORDS = ("email", "e_mail", "mail", "email_address", "e_mail_address", "address")


class UploadForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="One person a row, with a column of addresses. Any encoding, any of the usual delimiters.",
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        error_messages={"empty": "The file is empty: there is not one row in it."},
    )

    def clean_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_FILE_BYTES:
            gigabytes = MAX_FILE_BYTES // 1024**3
            raise forms.ValidationError(
                f"The file is larger than {gigabytes} GB. Split it in several."
            )
        return file


def _select_of_columns() -> forms.Select:
    return forms.Select(attrs={"form": "import-columns"})


class ReadingForm(forms.Form):
    """How the file is read; the page shows at once what comes of it. Posted with the columns, whose form is theirs."""

    encoding = forms.ChoiceField(choices=list(ENCODINGS.items()), widget=_select_of_columns())
    delimiter = forms.ChoiceField(
        choices=[(sign, word.capitalize()) for sign, word in DELIMITERS.items()],
        widget=_select_of_columns(),
    )
    header = forms.ChoiceField(
        label="First row",
        choices=[("yes", "holds the names"), ("no", "is a person")],
        widget=_select_of_columns(),
    )

    @classmethod
    def of(cls, run: Import, data: Mapping[str, Any]) -> "ReadingForm":
        """Return the form filled with `data` where it says how to read, else with what was guessed."""
        guessed = {
            "encoding": run.encoding,
            "delimiter": run.delimiter,
            "header": "yes" if run.has_header else "no",
        }
        return cls({name: data.get(name) or value for name, value in guessed.items()})

    def apply_to(self, run: Import) -> None:
        run.encoding = self.cleaned_data["encoding"]
        run.delimiter = self.cleaned_data["delimiter"]
        run.has_header = self.cleaned_data["header"] == "yes"


class MappingForm(forms.Form):
    """For each column of the file: the address, an attribute with its name, the time zone, or left out."""

    ADDRESS, ATTRIBUTE, ZONE, LEAVE_OUT = "address", "attribute", "time_zone", "leave"
    USES = (
        (ADDRESS, "The address"),
        (ATTRIBUTE, "An attribute"),
        (ZONE, "The time zone"),
        (LEAVE_OUT, "Leave out"),
    )

    consent = LineField(
        max_length=254,
        label="What says that they agreed?",
        help_text="Kept with each new membership, as evidence: “Newsletter form on example.com, 2026”.",
    )

    def __init__(
        self,
        *args: Any,
        header: Sequence[str],
        samples: Sequence[Sequence[str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.header, self.samples = header, samples
        at, zone_at = _address_column(header, samples), _zone_column(header, samples)
        initial = {at: self.ADDRESS, zone_at: self.ZONE}
        if list(header[-2:]) in TOLD:
            initial |= dict.fromkeys(range(len(header) - 2, len(header)), self.LEAVE_OUT)
        taken: set[str] = set()
        for index, column in enumerate(header):
            name = free_name(liquid_name(column) or f"column_{index + 1}", taken)
            self.fields[f"use_{index}"] = forms.ChoiceField(
                label=f"Use of column {column}",
                choices=self.USES,
                initial=initial.get(index, self.ATTRIBUTE),
                widget=forms.Select(attrs={"aria-label": f"Use of column {column}"}),
            )
            self.fields[f"name_{index}"] = forms.CharField(
                required=False,
                label=f"Attribute name of column {column}",
                initial="" if index in initial else name,
                widget=forms.TextInput(
                    attrs={"aria-label": f"Attribute name of column {column}", "class": "code"}
                ),
            )

    def typed_over(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what of `given`, by the names of the fields, is something else than the form offers by itself."""
        offered = {name: field.initial or "" for name, field in self.fields.items()}
        return {
            name: given[name] for name in offered if given.get(name, offered[name]) != offered[name]
        }

    def columns(self) -> Iterator[dict[str, Any]]:
        """Yield what the page shows of each column."""
        for index, column in enumerate(self.header):
            yield {
                "name": column,
                "values": [row[index] for row in self.samples if index < len(row) and row[index]][
                    :3
                ],
                "use": self[f"use_{index}"],
                "attribute": self[f"name_{index}"],
            }

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        uses = [cleaned.get(f"use_{index}") for index in range(len(self.header))]
        if uses.count(self.ADDRESS) != 1:
            raise forms.ValidationError(
                "Choose exactly one column as the address."
                if self.ADDRESS in uses
                else "Choose the column that holds the address."
            )
        if uses.count(self.ZONE) > 1:
            raise forms.ValidationError("Choose one column at most as the time zone.")
        attributes: dict[str, int] = {}
        for index, use in enumerate(uses):
            if use == self.ATTRIBUTE:
                self._take_attribute(index, attributes)
        cleaned["mapping"] = {"address": uses.index(self.ADDRESS), "attributes": attributes}
        if self.ZONE in uses:
            cleaned["mapping"]["time_zone"] = uses.index(self.ZONE)
        return cleaned

    def _take_attribute(self, index: int, attributes: dict[str, int]) -> None:
        name = str(self.cleaned_data.get(f"name_{index}", "")).strip()
        problem = problem_of_name(name)
        if not problem and name in attributes:
            problem = f"“{name}” is the name of another column already."
        if problem:
            self.add_error(f"name_{index}", problem)
        else:
            attributes[name] = index


def _address_column(header: Sequence[str], samples: Sequence[Sequence[str]]) -> int:
    """Return the column with the most addresses in the samples, by name where they say nothing; -1: none."""
    hits = [
        sum(index < len(row) and "@" in row[index] for row in samples)
        for index in range(len(header))
    ]
    if any(hits):
        return hits.index(max(hits))
    names = _plain(header)
    return next((names.index(word) for word in ADDRESS_WORDS if word in names), -1)


def _zone_column(header: Sequence[str], samples: Sequence[Sequence[str]]) -> int:
    """Return the column that is called a time zone and holds one, as far as the samples tell; -1: none."""
    for index, name in enumerate(_plain(header)):
        values = [row[index] for row in samples if index < len(row) and row[index].strip()]
        if name in ZONE_WORDS and (not values or any(map(is_zone, values))):
            return index
    return -1


def _plain(header: Sequence[str]) -> list[str]:
    return [re.sub(r"[^a-z]+", "_", column.lower()).strip("_") for column in header]


class RemarksForm(forms.Form):
    """Which rows of an import to download."""

    outcome = forms.ChoiceField(choices=ImportRemark.Outcome.choices)
