"""Makes uploads and runs imports to their end, for tests."""

from django.core.files.uploadedfile import SimpleUploadedFile

from mailops.accounts.models import User
from mailops.audiences.importing import import_chunk, start_import
from mailops.audiences.models import Audience, Import
from mailops.audiences.uploading import look, take_upload
from tests.factories import make_audience


def upload(content: bytes | str, *, actor: User, audience: Audience | None = None) -> Import:
    data = content.encode() if isinstance(content, str) else content
    return take_upload(
        audience=audience or make_audience(),
        file=SimpleUploadedFile("people.csv", data),
        actor=actor,
    )


def start(
    run: Import,
    *,
    actor: User,
    address: int = 0,
    zone: int | None = None,
    consent: str = "",
    **attributes,
) -> None:
    header, _ = look(run)
    start_import(
        run=run,
        header=header,
        mapping={"address": address, "attributes": attributes, "time_zone": zone},
        consent=consent,
        actor=actor,
    )


def import_all(
    content: bytes | str,
    *,
    actor: User,
    audience: Audience | None = None,
    rows: int = 5000,
    **options,
) -> Import:
    run = upload(content, actor=actor, audience=audience)
    start(run, actor=actor, **options)
    while import_chunk(run_id=run.pk, rows=rows):
        pass
    run.refresh_from_db()
    return run


def account_of(run: Import) -> dict[str, int]:
    names = ("added", "updated", "unchanged", "duplicate", "suppressed", "rejected")
    return {name: getattr(run, name) for name in names if getattr(run, name)}
