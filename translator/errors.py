"""What cannot be translated is a value, with the place and the text."""

from __future__ import annotations


class Untranslatable(ValueError):
    """Part of an object has no rows. ``str()`` names the field and the offending text."""


class UnknownSet(Untranslatable):
    """A rule names an IP set that was never sent, or was removed."""
