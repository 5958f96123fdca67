"""The embedded target: a P4Runtime server in Python that executes the `.spec` assembly p4c-dpdk emits for a PNA program.

In one process, through the same servicer and the same serialized messages as over a socket::

    target = InProcessTarget()                      # a fresh switch, device 1, no pipeline
    stub = P4RuntimeStub(target.channel)            # k8s_p4.p4rt; target.channel behaves like a grpc.Channel
    bench = EmbeddedClient(target.channel)          # ports, frames, virtual time, learned entries
    target.stop()

Over a socket (P4Runtime and EmbeddedTarget on one address)::

    server = serve("unix:PATH" | "HOST:PORT")       # k8s_p4.target.server.serve(address, options=Options()) -> Server
    server.address, server.stop(), server.wait()
    channel = grpc.insecure_channel(server.address); EmbeddedClient(channel)

The pipeline: `SetForwardingPipelineConfig` with the P4Info p4c wrote and, as p4_device_config, `pack_device_config(spec, context,
entries)`: an ordinary ZIP archive with the members `pipeline.spec`, `context.json` (p4c's --context) and, if the program has const
entries, `entries.txtpb` (p4c's --p4runtime-entries-files). `Options(shuffle_seed=..., poison=..., learner_bucket=...)` are for tests.

    bench.ensure_port("cali1") -> int               # stable while the target runs; first port is 1
    bench.ports() -> dict[str, int]
    bench.inject(port, frame, at_seconds=None, trace=False) -> Injected(outputs, dropped, outcome, metadata, trace)
    bench.set_time(s), bench.time() -> float        # virtual seconds, from 0, never backwards
    bench.clear_learned(*tables) -> int; bench.learned_counts() -> dict[str, int]; bench.learned(*tables) -> list[Learned]
    bench.forget_learned(entries) -> int            # single ones of those
    bench.watch(dropped_only=False) -> Watching     # iterate: frames through the switch, and an int where so many were lost
    bench.restore_learned(entries) -> int           # those of another switch
"""

from k8s_p4.target.client import EmbeddedClient, Injected, Learned, LookedUp, Watched, Watching
from k8s_p4.target.config import pack_device_config, unpack_device_config
from k8s_p4.target.inprocess import InProcessTarget
from k8s_p4.target.options import Options
from k8s_p4.target.server import Server, serve

__all__ = [
    "EmbeddedClient",
    "InProcessTarget",
    "Injected",
    "Learned",
    "LookedUp",
    "Options",
    "Server",
    "Watched",
    "Watching",
    "pack_device_config",
    "serve",
    "unpack_device_config",
]
