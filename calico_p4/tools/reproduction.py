"""A test file for a stream in which something is wrong: it fails as long as it is, and passes when it is not."""

import re
from pathlib import Path
from typing import Any

from calico_p4.tools.shrink import Smaller
from calico_p4.tools.symptoms import Fails, IsDegraded, Judged, NotAsFromScratch, NotAsGolden, OtherwiseFresh, Symptom, WrongVerdict


def objects_beside(recording: str) -> Path:
    """Return where the Kubernetes objects of a recording go."""
    path = Path(recording)
    return path.with_name(f"{path.name.partition('.')[0]}.k8s.jsonl")


def reproduction(recording: str, symptom: Symptom, smaller: Smaller, origin: str, frames: int) -> str:
    """Return the text of a test of ``recording`` (a name beside the test); ``origin`` had ``frames`` frames."""
    name = re.sub(r"\W+", "_", Path(recording).name.partition(".")[0])
    ports, objects, config = symptom.asked.beside
    head = [
        f'"""{_what(symptom)} Minimised from {Path(origin).name}: {len(smaller.payloads)} of {frames} frames are left."""',
        "", "from pathlib import Path", "", "from calico_p4.testing import Stream", "",
        f'RECORDING = Path(__file__).with_name("{Path(recording).name}")',
    ]  # fmt: skip
    if ports:
        head.append(f"PORTS = {[dict(port) for port in ports]!r}")
    if objects is not None:
        head.append(f'OBJECTS = Path(__file__).with_name("{objects_beside(recording).name}")')
    if config:
        head.append(f"CONFIG = {dict(config)!r}")
    given = {"ports=PORTS": bool(ports), "k8s=OBJECTS": objects is not None, "config=CONFIG": bool(config)}
    opened = f"Stream({', '.join(['RECORDING', *(text for text, wanted in given.items() if wanted)])})"
    body = [f"    {line}" for line in _body(symptom, smaller, opened)]
    return "\n".join([*head, "", "", f"def test_{name}():", *body]) + "\n"


def _what(symptom: Symptom) -> str:
    return {
        WrongVerdict: "A packet is decided wrongly.",
        OtherwiseFresh: "A packet is decided otherwise than if the state had been told in one go.",
        IsDegraded: "An object is Degraded that should not be.",
        NotAsFromScratch: "The rows tell how the state was reached.",
        NotAsGolden: "Rows are wanted that should not be.",
        Fails: "The driver fails.",
        Judged: "A program finds fault with the stream.",
    }[type(symptom)]


def _body(symptom: Symptom, smaller: Smaller, opened: str) -> list[str]:
    match symptom:
        case WrongVerdict(expected=None):
            before = f"{opened[:-1]}, after={smaller.good})"
            packet = f"packet = {dict(symptom.packet)!r}"
            return [packet, f"with {before} as stream:", "    before = stream.send(**packet)", f"with {opened} as stream:",
                    "    assert stream.send(**packet)[:2] == before[:2]"]  # fmt: skip
        case WrongVerdict():
            return [f"with {opened} as stream:", f"    assert stream.send(**{dict(symptom.packet)!r}).verdict == {symptom.expected!r}"]
        case OtherwiseFresh():
            return [f"packet = {dict(symptom.packet)!r}", f"with {opened} as stream, stream.fresh() as fresh:",
                    "    assert stream.send(**packet)[:2] == fresh.send(**packet)[:2]"]  # fmt: skip
        case IsDegraded():
            name = smaller.shown[0].object
            return [f"with {opened} as stream:", f"    assert not [line for line in stream.degraded() if line.startswith({name + ': '!r})]"]
        case NotAsFromScratch():
            return [f"with {opened} as stream:", "    assert stream.rows() == stream.rows_from_scratch()"]
        case NotAsGolden():
            wrong: list[Any] = [line[2:] for line in smaller.shown if line[0] == "+"]
            return [f"with {opened} as stream:", f"    assert not {set(wrong)!r} & set(stream.rows())"]
        case Judged():
            command = f"{symptom.command!r}.replace('{{}}', str(RECORDING))"
            return ["import subprocess", "", f"assert subprocess.run({command}, shell=True, check=False).returncode == 0"]
        case _:
            return [f"with {opened} as stream:", "    assert stream.converged"]
