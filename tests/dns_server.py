"""A small DNS server on loopback, and a `socket.getaddrinfo` that asks it for names under .test."""

import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset


@dataclass
class DnsServer:
    """The running server.

    Attributes:
        port: of 127.0.0.1.
        records: a list of answers for each name, given in turn; the last one repeats. An answer is a list of
            addresses, or the target of a CNAME. A name without answers does not exist.
        broken: names for which the server fails.
        asked: number of queries by name and type.
    """

    port: int
    records: dict[str, list[list[str] | str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Answer a query, following CNAMEs."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        (question,) = query.question
        name, kind = question.name.to_text().lower().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        while isinstance(answer := self._answer(name, kind), str):
            response.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", "CNAME", f"{answer}."))
            name = answer
        if answer is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        version = {"A": 4, "AAAA": 6}.get(kind)
        fitting = [address for address in answer if ipaddress.ip_address(address).version == version]
        if fitting:
            response.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", kind, *fitting))
        return response

    def _answer(self, name: str, kind: str) -> list[str] | str | None:
        answers = self.records.get(name)
        # Count queries by type, because a lookup asks for both types.
        return answers[min(max(self.asked[name, kind], 1), len(answers)) - 1] if answers else None


@contextmanager
def dns_server() -> Iterator[DnsServer]:
    """Run a DNS server on a free port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        dns_of_test = DnsServer(server.getsockname()[1])

        def run() -> None:
            while wire := server.recvfrom(4096):
                data, sender = wire
                if not data:
                    return
                answer = dns_of_test.answer(dns.message.from_wire(data))
                # Keep the order of the records.
                server.sendto(answer.to_wire(want_shuffle=False), sender)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield dns_of_test
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"", ("127.0.0.1", dns_of_test.port))
            thread.join(5)


def getaddrinfo_by(server: DnsServer) -> Any:
    """Make a `socket.getaddrinfo` that asks the server for names under .test, and the system for the rest."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], server.port, 3
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if not str(host).rstrip(".").lower().endswith(".test"):
            return system(host, port, *args, **options)
        found: list[str] = []
        try:
            for kind in ("AAAA", "A"):
                answer = resolver.resolve(f"{str(host).rstrip('.')}.", kind, raise_on_no_answer=False)
                found += [record.address for record in answer.rrset or ()]
        except dns.resolver.NXDOMAIN:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        except (dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "No address associated with hostname")
        return [info for address in found for info in system(address, port, *args, **options)]

    return getaddrinfo
