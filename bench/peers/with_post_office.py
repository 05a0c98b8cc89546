"""django-post_office: mails queued with their context, rendered and sent by its own loop in two processes."""

import django

django.setup()

from django.core.management import call_command
from post_office import mail
from post_office.models import STATUS, Email, EmailTemplate

from bench import letter
from bench.peers.commands import obey
from bench.peers.mails import context_of, headers_of

PROCESSES = 2
CHUNK = 5000


def hello() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    EmailTemplate.objects.create(
        name="bench", subject=letter.SUBJECT, content=letter.TEXT, html_content=letter.HTML
    )


def fill(recipients: int) -> None:
    Email.objects.all().delete()
    template = EmailTemplate.objects.get()
    for start in range(0, recipients, CHUNK):
        mail.send_many(
            [
                {
                    "recipients": [letter.address(number)],
                    "template": template,
                    "context": context_of(number),
                    "headers": headers_of(number),
                    "render_on_delivery": True,
                }
                for number in range(start, min(start + CHUNK, recipients))
            ]
        )


def send() -> int:
    mail.send_queued_mail_until_done(processes=PROCESSES)
    return int(Email.objects.filter(status=STATUS.sent).count())


obey({"hello": hello, "fill": fill, "send": send})
