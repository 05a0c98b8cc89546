"""What the pages of uncertain messages may be asked, and what settling them needs."""

from typing import Any, ClassVar

from django import forms
from django.core.files.uploadedfile import UploadedFile

from mailops.campaigns.models import Campaign
from mailops.lib.templatetags.words import OURS
from mailops.lib.time_zones import zone_choices
from mailops.lib.whole_numbers import LARGEST_ID
from mailops.outbox.doubtful import Choice
from mailops.outbox.forms import PressedForm
from mailops.outbox.models import Settlement
from mailops.outbox.relay_log_taking import MAX_FILE_BYTES
from mailops.outbox.searching import NO_REASON
from mailops.transports.models import Stream, Transport

# why nobody knows; then, of what was sent again from a doubt, what kept it from being tried once more
WHY = {
    reason: OURS[reason].rstrip(".")
    for reason in (
        "no_final_reply",
        "worker_lost",
        "restored",
        "campaign_canceled",
        "expired",
        "suppressed",
    )
} | {NO_REASON: "A person holds it back"}


class DoubtFilterForm(forms.Form):
    """Which of the doubtful messages to show, or to settle."""

    reason = forms.ChoiceField(
        label="Why",
        required=False,
        choices=[("", "Any"), *WHY.items()],
    )
    transport = forms.ModelChoiceField(
        required=False, queryset=Transport.objects.order_by("name"), empty_label="Any"
    )
    stream = forms.ModelChoiceField(
        required=False, queryset=Stream.objects.order_by("name"), empty_label="Any"
    )
    kind = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any"), ("rest", "At rest as uncertain"), ("ask", "Held to ask a person")],
    )
    campaign = forms.ModelChoiceField(
        required=False, queryset=Campaign.objects.order_by("-id"), widget=forms.HiddenInput
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput
    )

    CHOSEN_BY: ClassVar = ("reason", "transport", "stream", "kind", "campaign")

    @property
    def given(self) -> dict[str, Any]:
        """What was chosen, to be handed on."""
        return {name: self[name].value() for name in self.CHOSEN_BY if self[name].value()}

    @property
    def choice(self) -> Choice:
        data = self.cleaned_data
        return Choice(
            campaign=data["campaign"],
            stream=data["stream"],
            transport=data["transport"],
            reason=data["reason"],
            is_asked={"rest": False, "ask": True}.get(data["kind"]),
        )


def words_of(choice: Choice) -> list[str]:
    """Say which messages are meant, a part each; nothing for all of them."""
    said = [
        f"campaign {choice.campaign}" if choice.campaign else "",
        f"stream {choice.stream}" if choice.stream else "",
        f"transport {choice.transport}" if choice.transport else "",
        f"“{WHY.get(choice.reason, choice.reason)}”" if choice.reason else "",
        {True: "held to ask a person", False: "at rest as uncertain", None: ""}[choice.is_asked],
    ]
    return [word for word in said if word]


class SettleForm(PressedForm, DoubtFilterForm):
    """What to do with those chosen."""

    act = forms.ChoiceField(
        label="What to do with them",
        required=False,
        choices=[
            (Settlement.Act.ACCEPT, "Count them as accepted"),
            (Settlement.Act.AGAIN, "Send them again"),
        ],
        help_text="Counting sends nothing. Of those sent again, some may arrive twice.",
        widget=forms.RadioSelect,
    )

    def clean_act(self) -> str:
        act: str = self.cleaned_data["act"]
        if self._is_pressed and not act:
            raise forms.ValidationError("Nothing was done: choose first what to do with them.")
        return act


class LogSettleForm(PressedForm):
    """Whether to do what a log says, or to send again what it has no trace of."""

    act = forms.ChoiceField(
        required=False,
        choices=[(act, act.label) for act in (Settlement.Act.BY_LOG, Settlement.Act.AGAIN)],
        widget=forms.HiddenInput,
    )
    trusts_recipients = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def clean_act(self) -> str:
        return self.cleaned_data["act"] or Settlement.Act.BY_LOG


class RelayLogForm(forms.Form):
    file = forms.FileField(
        label="Log file",
        help_text="Postfix's mail log, plain or packed by gzip; lines of other programs do no harm.",
        widget=forms.FileInput(attrs={"accept": ".log,.gz,.txt,text/plain,application/gzip"}),
        error_messages={"empty": "The file is empty: there is not one line in it."},
    )
    transport = forms.ModelChoiceField(
        label="The log of the relay behind",
        queryset=Transport.objects.filter(kind=Transport.Kind.SMTP).order_by("name"),
        empty_label="Choose a transport",
        help_text="If several machines stand behind it, put their logs into one file.",
    )
    time_zone = forms.ChoiceField(
        label="Time zone of the relay",
        choices=zone_choices,
        initial="UTC",
        help_text="Only for times that name none, such as “Nov 21 08:59:33”. In the hour that clocks go through twice, such "
        "a time is read as the first of the two, and settles nothing that was sent in the second.",
    )

    is_current = forms.BooleanField(
        label="It is the newest log, just taken",
        required=False,
        help_text="Then it speaks up to now, even if the relay has had nothing to write for a while.",
    )

    def clean_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_FILE_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MAX_FILE_BYTES // 1024**2} MB. Pack it by gzip, or cut it to the hours in question."
            )
        return file
