"""Looks at mail: as they came, told apart by who looked, and counted by link."""

from typing import ClassVar

from django.db import models

from mailops.outbox.models import Message


class Hit(models.Model):
    """One call of a signed address, as it came; of its caller no address is kept, only the name of the program."""

    class Kind(models.TextChoices):
        OPEN = "open", "Picture"
        CLICK = "click", "Link"
        PROBE = "probe", "Asked without looking"  # HEAD, or a prefetch: never counted, but telling

    kind = models.CharField(max_length=5, choices=Kind.choices)
    public_id = models.UUIDField()  # of the message; no key, since the row is written unread
    link = models.IntegerField(default=0)  # protocol.looks.link_number; 0 for a picture
    user_agent = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    is_read = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="hit_unread", condition=models.Q(is_read=False)),
            # a burst, told by its others
            models.Index(fields=["public_id", "at"], name="hit_beside"),
        ]


class Look(models.Model):
    """Who looked at one mail, or followed one of its links: one row, however often."""

    class Kind(models.TextChoices):
        OPEN = "open", "Opened"
        CLICK = "click", "Followed"

    class Who(models.TextChoices):
        PERSON = "person", "Person"
        # that fetches pictures for its user, or before: maybe a person
        PROXY = "proxy", "Mail program"
        MACHINE = "machine", "Scanner"

    message = models.ForeignKey(
        Message,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,  # look_once
    )
    kind = models.CharField(max_length=5, choices=Kind.choices)
    link = models.IntegerField(default=0)  # 0: the mail's picture, or any of its links
    who = models.CharField(max_length=7, choices=Who.choices)
    why = models.CharField(max_length=200, blank=True)  # it counts as no person's
    written = models.CharField(max_length=300, blank=True)  # the link, as the template writes it
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.IntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["message", "kind", "link", "who"], name="look_once")
        ]
        indexes: ClassVar = [models.Index(fields=["first_at"], name="look_by_time")]  # forgetting

    @property
    def is_persons(self) -> bool:
        return self.who == self.Who.PERSON


class LookCount(models.Model):
    """How many messages were looked at for the first time on one day (UTC), by link; kept when the looks are forgotten."""

    day = models.DateField()
    stream_id = models.BigIntegerField()
    campaign_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=5, choices=Look.Kind.choices)
    link = models.IntegerField()  # 0: the mail's picture, or any of its links
    written = models.CharField(max_length=300, blank=True)
    people = models.BigIntegerField(default=0)
    proxies = models.BigIntegerField(default=0)
    machines = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["stream_id", "campaign_id", "day", "kind", "link"],
                nulls_distinct=False,
                name="look_count_once",
            )
        ]
        # a campaign's links
        indexes: ClassVar = [
            models.Index(fields=["campaign_id", "kind"], name="look_count_by_campaign")
        ]
