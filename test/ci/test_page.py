"""The report as a page, in a browser: it shows the numbers of the JSON, and fits."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calico_p4.cli.replay import command as replay
from test.support.shared import ROOT, recording_path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH: the page is not opened")
WIDTH = 1180


class Tables(HTMLParser):
    """Texts of a page by the id of the element that holds them: cells of tables, or one text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.texts: dict[str, str] = {}
        self._table, self._cell, self._id = "", False, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs).get("id") or ""
        if tag == "table" or named == "entries-by-table":
            self._table = named
            self.rows[named] = []
        elif tag == "tr" or (tag == "div" and self._table == "entries-by-table"):
            self.rows[self._table].append([])
        elif tag in ("td", "th", "span", "b") and self._table and not (tag == "span" and self._cell):
            self.rows[self._table][-1].append("")
            self._cell = True
        elif named:
            self._id = named
            self.texts[named] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") or (self._table == "entries-by-table" and tag in ("span", "b")):
            self._cell = False
        elif tag == "table":
            self._table = ""
        self._id = "" if tag in ("b", "script") else self._id

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[self._table][-1][-1] += data
        elif self._id:
            self.texts[self._id] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return a page and the report as JSON, of one run."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "config.json").write_text('{"VXLANPort": "4790"}')  # something Degraded
    arguments = [recording_path("churn.felixstream"), "--until", 300, "--flush", 1, "--budget", "p99=60s", "--golden", folder / "none", "--config", folder / "config.json",
                 "--packets", ROOT / "test/recordings/quickstart.packets.json", "--html", folder / "page.html", "--report", folder / "report.json"]  # fmt: skip
    assert CliRunner().invoke(replay, list(map(str, arguments))).exit_code == 3
    return folder / "page.html", json.loads((folder / "report.json").read_text())


def browse(*arguments: str) -> subprocess.CompletedProcess:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},2400", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@needs_browser
def test_the_page_shows_the_numbers_of_the_json(page: tuple[Path, dict[str, Any]]):
    path, report = page
    shown = Tables()
    shown.feed(browse("--dump-dom", path.as_uri()).stdout)
    assert json.loads(shown.texts["report"]) == report
    ms = "{:.3f}".format
    facts = {"frames": report["frames"], "entries": sum(report["entries"].values()), **report["writes"],
             "total_ms": ms(report["timing"]["total_ms"]), "insync_ms": ms(report["timing"]["insync_ms"])}  # fmt: skip
    assert {name: shown.texts[name] for name in facts} == {name: str(value) for name, value in facts.items()}
    assert dict(shown.rows["entries-by-table"]) == {name: str(count) for name, count in report["entries"].items()}
    latency = {row[0]: row[1:] for row in shown.rows["latency"][1:]}
    assert latency == {kind: [str(found["count"]), *(ms(found[share]) for share in ("p50", "p90", "p99", "max"))]
                       for kind, found in report["timing"]["latency_ms"].items()}  # fmt: skip
    assert [row[:4] for row in shown.rows["verdicts"][1:]] == [[each["id"], each["verdict"], each["reason"], each["out"] or "-"] for each in report["verdicts"]]
    assert [row[0] + row[1] for row in shown.rows["slowest"][1:]] == [f"{each['frame']}{each['kind']}" for each in report["slowest"]]
    assert {row[0]: row[1] for row in shown.rows["checks"][1:]} == {each["name"]: "passed" if each["ok"] else "failed" for each in report["checks"]}
    assert len(shown.rows["degraded"]) - 1 == len(report["degraded"])


@needs_browser
def test_the_page_fits_and_is_not_blank(page: tuple[Path, dict[str, Any]], tmp_path: Path):
    path, _ = page
    measuring = tmp_path / "measuring.html"
    script = "<script>document.title = document.documentElement.scrollWidth + ' ' + document.querySelector('polyline').getBBox().width</script></body>"
    measuring.write_text(path.read_text().replace("</body>", script))
    width, line = map(float, re.search(r"<title>([\d.]+) ([\d.]+)</title>", browse("--dump-dom", measuring.as_uri()).stdout).groups())
    assert width <= WIDTH and line > 300
    picture = tmp_path / "page.png"
    browse(f"--screenshot={picture}", path.as_uri())
    assert picture.stat().st_size > 40_000


def test_the_page_is_one_file_and_runs_nothing(page: tuple[Path, dict[str, Any]]):
    text = page[0].read_text()
    assert not re.search(r"(?:src|href)=|@import|url\(", text)
    assert re.findall(r"<script[^>]*>", text) == ['<script type="application/json" id="report">']


def test_names_cannot_break_the_page(tmp_path: Path):
    packets = tmp_path / "packets.json"
    packets.write_text(json.dumps([{"id": "</script><b>&", "proto": "tcp", "src": "10.0.0.1", "dst": "10.0.0.2"}]))
    assert CliRunner().invoke(replay, [str(recording_path("quickstart.felixstream")), "--packets", str(packets), "--html", str(tmp_path / "p")]).exit_code == 0
    text = (tmp_path / "p").read_text()
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in text and text.count("</script>") == 1


def test_the_picture_in_the_documents_is_there():
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 40_000
