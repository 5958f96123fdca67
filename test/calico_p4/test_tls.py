"""TLS and mutual TLS to the target, and certificates that are renewed while the driver runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from calico_p4.live import ASK_S, Live
from calico_p4.p4runtime.errors import TargetLost
from calico_p4.p4runtime.tls import Tls
from calico_p4.switch import connect
from datastore.allocator import Allocator
from k8s_p4.target import InProcessTarget
from k8s_p4.target.inprocess import all_handlers
from k8s_p4.target.server import _Handlers
from test.support.certificates import Authority, Pair
from test.support.driven import WAIT_S, driver, frames
from test.support.faulty_target import Clock


@contextmanager
def tls_target(authority: Authority, pair: Pair, mutual: bool = False) -> Iterator[str]:
    """Serve a fresh switch with TLS on a port of loopback."""
    server = grpc.server(ThreadPoolExecutor(8), [_Handlers(all_handlers(InProcessTarget().device))])
    ca = authority.ca.read_bytes()
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())], ca if mutual else None, mutual)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def test_the_target_shows_who_it_is(authority: Authority, tmp_path: Path):
    with tls_target(authority, authority.sign("switch")) as address:
        switch = connect(address, WAIT_S, Tls(str(authority.ca), name="switch"))
        switch.prepare()
        assert switch.fresh
        switch.close()
        for wrong in (Tls(str(authority.ca), name="another"), Tls(str(Authority(tmp_path / "other").ca), name="switch")):
            with pytest.raises(TargetLost):
                connect(address, 0.5, wrong)
        with pytest.raises(TargetLost):
            connect(address, 0.5)


def test_the_driver_shows_who_it_is(authority: Authority, tmp_path: Path):
    own, stranger = authority.sign("driver"), Authority(tmp_path / "other").sign("driver")
    with tls_target(authority, authority.sign("switch"), mutual=True) as address:
        switch = connect(address, WAIT_S, Tls(str(authority.ca), str(own.cert), str(own.key), "switch"))
        switch.prepare()
        switch.close()
        for tls in (Tls(str(authority.ca), name="switch"), Tls(str(authority.ca), str(stranger.cert), str(stranger.key), "switch")):
            with pytest.raises(TargetLost):
                connect(address, 0.5, tls).prepare()


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path):
    with pytest.raises(TargetLost, match="nothing.pem: No such file"):
        connect("127.0.0.1:1", 0.1, Tls(str(tmp_path / "nothing.pem")))


def test_renewed_certificates_are_taken_up_while_the_driver_runs(authority: Authority):
    own = authority.sign("driver")
    clock, tls = Clock(), Tls(str(authority.ca), str(own.cert), str(own.key), "switch")
    with tls_target(authority, authority.sign("switch"), mutual=True) as address:
        live = Live(address, Allocator(), (), lambda said: None, clock=clock, opener=lambda target: connect(target, WAIT_S, tls))
        live.work(clock())
        first = live._switch
        clock.advance(ASK_S + 1)
        live.work(clock())
        assert first is not None and live._switch is first, "nothing was renewed"
        authority.sign("driver")
        clock.advance(ASK_S + 1)
        live.work(clock())
        assert live._switch is None
        clock.advance(2.0)
        live.work(clock())
        assert live._switch is not None and live._switch is not first
        live._switch.close()


def test_the_driver_as_a_process(authority: Authority, tmp_path: Path):
    own = authority.sign("driver")
    with tls_target(authority, authority.sign("switch"), mutual=True) as address:
        settings = {"CALICO_P4_TLS_CA": str(authority.ca), "CALICO_P4_TLS_CERT": str(own.cert), "CALICO_P4_TLS_KEY": str(own.key), "CALICO_P4_TLS_NAME": "switch"}
        with driver(tmp_path, address, **settings) as felix:
            felix.send(b"".join(frames("quickstart")))
            felix.until(lambda: len(felix.statuses()) == 8)
            assert "BEGIN" not in felix.log() and "PRIVATE" not in felix.log(), "secrets are not logged"
