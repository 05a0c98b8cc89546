"""Thresholds over counts, the incidents they open, and who is told."""

from mailops.incidents.models.channel import NotificationChannel
from mailops.incidents.models.incident import (
    SUBJECTS,
    Incident,
    IncidentNote,
    IncidentQuerySet,
)
from mailops.incidents.models.notice import (
    LATELY,
    NOT_ARRIVED,
    SWITCHED_OFF,
    Notice,
    NoticeAttempt,
)
from mailops.incidents.models.threshold import Level, SubjectKind, Threshold, span
from mailops.incidents.models.watch import GAP, Watch

__all__ = [
    "GAP",
    "LATELY",
    "NOT_ARRIVED",
    "SUBJECTS",
    "SWITCHED_OFF",
    "Incident",
    "IncidentNote",
    "IncidentQuerySet",
    "Level",
    "Notice",
    "NoticeAttempt",
    "NotificationChannel",
    "SubjectKind",
    "Threshold",
    "Watch",
    "span",
]
