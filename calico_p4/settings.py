"""The driver's settings: what there is, where it may be said, and which saying counts.

    a file (YAML or JSON; named by CALICO_P4_CONFIG)   target: unix:/run/x.sock
    the driver's environment                           CALICO_P4_TARGET=unix:/run/x.sock
    Felix, from its environment or configuration file  FELIX_P4TARGET=unix:/run/x.sock

The later one of these counts. What Felix does not know itself it hands on in its first message, under lower-case names without the prefix
(felix contract 1.7): ``p4target``, or ``p4_target`` for FELIX_P4_TARGET. A name that is no setting is an error wherever it stands: a setting that is
misspelt must not be one that silently does not hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from calico_p4.port_rules import rules_of
from felix_proto.types import ConfigUpdate, Payload

PREFIX = "CALICO_P4_"
FELIX_PREFIX = "p4"
FILE = "CALICO_P4_CONFIG"
NOT_SETTINGS = frozenset((FILE, "CALICO_P4_RECORD_DIR", "CALICO_P4_DPDK_SOURCE", "CALICO_P4_BMV2"))
"""Variables of the same prefix that the driver has no part in."""
NONE = "none"
KEEP, REEVALUATE = "keep", "reevaluate"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "text")
YES_NO = ("false", "true")


class BadSettings(ValueError):
    """Settings that can't be used; the text names the place and what is wrong."""


def _setting(default: str, help_: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, as text."""

    target: str = _setting("unix:/run/calico-p4/target.sock", "the P4Runtime server: unix:PATH, HOST:PORT, or embedded for a switch inside the driver")
    architecture: str = _setting("pna", "whose program the target runs: pna, or v1model for BMv2's simple_switch_grpc", ("pna", "v1model"))
    state: str = _setting("/var/lib/calico-p4", "folder of the allocator's file")
    ports: str = _setting("", "a ports file (calico_p4/schemas/ports.json)")
    admin: str = _setting("unix:/run/calico-p4/admin.sock", "where questions are answered: unix:PATH (mode 0600), or none")
    kubernetes: str = _setting(NONE, "where services come from: in-cluster, the URL of an API server, the path of a kubeconfig, or none")
    fib: str = _setting(NONE, 'protocols whose kernel routes are mirrored ("bird", "12,186"), for clusters whose Felix sends none; or none')
    interfaces: str = _setting(NONE, 'which interfaces of the kernel are ports ("eth0=uplink", "vf*=workload@name+16"); or none: they are not watched')
    metrics: str = _setting("127.0.0.1:9095", "where /metrics, /livez and /readyz are served over HTTP: HOST:PORT, or none")
    rule_hits: str = _setting("false", "whether /metrics has a line for every rule that was met", YES_NO)
    established_connections: str = _setting(
        KEEP, "what a change of policy does to established connections: nothing (keep), or their next packets are judged by it (reevaluate)", (KEEP, REEVALUATE)
    )
    log_level: str = _setting("info", "least level of log lines", LEVELS)
    log_format: str = _setting("auto", "json, text, or auto: text on a terminal, else JSON", FORMATS)
    foreign_pipeline: str = _setting("keep", "what to do with a target that runs another pipeline: keep (report it) or replace", ("keep", "replace"))
    foreign_entries: str = _setting("keep", "what to do with entries of our tables that are no rows of ours: keep (report them) or delete", ("keep", "delete"))
    tls_ca: str = _setting("", "PEM file of who signs the target's certificate; set: TLS to the target")
    tls_cert: str = _setting("", "PEM file of the driver's own certificate, for mutual TLS")
    tls_key: str = _setting("", "PEM file of the key of tls_cert")
    tls_name: str = _setting("", "the name in the target's certificate, where it is not that of the address")


@dataclass(frozen=True, slots=True)
class Said:
    """One value, and where it was said, for people."""

    name: str
    value: str
    source: str


NAMES = tuple(each.name for each in fields(Settings))


def from_file(path: str) -> list[Said]:
    """Read the file. Raises BadSettings."""
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadSettings(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise BadSettings(f"{path}: not a list of names with values")
    return [_said(str(name), _text(path, name, value), path, str(name)) for name, value in content.items()]


def _text(path: str, name: object, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise BadSettings(f"{path}: {name}: not a text")
    return str(value)


def from_environment(environment: Mapping[str, str]) -> list[Said]:
    """Read the variables that begin with CALICO_P4_; an empty one says nothing. Raises BadSettings."""
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS and value}
    return [_said(name.removeprefix(PREFIX).lower(), value, "environment", name) for name, value in ours.items()]


def from_felix(config: Mapping[str, str]) -> list[Said]:
    """Read what Felix handed on: names that begin with p4, with or without underscores. Raises BadSettings."""
    plain = {name.replace("_", ""): name for name in NAMES}
    ours = {name: value for name, value in config.items() if name.startswith(FELIX_PREFIX) and value}
    found = []
    for name, value in ours.items():
        bare = name.removeprefix(FELIX_PREFIX).strip("_")
        found.append(_said(plain.get(bare.replace("_", ""), bare), value, "Felix", name))
    return found


def handed_on(settings: Settings) -> dict[str, str]:
    """What the translator asks for among Felix's configuration, wherever it was said: only what differs from the default."""
    return {"p4established_connections": settings.established_connections} if settings.established_connections != KEEP else {}


def laid_over(payload: Payload, config: Mapping[str, str]) -> Payload:
    """Return a message with ``config`` laid over the configuration that is in it, if one is."""
    if not config or not isinstance(payload, ConfigUpdate):
        return payload
    return payload._replace(config=tuple(sorted({**dict(payload.config), **config}.items())))


def as_of_felix(config: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration in which settings may stand by their own names, with them as Felix hands them on. Raises BadSettings."""
    found = {FELIX_PREFIX + name if name in NAMES else name: value for name, value in config.items()}
    from_felix(found)
    return found


def _said(name: str, value: str, source: str, spelt: str) -> Said:
    """Check one saying."""
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(NAMES)}"
        raise BadSettings(f"{source}: {spelt} is no setting{hint}")
    choices = next(each for each in fields(Settings) if each.name == name).metadata["choices"]
    if choices and value not in choices:
        raise BadSettings(f"{source}: {spelt}: {value!r} is none of {', '.join(choices)}")
    return Said(name, value, source)


def gathered(environment: Mapping[str, str], config: Mapping[str, str] | None = None, path: str | None = None) -> list[Said]:
    """Return everything that was said, what counts last. ``path``: instead of the file that the environment names. Raises BadSettings."""
    path = path or environment.get(FILE)
    return [*(from_file(path) if path else ()), *from_environment(environment), *from_felix(config or {})]


def settled(said: list[Said]) -> Settings:
    """Return the settings. Raises BadSettings: a key without a certificate, or the other way round; rules that are none."""
    settings = Settings(**{each.name: each.value for each in said})
    if settings.interfaces != NONE:
        try:
            rules_of(settings.interfaces)
        except ValueError as error:
            raise BadSettings(f"interfaces: {error}") from error
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise BadSettings("tls_cert and tls_key go together")
    if settings.tls_cert and not settings.tls_ca:
        raise BadSettings("tls_cert without tls_ca: whose certificate is the target's?")
    return settings


def explained(said: list[Said]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, value, source and help of every setting. Raises as ``settled`` does."""
    settings, sources = settled(said), {each.name: each.source for each in said}
    for each in fields(Settings):
        yield each.name, getattr(settings, each.name), sources.get(each.name, "default"), each.metadata["help"]
