"""A line chart as SVG: steps, axes with round numbers, no colours that matter."""

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 1050, 280, 70, 45, 14, 20
_MOST = 1000
"""Points drawn; of more, evenly spread ones and the last."""
Point = tuple[float, float]


def line_chart(points: Sequence[Point], x_label: str, y_label: str) -> str:
    """Return a chart of values that hold until the next point, from 0 on both axes; at least one point."""
    most_x, most_y = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    x_ticks, y_ticks = list(ticks(most_x)), list(ticks(most_y))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> Point:
        return _LEFT + wide * x / x_ticks[-1], _TOP + high * (1 - y / y_ticks[-1])

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{escape(y_label)} over {escape(x_label)}">']
    for y in y_ticks:
        _, level = place(0, y)
        parts.append(f'<line x1="{_LEFT}" y1="{level:.1f}" x2="{_WIDTH - _RIGHT}" y2="{level:.1f}" stroke="#e3e6ed"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{y:,.10g}</text>')
    for x in x_ticks:
        at, _ = place(x, 0)
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{x:.10g}</text>')
    parts.append(f'<text x="{_LEFT + wide / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 3}">{escape(y_label)}</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _steps([place(*point) for point in [(0.0, 0.0), *_thinned(points)]]))
    parts.append(f'<polyline points="{path}" fill="none" stroke="#2a5bd7" stroke-width="2"/></svg>')
    return "\n".join(parts)


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= _MOST:
        return points
    return [*(points[place * len(points) // _MOST] for place in range(_MOST)), points[-1]]


def _steps(points: Sequence[Point]) -> Iterator[Point]:
    before = None
    for x, y in points:
        if before is not None:
            yield x, before
        yield x, y
        before = y


def ticks(most: float, about: int = 5) -> Iterator[float]:
    """Yield round numbers from 0 to the first that is not less than ``most`` (> 0)."""
    rough = most / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    yield from (number * step for number in range(ceil(most / step - 1e-9) + 1))
