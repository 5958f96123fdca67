"""Values of Felix's configuration, as ConfigUpdate sends them: text, and only what was set (contract 1, 2.3).

Defaults are those of felix/config/config_params.go.
"""

from __future__ import annotations

from collections.abc import Mapping

_TRUE = {"true", "1", "yes", "y", "t"}


def flag(config: Mapping[str, str], name: str) -> bool:
    """A boolean that is false unless set to one of Felix's spellings of true."""
    return config.get(name, "").strip().lower() in _TRUE


def positive(config: Mapping[str, str], name: str, default: int) -> int:
    """A number above 0. Felix has checked it, so what is none means the default."""
    text = config.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) else default


def endpoint_to_host_accepted(config: Mapping[str, str]) -> bool:
    """DefaultEndpointToHostAction, default Drop: whether what a workload's egress policy allows gets into the node.

    Return and Accept differ in what the node's own firewall then does, which is no part of Calico. An unknown word is Drop.
    """
    return config.get("DefaultEndpointToHostAction", "Drop").strip().lower() in ("return", "accept")


def judges_again(config: Mapping[str, str]) -> bool:
    """The driver's setting established_connections, as it stands among Felix's own (calico_p4/settings.py): whether it is reevaluate."""
    said = (value for name, value in config.items() if name.lower().replace("_", "") == "p4establishedconnections")
    return next(said, "keep").strip().lower() == "reevaluate"


def own_node(config: Mapping[str, str]) -> str:
    """FelixHostname: the name of this node, "" before the first ConfigUpdate."""
    return config.get("FelixHostname", "")
