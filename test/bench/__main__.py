"""The figures of the design (section 7) as ratios measured in one run: `python -m test.bench [RECORDING ...]`.

Without arguments: every recording of the shared collection, or those beside the tests. Times are taken against a gRPC server that does
nothing; the floor is building and sending the same rows with plain protobuf. Exit status 1 if a figure misses its target.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from test.bench import bench_target, process, services, stream, synthetic
from test.support.shared import RECORDINGS, shared_path

LARGE = ("scale.felixstream.gz", "scale-xl.felixstream.gz")
ROWS_PER_INTENT = {"scale.felixstream.gz": 1.2, "scale-xl.felixstream.gz": 2.9}
FELIX = {
    "quickstart.felixstream": {"snapshot_apply_ms": 135, "snapshot_cpu_s": 0.34, "one_member_ms": 3.1, "one_rule_ms": 22, "one_endpoint_ms": 30},
    "scale.felixstream.gz": {"snapshot_apply_ms": 906, "snapshot_cpu_s": 1.5, "one_member_ms": 2.5, "one_rule_ms": 30, "one_endpoint_ms": 283},
    "scale-xl.felixstream.gz": {"snapshot_apply_ms": 3495, "snapshot_cpu_s": 5.6, "one_member_ms": 2.6, "one_rule_ms": 284, "one_endpoint_ms": 1245},
}
"""What Felix's own Linux dataplane takes, the best of three, on a small machine with two cores: comparable on such a machine only."""


def recordings(arguments: list[str]) -> list[Path]:
    if arguments:
        return [Path(argument) for argument in arguments]
    shared = shared_path()
    folder = shared / "recordings" if shared else RECORDINGS
    return sorted(each for each in folder.iterdir() if each.name.endswith((".felixstream", ".felixstream.gz")))


def verdicts(figures: dict[str, Any]) -> Iterator[tuple[str, Any, str, bool]]:
    """(what, figure, target, whether it is met) for one recording."""
    name = figures["recording"]
    if name in LARGE:
        ratio = figures["snapshot_to_floor_cpu"]
        yield "snapshot to programmed, CPU, times the floor", ratio, "2", ratio <= 2
        yield "driver's memory, bytes per member", figures["bytes_per_member"], "600", figures["bytes_per_member"] <= 600
    for figure, felix in FELIX.get(name, {}).items():
        ratio = round(figures[figure] / felix, 3)
        yield f"{figure}, times that of Felix's own dataplane", ratio, "1", ratio <= 1
    for change in ("member", "rule", "endpoint"):
        if f"one_{change}_ms" in figures:
            rows = figures[f"one_{change}_rows"]
            yield f"one {change}, {rows} rows, times writing as many", figures[f"one_{change}_to_floor"], "none", True
    if "one_rule_flat" in figures:
        rows = f"{figures['one_rule_rows_alone']} rows, then {figures['one_rule_rows_among_unrelated']}"
        flat = figures["one_rule_flat"] <= 1.2 and figures["one_rule_rows_alone"] == figures["one_rule_rows_among_unrelated"]
        yield f"one rule with 100,000 unrelated members more ({rows}), times without", figures["one_rule_flat"], "1.2", flat
    wanted = ROWS_PER_INTENT.get(name, 3)
    yield "rows per intent", figures["rows_per_intent"], str(wanted), figures["rows_per_intent"] <= wanted


def main(arguments: list[str]) -> int:
    missed = 0
    for recording in recordings(arguments):
        figures = stream.measure(recording)
        if recording.name in LARGE:
            figures |= process.memory(recording)
        print(json.dumps(figures))
        for what, figure, target, met in verdicts(figures):
            missed += not met
            print(f"  {'ok  ' if met else 'MISS'} {what}: {figure} (target {target})")
    made_up = synthetic.snapshot() | synthetic.member_flatness()
    print(json.dumps(made_up))
    target = bench_target.measure()
    print(json.dumps(target))
    start = process.start()
    print(json.dumps(start))
    for what, figure, wanted, met in (
        ("made-up snapshot, CPU, times the floor", made_up["snapshot_to_floor_cpu"], "2", made_up["snapshot_to_floor_cpu"] <= 2),
        ("one member in 100,000, times one in 1,000", made_up["member_flat"], "1.2", made_up["member_flat"] <= 1.2),
        ("writes of a restart with nothing changed", made_up["restart_writes"], "0", made_up["restart_writes"] == 0),
        ("target accepts, times a null server", min(target["target_to_null_server"].values()), "0.05", min(target["target_to_null_server"].values()) >= 0.05),
        ("packets, times building entries", target["packets_to_building"]["inject"], "0.0125", target["packets_to_building"]["inject"] >= 0.0125),
        ("start of the command line, times python -c pass", start["start_ratio"], "6", start["start_ratio"] <= 6),
    ):
        missed += not met
        print(f"  {'ok  ' if met else 'MISS'} {what}: {figure} (target {wanted})")
    missed += services.main([])
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
