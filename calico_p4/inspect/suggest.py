"""Answers to names that are none: "did you mean"."""

from collections.abc import Iterable


class Unknown(Exception):
    """A name that nothing has; the text says what was meant, perhaps, or what there is."""


def unknown(what: str, name: str, known: Iterable[str]) -> Unknown:
    """Return the error for ``name``, which is no ``what``, with the nearest of ``known`` or, where they are few, all of them."""
    from difflib import get_close_matches

    known = sorted(set(known))
    lowered = {text.lower(): text for text in known}
    near = [lowered[match] for match in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    near = near or [text for text in known if name and (name.lower() in text.lower())][:3]
    if near:
        return Unknown(f"no {what} {name!r}; did you mean {' or '.join(near)}?")
    if not known:
        return Unknown(f"no {what} {name!r}; there is none at all")
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return Unknown(f"no {what} {name!r}; there are: {listed}")
