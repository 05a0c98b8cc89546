"""What the sandbox pages may be asked."""

from django import forms

from mailops.lib.whole_numbers import LARGEST_ID
from mailops.sandbox.simulating import BEHAVIORS


class InboxFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.SearchInput(attrs={"placeholder": "Subject, sender, recipient, Message-ID"}),
    )
    behavior = forms.ChoiceField(
        label="Mailbox",
        required=False,
        choices=[("", "Any"), *((name, name) for name in BEHAVIORS)],
    )


class NewsForm(forms.Form):
    after = forms.IntegerField(min_value=0, max_value=LARGEST_ID)


class LookForm(forms.Form):
    """Which way to look at a message."""

    VIEWS = {
        "html": "HTML",
        "text": "Text",
        "headers": "Headers",
        "source": "Source",
        "attachments": "Attachments",
    }
    view = forms.ChoiceField(required=False, choices=list(VIEWS.items()))
