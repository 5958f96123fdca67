"""Policies and profiles compiled once per direction, for all chains that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from felix_proto.types import Policy, PolicyID, Profile, Rule

from .chains import OwnerKey
from .composition import RuleSet
from .errors import Untranslatable
from .groups import Groups
from .rules import Action, Ref, compile_rule, set_ids
from .stages import View

Use = tuple[View, OwnerKey]
Source = tuple[str, tuple[Rule, ...]]
"""Tier and rules."""


class PolicyStore(Protocol):
    """What is read of `datastore.intent.IntentStore`."""

    @property
    def policies(self) -> Mapping[PolicyID, Policy]: ...
    @property
    def profiles(self) -> Mapping[str, Profile]: ...


class Compiled:
    """One policy or profile in one direction: its rules, or the error that closes the endpoints it governs."""

    __slots__ = ("error", "rules", "sets", "source")

    def __init__(self, source: Source | None, rules: RuleSet | None, error: str, sets: set[str]) -> None:
        self.source, self.rules, self.error, self.sets = source, rules, error, sets


def describe(owner: OwnerKey) -> str:
    """The object's name for messages."""
    _, name = owner
    if isinstance(name, str):
        return f"Profile {name}"
    full = "/".join(part for part in (name.namespace, name.tier, name.name) if part)
    return f"{name.kind or 'Policy'} {full}"


class Catalog:
    """Compiles on demand; `stage` prepares new versions (their groups exist from then on), `adopt` puts them in force."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._compiled: dict[Use, Compiled] = {}
        self._staged: dict[Use, Compiled] = {}
        self._stale: set[Use] = set()
        self._retired: list[Compiled] = []
        self._users_of_set: dict[str, set[Use]] = {}

    def __contains__(self, use: Use) -> bool:
        return use in self._compiled

    def get(self, use: Use) -> Compiled:
        """The version in force."""
        return self._compiled[use]

    def users_of_sets(self, sets: Iterable[str]) -> set[Use]:
        """The compiled policies and profiles that name one of the sets."""
        return {use for set_id in sets for use in self._users_of_set.get(set_id, ())}

    def is_current(self, use: Use, store: PolicyStore) -> bool:
        """Whether the version in force was made from the rules that the store holds now."""
        return self._compiled[use].source == _source(use, store)

    def is_stale(self, use: Use) -> bool:
        """Whether the policy must be compiled before a chain may use it."""
        return use not in self._compiled or use in self._stale

    def mark_stale(self, uses: Iterable[Use]) -> None:
        """The version in force is out of date; chains that nothing is bound to may keep it for now."""
        self._stale.update(uses)

    def stage(self, use: Use, store: PolicyStore) -> None:
        """Compile a new version; acquires its groups."""
        self._stale.discard(use)
        self._staged[use] = _compile(use, _object(use[1], store), _source(use, store), self._groups)

    @property
    def has_staged(self) -> bool:
        """Whether `adopt` will change anything."""
        return bool(self._staged)

    def adopt(self) -> set[Use]:
        """Put the staged versions in force; returns what changed. The old versions' groups are released by `finish`."""
        staged, self._staged = self._staged, {}
        for use, compiled in staged.items():
            self._retire(use)
            self._compiled[use] = compiled
            for set_id in compiled.sets:
                self._users_of_set.setdefault(set_id, set()).add(use)
        return set(staged)

    def drop(self, use: Use) -> None:
        """Forget a policy or profile that no chain uses."""
        self._stale.discard(use)
        self._retire(use)

    def _retire(self, use: Use) -> None:
        old = self._compiled.pop(use, None)
        if old is None:
            return
        self._retired.append(old)
        for set_id in old.sets:
            users = self._users_of_set[set_id]
            users.discard(use)
            if not users:
                del self._users_of_set[set_id]

    def finish(self) -> None:
        """Release the groups of versions no longer in force."""
        for compiled in self._retired:
            for rule in compiled.rules.rules if compiled.rules else ():
                for side, group in rule.held:
                    self._groups.release(side, group)
        self._retired.clear()


def _object(owner: OwnerKey, store: PolicyStore) -> Policy | Profile | None:
    _, name = owner
    return store.profiles.get(name) if isinstance(name, str) else store.policies.get(name)


def _source(use: Use, store: PolicyStore) -> Source | None:
    """What the rows of one direction are made from: the tier's name and the rules; None if there is no such object."""
    view, owner = use
    found = _object(owner, store)
    if found is None:
        return None
    inbound = view.direction == "ingress"
    tier = found.tier if isinstance(found, Policy) else ""
    return tier, found.inbound_rules if inbound else found.outbound_rules


def _compile(use: Use, found: Policy | Profile | None, source: Source | None, groups: Groups) -> Compiled:
    view, owner = use
    if found is None or source is None:
        return Compiled(None, None, f"{describe(owner)} was never sent", set())
    sets = {set_id for rule in source[1] for set_id in set_ids(rule)}
    compiled = []
    try:
        for index, rule in enumerate(source[1]):
            compiled.append(compile_rule(rule, _namer(use, found, index, source), view, groups))
    except Untranslatable as error:
        for done in compiled:
            for side, group in done.held:
                groups.release(side, group)
        return Compiled(source, None, f"{describe(owner)}: {view.direction} rule {len(compiled)}: {error}", sets)
    return Compiled(source, RuleSet(compiled), "", sets)


class _namer:
    """Makes the reference of one rule, its action known late."""

    __slots__ = ("_found", "_index", "_source", "_use")

    def __init__(self, use: Use, found: Policy | Profile, index: int, source: Source) -> None:
        self._use, self._found, self._index, self._source = use, found, index, source

    def __call__(self, action: Action) -> Ref:
        view, (_, name) = self._use
        found, index = self._found, self._index
        tier, rules = self._source
        rule_id = rules[index].rule_id
        if isinstance(found, Policy):
            return Ref("policy", view.direction, action, name, tier or (name.tier if isinstance(name, PolicyID) else ""), index, rule_id)
        return Ref("profile", view.direction, action, name, "", index, rule_id)
