"""Where the recordings are: the small ones beside the tests, the whole collection outside the checkout.

The whole collection (recordings, conformance data) is too large to be kept here. It is looked for in the directory named by the
environment variable ``CALICO_P4_SHARED``, else in ``../shared`` next to the checkout. Tests that need it are marked
``@needs_shared`` and are skipped, with the reason, where it is absent.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "test" / "recordings"
VARIABLE = "CALICO_P4_SHARED"


def shared_path(*parts: str) -> Path:
    """Return the path of ``parts`` inside the shared collection, whether or not it exists."""
    return Path(os.environ.get(VARIABLE) or ROOT.parent / "shared").joinpath(*parts)


def have_shared() -> bool:
    """Tell whether the shared collection is there."""
    return shared_path("recordings").is_dir()


needs_shared = pytest.mark.skipif(
    not have_shared(),
    reason=f"no recordings in {shared_path()}: set {VARIABLE} or put the collection in ../shared next to the checkout",
)


def recording_path(name: str) -> Path:
    """Return the path of a recording by file name, e.g. ``quickstart.felixstream``.

    The copy in ``test/recordings`` is preferred; otherwise the shared collection's. Skips the test if neither has it.
    """
    for path in (RECORDINGS / name, shared_path("recordings", name)):
        if path.is_file():
            return path
    pytest.skip(f"recording {name} is neither in {RECORDINGS} nor in {shared_path('recordings')}")


def shared_recordings() -> list[Path]:
    """Return every recording of the shared collection, sorted; an empty list where it is absent."""
    folder = shared_path("recordings")
    return sorted(p for p in folder.glob("*.felixstream*") if p.is_file()) if folder.is_dir() else []
