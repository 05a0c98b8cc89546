"""The mail template of the digest: made when it is first needed, kept up to date until a person publishes one of their own."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction

from mailops.content.drafting import create_template, save_draft
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.publishing import publish
from mailops.content.rendering import Rendered, compile_sources, compile_version
from mailops.content.variables import merge_data

NAME = "Weekly digest of mailops"
NOTE = "Made by mailops."
_SUBJECT = "{{ subject }}"
_MAIL = Path(__file__).parent / "mail"


@cache
def _shipped() -> dict[str, str]:
    return {
        "subject": _SUBJECT,
        "html": (_MAIL / "digest.html").read_text(),
        "text": (_MAIL / "digest.txt").read_text(),
    }


def _sample() -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((_MAIL / "sample.json").read_text())
    return sample


@transaction.atomic
def current_version() -> TemplateVersion:
    """Return the version that digests are sent with; raise RenderError where the shipped one can't be published."""
    template = MailTemplate.objects.select_for_update().filter(name=NAME).first()
    if template is None:
        drafts = {f"draft_{part}": source for part, source in _shipped().items()}
        template = create_template(
            actor=None,
            name=NAME,
            description="What the weekly digest looks like. Publish a version of your own, and that is sent.",
            sample=_sample(),
            **drafts,
        )
    newest = template.latest_version
    if newest is None or _is_outdated(template, newest):
        if newest is not None:
            revision = template.draft_revision
            save_draft(template=template, revision=revision, actor=None, sample=_sample(), **_shipped())  # fmt: skip
        return publish(template, None, NOTE)
    return newest


def _is_outdated(template: MailTemplate, newest: TemplateVersion) -> bool:
    """Tell whether mailops made the newest version and ships another now, and nobody works on a draft."""
    is_ours = newest.published_by_id is None and newest.note == NOTE
    is_untouched = template.draft_hash == newest.content_hash and not template.needs_approval
    return is_ours and is_untouched and newest.content_hash != template.hash_of(**_shipped())


def render(data: dict[str, Any], *, email: str) -> Rendered:
    """Return the mail as it would be sent, without its signed link; raise RenderError. Makes no template."""
    template = MailTemplate.objects.filter(name=NAME).first()
    newest = template.latest_version if template else None
    is_shipped = newest is None or (template is not None and _is_outdated(template, newest))
    compiled = (
        compile_sources(**_shipped()) if newest is None or is_shipped else compile_version(newest)
    )
    return compiled.render(merge_data(data, email=email, unsubscribe_url=""))
