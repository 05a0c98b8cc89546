"""The octets of one mail as SMTP carries them (RFC 5321, 4.1.1.4 and 4.5.2), taken as they come, in one buffer."""

_END = b"\r\n.\r\n"


class MailData:
    """What comes after DATA, up to the line with a lone dot; `size` octets came so far, kept or not."""

    def __init__(self) -> None:
        self._kept = bytearray(b"\r\n")  # of the command before: the first line may be the dot
        self._is_dropped = False
        self.size = 0

    def feed(self, chunk: bytes) -> bytes | None:
        """Take what came; return what came after the end, None where that has not come yet."""
        searched = max(0, len(self._kept) - len(_END) + 1)
        self._kept += chunk
        self.size += len(chunk)
        end = self._kept.find(_END, searched)
        if end < 0:
            self._forget()
            return None
        rest = bytes(self._kept[end + len(_END) :])
        self.size -= len(rest)
        del self._kept[end + 2 :]
        del self._kept[:2]
        return rest

    def drop(self) -> None:
        """Keep nothing of this mail, but find its end."""
        self._is_dropped = True
        self._forget()

    def has_line_over(self, limit: int) -> bool:
        """Return whether a line of what is kept has more than `limit` octets, with its end and a dot put before it."""
        begin = 0
        while len(self._kept) - begin > limit:
            end = self._kept.rfind(b"\r\n", begin, begin + limit)
            if end < 0:
                return True
            begin = end + 2
        return False

    def take(self) -> bytes:
        """Return the mail, once its end has come, without the dots that SMTP put before lines; nothing is kept then."""
        if self._kept.startswith(b"."):
            del self._kept[:1]
        content = bytes(self._kept)
        self._kept.clear()
        return content.replace(b"\r\n.", b"\r\n")

    def _forget(self) -> None:
        if self._is_dropped:
            del self._kept[: -len(_END) + 1]
