"""What the intent means in tables: pure functions and indices, intent to rows. No clock, no file, no network."""

from .compose import Translator
from .degraded import Degraded

__all__ = ["Degraded", "Translator"]
