"""What the message pages may be asked, and what a test send needs."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.db.models import Count, QuerySet
from django.utils import timezone

from mailops.accounts.models import User
from mailops.accounts.permissions import Act, may
from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Domain, Identity
from mailops.lib.mailbox_providers import name_of
from mailops.lib.moments import NOT_LATER, SinceField, TypedTimeField
from mailops.lib.storable import storable
from mailops.lib.templatetags.words import reason_sentence, reason_word
from mailops.lib.whole_numbers import LARGEST_ID
from mailops.outbox.fold import RETRIABLE
from mailops.outbox.models import Message, Signature, Status
from mailops.outbox.searching import NO_CODE, NO_REASON, NO_REPLY, REPLY, chosen_by
from mailops.protocol.address import Address, InvalidAddress, is_reserved, parse_address
from mailops.transports.models import Stream, Transport
from mailops.transports.ties import foreign_sender

PREVIEW_LASTS = timedelta(hours=1)


class MessageFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=400,
        widget=forms.SearchInput(attrs={"placeholder": "Address, Message-ID or next hop's id"}),
    )
    status = forms.ChoiceField(
        required=False, choices=[("", "Any"), ("open", "Open"), *Status.choices]
    )
    stream = forms.ModelChoiceField(
        required=False, queryset=Stream.objects.order_by("name"), empty_label="Any"
    )
    campaign = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput
    )
    reason = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)
    reply = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)
    signature = forms.IntegerField(
        required=False, min_value=0, max_value=LARGEST_ID, widget=forms.HiddenInput
    )
    transport = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput
    )
    mailbox_provider = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    domain = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput
    )
    # when messages were accepted, or ended otherwise
    answered_since = SinceField(label="Answered from", required=False)
    answered_until = SinceField(label="To", required=False)
    before = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput
    )

    CHOSEN_BY: ClassVar = (
        "q", "status", "stream", "campaign", "reason", "reply", "signature", "transport", "mailbox_provider",
        "domain", "answered_since", "answered_until",
    )  # fmt: skip

    def clean_reply(self) -> str:
        reply: str = self.cleaned_data["reply"]
        if reply and not REPLY.fullmatch(reply):
            raise forms.ValidationError("A reply is a code, its enhanced status, or both.")
        return reply

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        since, until = data.get("answered_since"), data.get("answered_until")
        if since and until and until <= since:
            self.add_error("answered_until", NOT_LATER)
        return data

    @property
    def given(self) -> dict[str, str]:
        """What was chosen, to be handed on; its moments name their offset, so that they mean the same in any zone."""
        told = {name: self._told(name) for name in self.CHOSEN_BY}
        return {name: str(value) for name, value in told.items() if value not in {None, ""}}

    def _told(self, name: str) -> Any:
        read = getattr(self, "cleaned_data", {}).get(name)
        return read.isoformat() if isinstance(read, datetime) else self[name].value()


def words_of(data: Mapping[str, Any]) -> list[str]:
    """Say which messages a filter, validated, stands for, a part each; nothing for all."""
    signature = _row(Signature, data["signature"])
    campaign = _row(Campaign, data["campaign"])
    transport = _row(Transport, data["transport"])
    domain = _row(Domain, data["domain"])
    said = [
        f"“{signature.title}”" if signature else "",
        f"campaign {campaign}" if campaign else "",
        f"stream {data['stream']}" if data["stream"] else "",
        f"transport {transport}" if transport else "",
        name_of(data["mailbox_provider"]) if data["mailbox_provider"] else "",
        _reason_in_words(data["reason"]),
        _reply_in_words(data["reply"]),
        f"domain {domain}" if domain else "",
        data["status"],
        *_times(data),
        f"“{data['q']}”" if data["q"] else "",
    ]
    return [word for word in said if word]


def _reason_in_words(reason: str) -> str:
    words = {"": "", NO_REASON: "without a reason"}
    return words.get(reason, reason_word(reason).lower())


def _reply_in_words(reply: str) -> str:
    words = {"": "", NO_REPLY: "without a reply", NO_CODE: "a reply without a code"}
    return words.get(reply, f"reply {reply}")


def _times(data: Mapping[str, Any]) -> list[str]:
    told = (("from", data["answered_since"]), ("until", data["answered_until"]))
    return [f"answered {word} {timezone.localtime(at):%-d %b %Y %H:%M}" for word, at in told if at]


def _row(model: Any, pk: int | None) -> Any:
    return None if pk is None else model.objects.filter(pk=pk).first()


class SeenForm(forms.Form):
    """What a preview hands to the press that follows it: the moment it speaks of."""

    until = TypedTimeField(
        required=False,
        widget=forms.HiddenInput,
        input_formats=["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"],
    )

    def __init__(self, *args: Any, is_pressed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_pressed = is_pressed

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self._is_pressed and not self._was_seen(data):
            raise forms.ValidationError(
                "These numbers were too old to act on. Look at the new ones, then press again."
            )
        return data

    def _was_seen(self, data: Mapping[str, Any]) -> bool:
        until: datetime | None = data.get("until")
        now = timezone.now()
        return until is not None and now - PREVIEW_LASTS < until <= now + PREVIEW_LASTS


class PressedForm(SeenForm):
    """What a preview hands to the press that begins an act: its own key, too."""

    key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def _was_seen(self, data: Mapping[str, Any]) -> bool:
        return bool(data.get("key")) and super()._was_seen(data)


class RetryForm(PressedForm):
    """Which of a campaign's messages to send again: those of one status, or of one reason and reply within it."""

    status = forms.ChoiceField(
        label="Send again those that are",
        choices=[
            *((status, status.label) for status in Status if status in RETRIABLE),
            # what is just held is none of them
            (Status.HELD, "Held to ask whether they were sent"),
        ],
    )
    reason = forms.ChoiceField(label="Only where", required=False)
    reply = forms.ChoiceField(label="Reply", required=False)
    counted = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)

    _CHOSEN_BY: ClassVar = ("status", "reason", "reply")

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # what was chosen before can be chosen still, though none is left
        given = storable(str(self.data.get("reason", "")), 40)
        found = Counter({given: 0} | self._reasons_of(campaign))
        del found[""]
        choices = [(reason, _told(reason, n)) for reason, n in found.most_common()]
        self.fields["reason"].choices = [("", "for any reason"), *choices]  # type: ignore[attr-defined]
        # one is chosen among the failures; here it can be let go
        reply = str(self.data.get("reply", "")).strip()
        known = [(reply, _reply_in_words(reply))] if reply and REPLY.fullmatch(reply) else []
        self.fields["reply"].choices = [("", "any"), *known]  # type: ignore[attr-defined]

    def _reasons_of(self, campaign: Campaign) -> dict[str, int]:
        """Return the reasons that the campaign's messages of the chosen status have, and how many have each."""
        status = str(self.data.get("status", ""))
        if status not in dict(self.fields["status"].choices):  # type: ignore[attr-defined]
            return {}
        found = Message.objects.filter(campaign=campaign, status=status)
        meant = found.exclude(status=Status.HELD, settling_fence=None)  # what is just held
        by_reason = meant.order_by("reason").values_list("reason").annotate(n=Count("pk"))
        return {reason or NO_REASON: n for reason, n in by_reason}

    def chosen_of(self, campaign: Campaign) -> QuerySet[Message]:
        """Return the campaign's messages that are meant; none where the form doesn't say which."""
        if not set(self._CHOSEN_BY) <= set(self.cleaned_data):
            return Message.objects.none()
        filters = MessageFilterForm(self.filter_of(campaign))
        return chosen_by(filters.cleaned_data) if filters.is_valid() else Message.objects.none()

    def filter_of(self, campaign: Campaign) -> dict[str, str]:
        """Return what was chosen as the message list's filter has it."""
        given = {name: self.cleaned_data[name] for name in self._CHOSEN_BY}
        return {"campaign": str(campaign.pk)} | {name: said for name, said in given.items() if said}


