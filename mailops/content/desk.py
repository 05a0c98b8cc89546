"""What each person has on their desk: words they typed and did not save, and who else is at the same draft."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from mailops.accounts.models import User
from mailops.content.checking import Look
from mailops.content.drafting import discard
from mailops.content.forms import DraftForm
from mailops.content.models import MailTemplate, Preview, Variant
from mailops.lib.storable import storable
from mailops.lib.whole_numbers import whole_number

KEPT = timedelta(days=30)
PRESENT = timedelta(minutes=2)  # since somebody's last key
_BEGAN = ("revision", "seen")  # with what these words began
_WORDS = ("language", "subject", "html", "text", "sample")
PAGE = "page"  # the open page of the editor that words come from: two of them forget nothing of each other's


def keep_typed(template: MailTemplate, user: User, typed: Mapping[str, Any]) -> None:
    """Keep what `user` typed in one language, as it can be stored, unless it is what is saved."""
    words = {name: storable(str(typed.get(name, ""))) for name in (*_BEGAN, *_WORDS, PAGE)}
    if _is_saved(template, words):
        discard(template, user, words["language"], page=words[PAGE])
        return
    with transaction.atomic():
        preview, _ = Preview.objects.select_for_update().get_or_create(template=template, user=user)
        kept = {**words, "at": timezone.now().isoformat()}
        preview.typed = {**(preview.typed or {}), words["language"]: kept}
        preview.save(update_fields=["typed", "changed_at"])


def _is_saved(template: MailTemplate, words: Mapping[str, str]) -> bool:
    try:
        saved = DraftForm.initial_for(template, words["language"])
    except Variant.DoesNotExist:  # somebody removed the language
        return False
    return all(_same(words[name], str(saved[name])) for name in _WORDS)


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def unsaved(template: MailTemplate, user: User, language: str) -> dict[str, Any] | None:
    """Return the editor's fields as `user` left them without saving; None where all is saved."""
    words = _left(template, user).get(storable(language))
    return {**words, "at": datetime.fromisoformat(words["at"])} if words else None


def on_a_page(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return `words` with the page that they are on: that on which they were left, else a new one."""
    return {PAGE: secrets.token_hex(8), **words}


def has_unsaved(template: MailTemplate, user: User) -> bool:
    """Tell whether `user` typed something in any language that is not saved."""
    return bool(_left(template, user))


def stranded(template: MailTemplate, user: User) -> str:
    """Return a language that `user` left unsaved words in and somebody removed since; "" where there is none."""
    left = sorted(_left(template, user))
    return next((language for language in left if not template.speaks(language)), "")


def _left(template: MailTemplate, user: User) -> dict[str, dict[str, str]]:
    preview = Preview.objects.filter(template=template, user=user).first()
    return (preview and preview.typed) or {}


def others_at(template: MailTemplate, user: User) -> list[Preview]:
    """Return who else has words of this draft in hand that are not saved, the latest first."""
    found = template.previews.exclude(user=user).exclude(typed=None)
    lately = found.filter(changed_at__gt=timezone.now() - PRESENT)
    return list(lately.select_related("user").order_by("-changed_at")[:5])


def behind(template: MailTemplate, user: User, form: DraftForm) -> bool:
    """Tell whether somebody else saved, since `user` began, the words that the `form` holds."""
    began = whole_number(str(form["revision"].value()))
    is_older = began is not None and began < template.draft_revision
    if not is_older or template.draft_changed_by_id == user.pk:
        return False
    language = form.draft["language"]
    return not template.speaks(language) or (
        template.mark_of_words(language) != form["seen"].value()
    )


def keep_rendered(template: MailTemplate, user: User, look: Look) -> Preview | None:
    """Keep the rendered HTML for the frame; a draft that can't be rendered leaves the last one standing."""
    if look.rendered is None:
        return Preview.objects.filter(template=template, user=user).exclude(html="").first()
    Preview.objects.filter(changed_at__lt=timezone.now() - KEPT).delete()
    preview, _ = Preview.objects.update_or_create(
        template=template, user=user, defaults={"html": look.rendered.html}
    )
    return preview
