"""A loopback name server of signed zones: it answers for all of them, from the root down, as a resolver would."""

import contextlib
import socket
import socketserver
import struct
import threading

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = 1_790_000_000  # when the tests look; what is signed holds for a week around it
WEEK = 7 * 24 * 3600
MAKE = {
    "ECDSAP256SHA256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ED25519": ed25519.Ed25519PrivateKey.generate,
    "RSASHA256": lambda: rsa.generate_private_key(65537, 2048),
}


class SignedZone:
    """A zone with its keys; `signed()` is what is served, made anew."""

    def __init__(self, name, records, *, algorithm="ECDSAP256SHA256", until=NOW + WEEK):
        self.name = dns.name.from_text(name)
        self.private = MAKE[algorithm]()
        self.algorithm = dns.dnssec.Algorithm[algorithm]
        self.key = dns.dnssec.make_dnskey(self.private.public_key(), self.algorithm, flags=0x0101)
        self.records = dict(records)
        self.until, self.since = until, min(NOW, until) - WEEK
        self.is_signed = True
        self.vouched = None  # the DS records its parent shows; None: the right one

    def ds(self, digest="SHA256"):
        return dns.dnssec.make_ds(self.name, self.key, digest).to_text()

    def anchor(self):
        return f"{self.name} {self.ds()}"

    def zone(self):
        zone = dns.zone.Zone(self.name, relativize=False)
        apex = {"SOA": ["ns.test. h.test. 1 3600 600 86400 60"], "NS": ["ns.test."]}
        for host, types in {str(self.name): {}, **self.records}.items():
            name = dns.name.from_text(host)
            for rdtype, values in ((apex if name == self.name else {}) | types).items():
                rrset = dns.rrset.from_text_list(name, 60, "IN", rdtype, values)
                zone.replace_rdataset(name, rrset.to_rdataset())
        if self.is_signed:
            dns.dnssec.sign_zone(
                zone, keys=[(self.private, self.key)], inception=self.since, expiration=self.until
            )
        return zone


class SignedNameserver:
    """Answers over UDP and TCP for `zones`; `change(zone)` may alter what is served of one, after it was signed."""

    def __init__(self, *zones):
        self.zones = {zone.name: zone for zone in zones}
        self.served, self.silent, self.asked = {}, set(), []
        self.strips = self.is_plain = False

    def __getitem__(self, name):
        return self.zones[dns.name.from_text(name)]

    def sign(self):
        """Write the DS of each zone into the one above, then sign all."""
        for zone in self.zones.values():
            parent = next((z for z in self._above(zone.name) if z is not zone), None)
            if parent and zone.is_signed and zone.vouched is None:
                parent.records[str(zone.name)] = {"NS": ["ns.test."], "DS": [zone.ds()]}
            elif parent:
                ds = {"DS": zone.vouched} if zone.vouched else {}
                parent.records[str(zone.name)] = {"NS": ["ns.test."], **ds}
        self.served = {name: zone.zone() for name, zone in self.zones.items()}
        return self

    def _above(self, name):
        found = [zone for zone in self.zones.values() if name.is_subdomain(zone.name)]
        return sorted(found, key=lambda zone: -len(zone.name))

    def answer(self, wire):
        query = dns.message.from_wire(wire)
        question = query.question[0]
        self.asked.append((question.name, question.rdtype))
        if str(question.name).rstrip(".") in self.silent:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        holders = self._above(question.name)
        if question.rdtype == dns.rdatatype.DS and holders and holders[0].name == question.name:
            holders = holders[1:]  # the parent's word
        if not holders:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply
        zone = self.served[holders[0].name]
        self._fill(reply, zone, question, with_signatures=query.ednsflags & dns.flags.DO)
        return reply

    def _fill(self, reply, zone, question, *, with_signatures):
        node = zone.get_node(question.name)
        found = node and node.get_rdataset(dns.rdataclass.IN, question.rdtype)
        alias = node and node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)
        if found or alias:
            kind = question.rdtype if found else dns.rdatatype.CNAME
            self._add(reply.answer, zone, question.name, kind, with_signatures)
            return
        below = any(name.is_subdomain(question.name) for name in zone.nodes)
        if node is None and not below:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if with_signatures and not self.is_plain:
            for name in sorted(zone.nodes):
                for kind in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
                    self._add(reply.authority, zone, name, kind, with_signatures)

    def _add(self, section, zone, name, kind, with_signatures):
        node = zone.nodes[name]
        for rdataset in node.rdatasets:
            is_asked = rdataset.rdtype == kind
            signs = rdataset.rdtype == dns.rdatatype.RRSIG and rdataset.covers == kind
            if is_asked or (signs and with_signatures and not self.strips):
                rrset = dns.rrset.RRset(name, rdataset.rdclass, rdataset.rdtype, rdataset.covers)
                rrset.update(rdataset)
                section.append(rrset)

    def __enter__(self):
        outer = self

        class OverUdp(socketserver.BaseRequestHandler):
            def handle(self):
                wire, sock = self.request
                if (reply := outer.answer(wire)) is None:
                    return
                try:
                    octets = reply.to_wire(max_size=1232)
                except dns.exception.TooBig:
                    reply.answer, reply.authority = [], []
                    reply.flags |= dns.flags.TC
                    octets = reply.to_wire()
                sock.sendto(octets, self.client_address)

        class OverTcp(socketserver.StreamRequestHandler):
            def handle(self):
                (length,) = struct.unpack("!H", self.rfile.read(2))
                if (reply := outer.answer(self.rfile.read(length))) is not None:
                    octets = reply.to_wire(max_size=65535)
                    self.wfile.write(struct.pack("!H", len(octets)) + octets)

        for _ in range(20):  # until a port is free for both
            self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), OverUdp)
            self.port = self._udp.server_address[1]
            with contextlib.suppress(OSError):
                self._tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), OverTcp)
                break
            self._udp.server_close()
        for server in (self._udp, self._tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in (self._udp, self._tcp):
            server.shutdown()
            with contextlib.suppress(socket.error):
                server.server_close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"
