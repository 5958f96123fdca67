"""Other names and addresses for those of a stream: the same everywhere, in the same order, with the same prefixes in common.

Addresses: a permutation keyed by a secret under which two addresses share exactly as many leading bits as before, so that every CIDR,
set and route holds what it held (the way of Crypto-PAn: Xu, Fan, Ammar, Moon, 2002). Ranges that mean something to a switch stay
themselves. Names: numbered in the order of the names they stand for, because of two endpoints with one address the lower id owns it.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from ipaddress import ip_address, ip_network

_STAY = (
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/8",
    "fe80::/10",
    "ff00::/8",
)
"""This network, loopback, link-local, multicast and reserved (RFC 6890); IPv6 likewise."""
_WITH_V4 = (bytes(10) + b"\xff\xff", bytes.fromhex("0064ff9b") + bytes(8))
"""IPv6 prefixes after which an IPv4 address stands: mapped (RFC 4291, 2.5.5.2) and translated (RFC 6052, 2.1). It gets the pseudonym that it has alone."""
_ADDRESS = re.compile(r"(?<![0-9A-Za-z.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{2,45}(?:\.\d{1,3}){0,3})(?![0-9A-Za-z:])")


class Addresses:
    """The permutation of addresses for one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._flips: dict[tuple[int, bytes], int] = {}
        self._stay: dict[int, list[tuple[int, int]]] = {4: [], 16: []}  # by length: number of bits, and the bits
        for net in map(ip_network, _STAY):
            self._stay[net.max_prefixlen // 8].append((net.prefixlen, int(net.network_address) >> net.max_prefixlen - net.prefixlen))

    def address(self, packed: bytes) -> bytes:
        """Return the pseudonym of an address of 4 or 16 bytes."""
        if len(packed) == 16 and packed[:12] in _WITH_V4:
            return packed[:12] + self.address(packed[12:])
        out = bytearray()
        for place, byte in enumerate(packed):
            flips = self._flips_after(packed[:place], len(packed))
            node = 1
            for bit in range(7, -1, -1):
                if flips >> node & 1:
                    byte ^= 1 << bit
                node = node << 1 | packed[place] >> bit & 1
            out.append(byte)
        return bytes(out)

    def _flips_after(self, prefix: bytes, length: int) -> int:
        """Return which bits of the byte after a prefix are flipped: a binary tree of depth 8, one bit for each of its 255 inner nodes."""
        flips = self._flips.get((length, prefix))
        if flips is None:
            flips = int.from_bytes(blake2b(bytes((length,)) + prefix, digest_size=32, key=self._key).digest())
            for node in self._still(prefix, length):
                flips &= ~(1 << node)
            self._flips[length, prefix] = flips
        return flips

    def _still(self, prefix: bytes, length: int) -> Iterator[int]:
        """Yield the nodes below a prefix that lead to a range that stays, or lie in one; node 1 is the root, 2n and 2n+1 are below n."""
        start = int.from_bytes(prefix)
        for bits, value in self._stay[length]:
            if bits <= len(prefix) * 8:
                if start >> len(prefix) * 8 - bits == value:
                    yield from range(1, 256)
            elif value >> bits - len(prefix) * 8 == start:
                below = bits - len(prefix) * 8  # so many bits of the range come after the prefix
                for known in range(8):
                    if known < below:
                        yield 1 << known | value >> below - known & (1 << known) - 1
                    else:  # inside: everything that begins with the range
                        inside = value & (1 << below) - 1
                        yield from (1 << known | inside << known - below | rest for rest in range(1 << known - below))

    def text(self, text: str) -> str:
        """Return the pseudonym of an address or CIDR; host bits that were 0 are 0. Raises ValueError for what is neither."""
        address, slash, length = text.partition("/")
        parsed = ip_address(address)
        mapped = ip_address(self.address(parsed.packed))
        if not slash:
            return str(mapped)
        bits = int(length)
        if not 0 <= bits <= parsed.max_prefixlen:
            raise ValueError(f"{text!r}: no such prefix length")
        host = (1 << parsed.max_prefixlen - bits) - 1
        if int(parsed) & host == 0:
            mapped = type(mapped)(int(mapped) & ~host)
        return f"{mapped}/{length}"

    def inside(self, text: str) -> str:
        """Return a text with every address in it replaced."""
        return _ADDRESS.sub(lambda match: self._or_same(match[0]), text)

    def _or_same(self, text: str) -> str:
        try:
            return self.text(text)
        except ValueError:
            return text


class Names:
    """Pseudonyms by category. Every name has to be collected before the first is replaced, for their order counts."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._collected: dict[str, set[str]] = defaultdict(set)
        self._given: dict[str, dict[str, str]] | None = None

    def get(self, category: str, name: str, prefix: str | None = None) -> str:
        """Return the pseudonym of a name, e.g. "namespace-3"; while collecting, the name itself. The empty name stays empty."""
        if not name or self._given is None:
            self.collect(category, name)
            return name
        pseudonym = self._given[category][name]
        return pseudonym if prefix is None else prefix + pseudonym.removeprefix(f"{category}-")

    def collect(self, category: str, name: str) -> None:
        """Take note of a name, if it is not too late."""
        if name and self._given is None:
            self._collected[category].add(name)

    def knows(self, category: str, name: str) -> bool:
        """Tell whether a name is of a category; nobody knows while names are collected."""
        return self._given is not None and name in self._given.get(category, ())

    def settle(self) -> None:
        """Collecting is over."""
        self._given = {category: _numbered(category, names) for category, names in self._collected.items()}

    def table(self) -> dict[str, dict[str, str]]:
        """Return what stands for what, by category: the secret, to be kept."""
        return self._given or {}

    def digest(self, text: str, length: int) -> bytes:
        """Return bytes that stand for a text and tell nothing of it without the key."""
        return blake2b(text.encode(errors="surrogateescape"), digest_size=length, key=self._key).digest()

    def mac(self, text: str) -> str:
        """Return a locally administered, unicast MAC address for another (IEEE 802: bits 2 and 1 of the first octet)."""
        if not text or set(text) <= set("0:-"):
            return text
        octets = bytearray(self.digest(text.lower(), 6))
        octets[0] = octets[0] & 0xFC | 0x02
        return octets.hex(":")

    def public_key(self, text: str) -> str:
        """Return a WireGuard key for another."""
        return base64.b64encode(self.digest(text, 32)).decode() if text else text

    def rule_id(self, text: str) -> str:
        """Return a rule id for another: it is a hash of the rule."""
        return base64.urlsafe_b64encode(self.digest(text, 12)).decode() if text else text


def _numbered(category: str, names: set[str]) -> dict[str, str]:
    """Number names in their order, with as many digits for each. A namespace is compared as in "namespace/pod"."""
    order = sorted(names, key=lambda name: name + "/") if category == "namespace" else sorted(names)
    digits = len(str(len(order)))
    return {name: f"{category}-{place:0{digits}d}" for place, name in enumerate(order, 1)}
