"""The transcripts of docs/questions.md: each command prints what the document shows."""

import pytest

from test.support.shared import ROOT
from test.support.transcripts import Transcript, agrees, printed, transcripts

DOCUMENT = ROOT / "docs" / "questions.md"


@pytest.mark.parametrize("transcript", transcripts(DOCUMENT), ids=lambda transcript: transcript.command[:60])
def test_a_command_prints_what_the_document_shows(transcript: Transcript):
    status, lines = printed(transcript.command)
    assert status in (0, 1), lines
    assert agrees(transcript.shown, lines), "\n".join(lines)


def test_ten_questions_are_asked():
    assert DOCUMENT.read_text().count("\n## ") == 10 and len(transcripts(DOCUMENT)) >= 10
    tables = [each for each in transcripts(DOCUMENT) if each.command.startswith(("trace", "top", "check", "diff", "get degraded"))]
    assert len(tables) >= 7 and all(len(line) <= 120 for each in tables for line in each.shown)


def test_the_comparison_sees_a_difference():
    assert agrees(["a", "[...]"], ["a", "b", "c"]) and agrees(["a", "[...]", "c"], ["a", "b", "c"]) and agrees(["a"], ["a"])
    assert not agrees(["a"], ["a", "b"]) and not agrees(["a", "[...]", "d"], ["a", "b", "c"]) and not agrees(["b", "[...]"], ["a", "b"])
