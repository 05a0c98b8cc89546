"""What a stream may promise."""

from decimal import Decimal

from django import forms

from mailops.accounts.meanwhile import field_of
from mailops.reports.models import Objective


class ObjectiveForm(forms.ModelForm):  # type: ignore[type-arg]
    seen = field_of("")

    class Meta:
        model = Objective
        fields = ("percent", "seconds")
        labels = {"percent": "Of its mail, in percent", "seconds": "is accepted in less than"}
        help_texts = {
            "percent": "50 to 99.99; the rest is the error budget of 28 days.",
            "seconds": "Counted from the moment a message is owed: retries count, hours and holds don't.",
        }

    def clean_percent(self) -> Decimal:
        percent: Decimal = self.cleaned_data["percent"]
        if not Decimal(50) <= percent <= Decimal("99.99"):
            raise forms.ValidationError(
                "Give 50 to 99.99 percent: all of it can be promised by nobody."
            )
        return percent
