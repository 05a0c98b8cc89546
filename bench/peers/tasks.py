"""A Celery task of 100 messages, as a careful Django team writes it: one query, one connection, one update."""

import django

django.setup()

from celery import Celery
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template import engines
from django.utils import timezone

from bench import letter
from bench.peers.mails import headers_of
from bench.peers.models import Recipient
from mailops.lib import broker

app = Celery("peers")
app.conf.update(
    broker_url="pgmq://database",
    broker_transport_options=broker.transport_options(settings.DATABASES["default"]),
    task_default_queue="mail",
    task_create_missing_queues=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
)


@app.task(name="send_batch")
def send_batch(ids: list[int]) -> None:
    django_templates = engines["django"]
    subject, html, text = map(
        django_templates.from_string, (letter.SUBJECT, letter.HTML, letter.TEXT)
    )
    mails = []
    for recipient in Recipient.objects.filter(pk__in=ids):
        context = recipient.context
        mail = EmailMultiAlternatives(
            subject.render(context),
            text.render(context),
            to=[recipient.address],
            headers=headers_of(recipient.pk),
        )
        mail.attach_alternative(html.render(context), "text/html")
        mails.append(mail)
    get_connection().send_messages(mails)
    Recipient.objects.filter(pk__in=ids).update(sent_at=timezone.now())
