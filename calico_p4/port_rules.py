"""Which interfaces of the kernel are ports of the switch, of what kind, and with which number: the setting ``interfaces``.

    eth0=uplink, bond*=uplink@ifindex, enp3s0npf0vf*=workload@name+16, pf0hpf=host@3

Rules are read from the left, and the first whose pattern (as in a shell) fits an interface's name counts. Kinds: workload, host, uplink,
tunnel, or none: no port. The number: by the target or the allocator for the name where nothing is said; ``@N``; ``@ifindex``, the
kernel's index; ``@name``, the number that the name ends with, as representors are called; the latter two with ``+N``.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from calico_p4.interfaces import Interface

KINDS = ("workload", "host", "uplink", "tunnel", "none")
MAX_NUMBER = (1 << 32) - 1
_RULE = re.compile(r"([^=@\s]+)=([a-z]+)(?:@(?:(ifindex|name)(?:\+([0-9]+))?|([0-9]+)))?")
_LAST_DIGITS = re.compile(r"[0-9]+$")


class Rule(NamedTuple):
    """One rule. ``source`` is ifindex, name, or empty: ``number`` itself, None for one by name from target or allocator."""

    pattern: str
    kind: str
    source: str = ""
    number: int | None = None

    def number_of(self, interface: Interface) -> int | None:
        """Return the port's number, None if the rule says none. Raises ValueError: the name has none, or it is too large."""
        if not self.source:
            return self.number
        found = _LAST_DIGITS.search(interface.name)
        if self.source == "name" and found is None:
            raise ValueError(f"{interface.name!r} does not end with a number, as {self.pattern}={self.kind}@name wants")
        number = (interface.ifindex if self.source == "ifindex" else int(found[0] if found else 0)) + (self.number or 0)
        if number > MAX_NUMBER:
            raise ValueError(f"{number} is no port number")
        return number


def rules_of(text: str) -> tuple[Rule, ...]:
    """Read the setting. Raises ValueError, with the rule that can't be read."""
    words = list(filter(None, (part.strip() for part in text.split(","))))
    if not words:
        raise ValueError("no rule: PATTERN=KIND or PATTERN=KIND@NUMBER, with commas in between")
    return tuple(map(_rule, words))


def _rule(word: str) -> Rule:
    match = _RULE.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is no rule: PATTERN=KIND, PATTERN=KIND@N, @ifindex, @name, @ifindex+N or @name+N")
    pattern, kind, source, plus, number = match.groups()
    if kind not in KINDS:
        raise ValueError(f"{word!r}: {kind!r} is none of {', '.join(KINDS)}")
    given = plus or number
    if given and int(given) > MAX_NUMBER:
        raise ValueError(f"{word!r}: {given} is no port number")
    return Rule(pattern, kind, source or "", int(given) if given else None)


def rule_for(rules: tuple[Rule, ...], name: str) -> Rule:
    """Return the first rule that fits; without one an interface may be a workload's, which its endpoint names."""
    return next((rule for rule in rules if fnmatchcase(name, rule.pattern)), Rule("*", "workload"))
