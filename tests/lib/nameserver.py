"""A loopback name server that misbehaves on request."""

from mailops.lib.nameserver import Nameserver


class FaultyNameserver(Nameserver):
    """Serves zones; `silent`, `failing` (SERVFAIL) and `refusing` names misbehave, and `asked` counts questions."""

    def __init__(self, zones, *, silent=(), failing=(), refusing=()):
        super().__init__(zones)
        self.silent, self.failing, self.refusing = set(silent), set(failing), set(refusing)
        self.is_silent = self.is_failing = False
        self.knows_edns = True
        self.asked = []

    def resolve(self, request, handler):
        import dnslib

        name = str(request.q.qname).rstrip(".").lower()
        self.asked.append((handler.protocol, name, dnslib.QTYPE[request.q.qtype]))
        if self.is_silent or name in self.silent:
            raise dnslib.DNSError("silence")
        reply = super().resolve(request, handler)
        if request.ar and not self.knows_edns:
            reply.rr.clear()
            reply.header.rcode = dnslib.RCODE.FORMERR
            return reply
        if self.is_failing or name in self.failing or name in self.refusing:
            reply.rr.clear()
            is_refusing = name in self.refusing
            reply.header.rcode = dnslib.RCODE.REFUSED if is_refusing else dnslib.RCODE.SERVFAIL
        return reply
