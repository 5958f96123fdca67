"""What the converter keeps to be shared: what is in use, and little of what came and went."""

from felix_proto.convert import _RECENT, _Recent


def test_what_is_in_use_stays_and_what_came_and_went_does_not() -> None:
    recent: _Recent[str, object] = _Recent()
    used = object()
    recent.put("used", used)
    for number in range(10 * _RECENT):
        recent.put(f"passing {number}", object())
        assert recent.get("used") is used
    assert len(recent._younger) + len(recent._older) <= 2 * _RECENT
    assert recent.get("passing 0") is None and recent.get(f"passing {10 * _RECENT - 1}") is not None
