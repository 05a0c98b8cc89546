"""Whether the files of a mail are all there, all used, and clean."""

from collections.abc import Iterable, Iterator

from django.conf import settings

from mailops.content import scanning
from mailops.content.files import Reference
from mailops.content.gates.finding import Problem, found
from mailops.content.models import MailTemplate
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Transport

GROWTH = 1.37  # of a file on its way, in base64 with line ends (RFC 2045, 6.8)


def missing_files(missing: Iterable[Reference]) -> Iterator[Problem]:
    """Yield an error for each picture that the source shows and that doesn't go with the mail."""
    for reference in missing:
        sentence = f"There is no file “{reference.name}”; the picture would be missing."
        if reference.is_attached:
            sentence = f"“{reference.name}” is attached to the mail, so it can't be shown in it."
        if reference.is_computed:
            sentence = (
                "The name of this picture is made by Liquid, so nobody knows which file it is."
            )
        yield found("files.missing", sentence, line=reference.line, is_error=True)


def doubtful_files(template: MailTemplate, shown: set[str]) -> Iterator[Problem]:
    """Yield what is wrong with the files of a draft, of which the sources of all languages show `shown`."""
    total = 0
    for file in template.files.there().order_by("name"):
        total += file.content.size
        if file.content.signature:
            sentence = f"The virus scanner found {file.content.signature} in {file.name}."
            yield found("files.infected", sentence, part="", is_error=True)
        elif scanning.is_configured() and not file.content.is_scanned:
            sentence = f"{file.name} was not scanned: the virus scanner gave no verdict."
            yield found("files.unscanned", sentence, part="", is_error=True)
        if file.is_inline and file.name not in shown:
            sentence = f"{file.name} goes with each mail and is shown nowhere."
            yield found("files.unused", sentence, part="")
    if total:
        yield from _refusing_transports(total)
    if total > settings.MAILOPS_FILES_MB * 1_000_000:
        sentence = (
            f"The files have {total / 1_000_000:.1f} MB; {settings.MAILOPS_FILES_MB} MB are taken."
        )
        yield found("files.too_much", sentence, part="", is_error=True)


def _refusing_transports(total: int) -> Iterator[Problem]:
    """Yield a warning for each provider in use that takes no mail as large as files of `total` octets make it."""
    kinds = Transport.objects.order_by("kind").values_list("kind", flat=True).distinct()
    for api in (APIS[kind] for kind in kinds if kind in APIS):
        if api.size_limit and total * GROWTH > api.size_limit:
            sentence = f"{api.name} takes no mail of more than {api.max_megabytes} MB; with its files this one has more."
            yield found("files.too_much", sentence, part="")
