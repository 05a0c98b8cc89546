"""All validation of what people type on the accounts pages."""

from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, ClassVar

from django import forms
from django.core.validators import RegexValidator
from django.db.models import Q, QuerySet
from django.utils import timezone

from mailops.accounts.meanwhile import field_of
from mailops.accounts.models import AuditEntry, Role, User
from mailops.accounts.verbs import WORDS, words_of
from mailops.lib.moments import DayField, since_of
from mailops.lib.time_zones import zone_choices
from mailops.lib.written_words import LineField

VERBS_OF = 5_000  # entries


MAY = {
    Role.ADMIN: "everything, with domains, transports, users and settings",
    Role.OPERATOR: "audiences, templates, campaigns, suppressions, incidents, sign-offs",
    Role.EDITOR: "sees all, and edits and publishes templates",
    Role.ONCALL: "sees all; pauses, resumes, releases, settles, handles incidents",
    Role.VIEWER: "sees all, changes nothing",
    Role.NONE: "may log in and sees nothing",
}
ROLES = [(role.value, f"{role.label}: {MAY[role]}") for role in Role]


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    role = forms.ChoiceField(
        choices=[(value, words) for value, words in ROLES if value],
        initial=Role.VIEWER,
        widget=forms.RadioSelect,
    )

    class Meta:
        model = User
        fields = ("email", "name", "role")
        labels = {"email": "E-mail address"}
        field_classes: ClassVar = {"name": LineField}

    def clean_email(self) -> str:
        email = User.objects.normalize_email(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError("There is a user with this address already.")
        return email


class UserForm(forms.Form):
    name = LineField(max_length=100, required=False)
    role = forms.ChoiceField(choices=ROLES, required=False, widget=forms.RadioSelect)
    seen = field_of("")


class ProfileForm(forms.Form):
    name = LineField(max_length=100, required=False)
    time_zone = forms.ChoiceField(
        choices=zone_choices, help_text="Every time on every page is shown in this zone."
    )
    seen = field_of("")


class AuditFilter(forms.Form):
    """The query string of the audit trail."""

    q = forms.CharField(
        label="Who or what",
        required=False,
        max_length=200,
        widget=forms.SearchInput(attrs={"placeholder": "Name, address or thing"}),
    )
    verb = forms.ChoiceField(label="Act", required=False)
    since = DayField(label="From", required=False)
    until = DayField(label="To", required=False)
    subject = forms.CharField(
        required=False,
        widget=forms.HiddenInput,
        validators=[RegexValidator(r"^[a-z_]+\.[A-Za-z]+:[\w-]+$")],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # of the newest entries, and the one that is asked for: the whole trail only grows
        newest = AuditEntry.objects.order_by("-id").values_list("verb", flat=True)[:VERBS_OF]
        asked = self.data.get("verb", "")
        verbs = {*newest, *([asked] if asked in WORDS else [])}
        choices = [
            ("", "Any"),
            *sorted(((verb, words_of(verb)) for verb in verbs), key=itemgetter(1)),
        ]
        self.fields["verb"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", "Choose a last day that is not before the first.")
        return data

    @property
    def reads_all(self) -> bool:
        """Whether no index finds what is asked for, so that all of its days might be read for it."""
        given = self.cleaned_data
        return bool(given["q"] or given["verb"]) and not given["subject"]

    @property
    def begin(self) -> datetime | None:
        """When the first day begins, by the viewer's clock."""
        return self._begin_of(self.cleaned_data["since"])

    @property
    def end(self) -> datetime | None:
        until = self.cleaned_data["until"]
        return self._begin_of(until and until + timedelta(days=1))

    def entries(self) -> QuerySet[AuditEntry]:
        """Return what the query string asks for, newest first; its days are the viewer's."""
        found = self.of_its_days().order_by("-id")
        given = {name: value for name, value in self.cleaned_data.items() if value}
        if "q" in given:
            q = given["q"]
            found = found.filter(
                Q(actor_label__icontains=q)
                | Q(subject_label__icontains=q)
                | Q(subject_id=q)
                | Q(reason__icontains=q)
            )
        if "verb" in given:
            found = found.filter(verb=given["verb"])
        if "subject" in given:
            model, _, pk = given["subject"].partition(":")
            found = found.filter(subject_type=model, subject_id=pk)
        return found

    def of_its_days(self) -> QuerySet[AuditEntry]:
        """Return whatever was done on the days that are asked for."""
        found = AuditEntry.objects.all()
        if begin := self.begin:
            found = found.filter(at__gte=begin)
        return found.filter(at__lt=self.end) if self.end else found

    def _begin_of(self, day: date | None) -> datetime | None:
        return since_of(day, timezone.get_current_timezone()) if day else None


class OlderThan(forms.Form):
    """The place in the audit trail from which to go on."""

    before = forms.IntegerField(required=False, min_value=1)

    def cut(self, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        before = self.cleaned_data["before"]
        return entries.filter(pk__lt=before) if before else entries
