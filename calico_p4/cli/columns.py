"""Tables that fit: columns aligned, at most WIDTH wide, what is cut ends in a dot-dot-dot; nothing is cut in the other formats."""

import re
from collections.abc import Iterator, Sequence

WIDTH = 120
_GAP = "  "
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{16}\b")


def fitted(rows: Sequence[Sequence[str]], width: int = WIDTH, indent: str = "") -> Iterator[str]:
    """Yield the rows, the first of which is the head, with the widest columns made narrower until everything fits."""
    shown = [[shorten(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    over = len(indent) + sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        widest = max(range(len(widths)), key=lambda column: widths[column])
        second = max((size for column, size in enumerate(widths) if column != widest), default=0)
        cut = max(1, min(over, widths[widest] - second))
        widths[widest] -= cut
        over -= cut
    for row in shown:
        yield (indent + _GAP.join(_cell(cell, size) for cell, size in zip(row, widths, strict=True))).rstrip()


def shorten(text: str) -> str:
    """Return a text with the digests that stand for chains and lists cut to eight digits."""
    return _DIGEST.sub(r"\1", text)


def _cell(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def wrapped(label: str, text: str, indent: int, width: int = WIDTH) -> Iterator[str]:
    """Yield a labelled paragraph, continued under itself."""
    from textwrap import wrap

    head = label.ljust(indent)
    for line in wrap(text, width - indent, break_on_hyphens=False) or [""]:
        yield (head + line).rstrip()
        head = " " * indent