def _told(reason: str, n: int) -> str:
    words = reason_word("" if reason == NO_REASON else reason)
    return f"{reason_sentence(reason) or words} · {n:,}"


class TestSendForm(forms.Form):
    recipient = forms.CharField(
        max_length=320,
        help_text="Your own address, a colleague's, or one that the sandbox takes, as accept@example.net.",
    )
    stream = forms.ModelChoiceField(
        queryset=Stream.objects.order_by("name"),
        empty_label="Choose a stream",
        help_text="The test goes out the way this stream's mail does.",
    )
    identity = forms.ModelChoiceField(
        label="From",
        queryset=Identity.objects.select_related("domain").order_by("domain__name", "pk"),
        empty_label="Choose a sender",
    )
    key = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)

    def __init__(self, *args: Any, actor: User, version: TemplateVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor, self.version = actor, version
        self.fields["recipient"].initial = actor.email

    def clean_recipient(self) -> str:
        """Let who may not send write to the team only: else a test would be mail that nobody else looked at."""
        given: str = self.cleaned_data["recipient"]
        try:
            address = parse_address(given)
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error
        if not (may(self.actor, Act.SEND) or is_reserved(address.domain) or _is_ours(address)):
            raise forms.ValidationError(
                "You may send tests to people who log in here, and to addresses that nobody has, such as "
                "accept@example.net. Ask an operator to send one elsewhere."
            )
        return address.addr_spec

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        stream, identity = data.get("stream"), data.get("identity")
        if stream and identity and (why := foreign_sender(stream, identity)):
            self.add_error("identity", why)
        return data


def _is_ours(address: Address) -> bool:
    return User.objects.filter(is_active=True, email__iexact=address.addr_spec).exists()
