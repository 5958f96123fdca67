"""The checks of a replay as JUnit XML, as CI systems read it: one test suite, one test case for each check."""

from typing import Any
from xml.etree import ElementTree as ET


def junit(report: dict[str, Any]) -> str:
    """Return the XML of a report."""
    checks = report["checks"]
    failures = [check for check in checks if not check["ok"]]
    counts = {"tests": str(len(checks)), "failures": str(len(failures)), "errors": "0", "skipped": "0"}
    suite = ET.Element("testsuite", {"name": f"calico-p4 replay {report['recording']}", "time": f"{report['timing']['total_ms'] / 1000:.3f}", **counts})
    for check in checks:
        case = ET.SubElement(suite, "testcase", {"classname": report["recording"], "name": check["name"], "time": "0"})
        if not check["ok"]:
            failure = ET.SubElement(case, "failure", {"message": _clean(check["text"].partition("\n")[0])})
            failure.text = _clean(check["text"])
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    """Return a text without the characters that XML can't hold."""
    return "".join(character if character in "\t\n" or character >= " " else "?" for character in text)
