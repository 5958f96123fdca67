"""Two machines in network namespaces of their own, joined by a cable, each with a BGP daemon: needs root, iproute2 and bird."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

LINKS = ("192.0.2.11", "192.0.2.12"), ("2001:db8::11", "2001:db8::12")
_CONFIG = """
router id {own};
protocol device {{ }}
protocol static s4 {{ ipv4; {routes4} }}
protocol static s6 {{ ipv6; {routes6} }}
protocol kernel k4 {{ ipv4 {{ export filter {{ if source ~ [ RTS_BGP, RTS_STATIC ] then accept; reject; }}; }}; }}
protocol kernel k6 {{ ipv6 {{ export filter {{ if source ~ [ RTS_BGP, RTS_STATIC ] then accept; reject; }}; }}; }}
protocol bgp peer {{
  local {own} as 64512; neighbor {peer} as 64512; direct;
  ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }};
  ipv6 {{ import all; export where source = RTS_STATIC; next hop address {own6}; }};
}}
"""


def missing() -> str:
    """What is not there to make them, "" if all is."""
    gone = [name for name in ("bird", "birdc") if shutil.which(name) is None]
    return f"no {', '.join(gone)}" if gone else no_namespaces()


def no_namespaces() -> str:
    """Why network namespaces can't be made here, "" if they can."""
    if shutil.which("ip") is None:
        return "no ip"
    name = f"probe-{uuid.uuid4().hex[:6]}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces can't be made here"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Namespace:
    """A network namespace with interfaces of its own; `with` removes it."""

    def __init__(self) -> None:
        self.name = f"n-{uuid.uuid4().hex[:6]}"

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.name], check=True, capture_output=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)

    def run(self, *arguments: str) -> None:
        """Run ip there."""
        subprocess.run(["ip", "-n", self.name, *arguments], check=True, capture_output=True)

    def batch(self, lines: list[str]) -> None:
        """Run ip there for many lines at once."""
        subprocess.run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True)

    def cable(self, one: str, other: str) -> None:
        """Two interfaces joined by a cable, both up."""
        self.batch([f"link add {one} type veth peer name {other}", f"link set {one} up", f"link set {other} up"])

    def inside(self, work: Callable[[], T]) -> T:
        """Do something in a thread that is there; returns or raises what it does."""
        from pyroute2 import netns

        def working() -> T:
            netns.setns(self.name, flags=0)
            return work()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(working).result()


class Machines:
    """`names` of the two namespaces; both daemons run until `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []
        tag = uuid.uuid4().hex[:6]
        self.names = (f"a-{tag}", f"b-{tag}")
        for name in self.names:
            self._ip("netns", "add", name)
        self._ip("link", "add", "eth0", "netns", self.names[0], "type", "veth", "peer", "name", "eth0", "netns", self.names[1])
        for at, name in enumerate(self.names):
            self._in(name, "link", "set", "lo", "up")
            self._in(name, "link", "set", "eth0", "up")
            self._in(name, "addr", "add", f"{LINKS[0][at]}/24", "dev", "eth0")
            self._in(name, "addr", "add", f"{LINKS[1][at]}/64", "dev", "eth0", "nodad")

    def start(self, at: int, blocks: tuple[str, ...]) -> None:
        """Start a daemon that announces blocks of its own."""
        config = self._folder / f"bird{at}.conf"
        self._write(config, at, blocks)
        command = ["ip", "netns", "exec", self.names[at], "bird", "-f", "-c", str(config), "-s", str(self._socket(at))]
        self._daemons.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def announce(self, at: int, blocks: tuple[str, ...]) -> None:
        """Announce other blocks."""
        self._write(self._folder / f"bird{at}.conf", at, blocks)
        subprocess.run(["birdc", "-s", str(self._socket(at)), "configure"], capture_output=True, check=True)

    def _socket(self, at: int) -> Path:
        return self._folder / f"bird{at}.ctl"

    def _write(self, path: Path, at: int, blocks: tuple[str, ...]) -> None:
        routes = {v: " ".join(f"route {block} blackhole;" for block in blocks if (":" in block) == bool(v)) for v in (0, 1)}
        path.write_text(_CONFIG.format(own=LINKS[0][at], own6=LINKS[1][at], peer=LINKS[0][1 - at], routes4=routes[0], routes6=routes[1]))

    @staticmethod
    def _ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def _in(self, name: str, *arguments: str) -> None:
        self._ip("-n", name, *arguments)

    def close(self) -> None:
        """End the daemons that were started here, and the namespaces."""
        for daemon in self._daemons:
            daemon.terminate()
            daemon.wait(timeout=60)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def until(check: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until something holds; tells whether it does."""
    end = time.monotonic() + seconds
    while not (held := check()) and time.monotonic() < end:
        time.sleep(0.05)
    return held
