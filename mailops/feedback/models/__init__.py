"""What came back, as it came: mail at the return-path host, mailboxes, providers' webhooks and domain reports."""

from mailops.feedback.models.domain_reports import AggregateReport, ReportedSource
from mailops.feedback.models.mailboxes import Mailbox
from mailops.feedback.models.raw_feedback import (
    MAX_CONTENT,
    RawFeedback,
    RawFeedbackQuerySet,
    content_hash,
    return_path_hosts,
)
from mailops.feedback.models.soft_bounces import SoftBounceScan
from mailops.feedback.models.webhooks import MAX_TOKEN, UsedToken, WebhookEndpoint

__all__ = [
    "MAX_CONTENT",
    "MAX_TOKEN",
    "AggregateReport",
    "Mailbox",
    "RawFeedback",
    "RawFeedbackQuerySet",
    "ReportedSource",
    "SoftBounceScan",
    "UsedToken",
    "WebhookEndpoint",
    "content_hash",
    "return_path_hosts",
]
