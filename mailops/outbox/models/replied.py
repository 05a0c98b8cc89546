"""What a row keeps of a reply."""

from django.db import models


class Replied(models.Model):
    """A row with the reply that it came to, if there was one."""

    reply_code = models.SmallIntegerField(null=True)
    reply_enhanced_status = models.CharField(max_length=12, blank=True)
    reply_text = models.TextField(blank=True)
    reply_command = models.CharField(max_length=12, blank=True)

    class Meta:
        abstract = True

    @property
    def reply_line(self) -> str:
        return (
            f"{self.reply_code} {self.reply_text}".strip() if self.reply_code else self.reply_text
        )
