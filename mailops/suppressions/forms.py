"""What the suppression pages may be asked and given."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from mailops.accounts.meanwhile import field_of
from mailops.lib.moments import TypedTimeField
from mailops.lib.written_words import LineField, LinesField
from mailops.protocol.address import InvalidAddress, address_key
from mailops.suppressions.models import ImportedRow, Suppression
from mailops.transports.models import Stream

Reason = Suppression.Reason
BY_HAND = [Reason.MANUAL, Reason.UNSUBSCRIBE, Reason.COMPLAINT, Reason.HARD_BOUNCE]
FILE_LIMIT = 200 * 1024 * 1024  # octets; some three million addresses


class FilterForm(forms.Form):
    q = forms.CharField(
        label="Address",
        required=False,
        max_length=320,
        widget=forms.SearchInput(attrs={"placeholder": "Address or a part of it"}),
    )
    reason = forms.ChoiceField(required=False, choices=[("", "Any"), *Reason.choices])
    stream = forms.ChoiceField(required=False)
    expired = forms.BooleanField(label="With expired ones", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        streams = Stream.objects.order_by("name").values_list("id", "name")
        self.fields["stream"] = forms.ChoiceField(
            required=False,
            choices=[
                ("", "Any"),
                ("all", "For all streams"),
                *((str(n), name) for n, name in streams),
            ],
        )


class AddForm(forms.Form):
    address = forms.CharField(max_length=320)
    stream = forms.ModelChoiceField(
        Stream.objects.order_by("name"),
        required=False,
        empty_label="All streams",
        help_text="Mail of the other streams still goes out.",
    )
    reason = forms.ChoiceField(choices=[(reason.value, reason.label) for reason in BY_HAND])
    evidence_text = LineField(
        label="How you know", max_length=500, help_text="From a call, a ticket, a letter."
    )
    expires_at = TypedTimeField(
        label="Until",
        required=False,
        help_text="Empty: for good.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        try:
            address_key(address, allow_utf8=True)
        except InvalidAddress as error:
            raise forms.ValidationError(error.sentence) from None
        return address

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("Give a time that is yet to come.")
        if expires_at and expires_at > timezone.now() + Suppression.FARTHEST:
            raise forms.ValidationError(
                "That is more than ten years ahead: leave it empty for good."
            )
        return expires_at


class RemoveForm(forms.Form):
    reason = LinesField(
        label="Why may this address be written to again?",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    seen = field_of("")


class TakeBackForm(forms.Form):
    reason = LinesField(
        label="Why is this import taken back?",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="The column named “address”, else the one with most addresses in it; a column “note” is kept as evidence. “stream”, “reason” and “until” are read as an export writes them. Other columns are ignored.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        allow_empty_file=True,
    )
    stream = forms.ModelChoiceField(
        Stream.objects.order_by("name"),
        required=False,
        empty_label=Suppression.EVERYWHERE,
        help_text="For rows that name no stream in a column “stream”.",
    )
    reason = forms.ChoiceField(
        choices=[
            (Reason.IMPORTED.value, "Imported: the file does not say"),
            *((one.value, one.label) for one in BY_HAND),
        ],
        help_text="For rows that give none of mailops' reasons in a column “reason”. An entry that is stronger already stays as it is.",
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > FILE_LIMIT:
            megabytes = FILE_LIMIT // 1024**2
            raise forms.ValidationError(f"The file is larger than {megabytes} MB; split it.")
        return file


class OutcomeForm(forms.Form):
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *ImportedRow.Outcome.choices],
    )
