"""P4Runtime's messages as the rest of the code gets them."""

import pytest

from k8s_p4 import p4rt
from k8s_p4.p4rt import p4d, p4i, p4r, p4t


def test_messages_are_those_of_the_specification() -> None:
    entry = p4r.TableEntry(table_id=3, priority=2)
    entry.match.add(field_id=1).ternary.mask = b"\xff"
    assert p4r.TableEntry.FromString(entry.SerializeToString()) == entry
    assert entry.SerializeToString() == bytes.fromhex("0803 1207 0801 1a03 1201ff 2002".replace(" ", ""))
    assert (p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE) == (1, 2, 3)
    assert p4i.MatchField.LPM == 3
    assert p4d.P4Data.DESCRIPTOR.full_name == "p4.v1.P4Data"
    assert p4t.P4TypeInfo.DESCRIPTOR.full_name == "p4.config.v1.P4TypeInfo"


def test_they_are_as_fast_as_any() -> None:
    """Messages of the C implementation are not plain Python classes: that would be some twenty times slower."""
    from google.protobuf.internal import api_implementation

    if api_implementation.Type() == "python":
        pytest.skip("the installed protobuf has no C implementation at all")
    assert not hasattr(p4r.TableEntry(), "_fields")


def test_every_method_of_the_service_has_its_path() -> None:
    assert {name: method.path for name, method in p4rt.METHODS.items()} == {
        name: f"/p4.v1.P4Runtime/{name}"
        for name in ("Write", "Read", "SetForwardingPipelineConfig", "GetForwardingPipelineConfig", "StreamChannel", "Capabilities")
    }
    streaming = {name for name, method in p4rt.METHODS.items() if method.server_streaming}
    assert streaming == {"Read", "StreamChannel"}
    assert p4rt.METHODS["StreamChannel"].client_streaming and not p4rt.METHODS["Read"].client_streaming


def test_the_detour_is_still_needed() -> None:
    """Fails when a release of the p4runtime package can be imported as it is: then k8s_p4.p4rt can use its stubs."""
    assert not p4rt.upstream_imports()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p4rt.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(p4rt.P4RuntimePackageError, match="p4.v1.p4runtime.*'p4runtime' installed"):
        p4rt._stub_path("p4.v1.p4runtime")
