"""Mail templates, their versions and files, and what is kept of looking at them."""

from mailops.content.models.files import (
    FileContent,
    TemplateFile,
    TemplateFileQuerySet,
    contents_of,
)
from mailops.content.models.gates import Approval, RequiredGate
from mailops.content.models.looks import Errand, LinkAnswer, Picture, Preview
from mailops.content.models.templates import (
    MailTemplate,
    MailTemplateQuerySet,
    Syntax,
    TemplateVersion,
    Variant,
    hash_sources,
)

__all__ = [
    "Approval",
    "Errand",
    "FileContent",
    "LinkAnswer",
    "MailTemplate",
    "MailTemplateQuerySet",
    "Picture",
    "Preview",
    "RequiredGate",
    "Syntax",
    "TemplateFile",
    "TemplateFileQuerySet",
    "TemplateVersion",
    "Variant",
    "contents_of",
    "hash_sources",
]
