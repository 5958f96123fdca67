"""The ``policy`` list of an answer, made of paths and an endpoint."""

from calico_p4.decisions import decision, is_default
from felix_proto.types import PolicyID, TierInfo, WorkloadEndpoint, WorkloadEndpointID
from translator.rules import Ref

WEB, STAGED, DENY = (PolicyID("NetworkPolicy", "shop", f"default.{name}") for name in ("web", "staged", "deny"))
STAGED = STAGED._replace(kind="StagedNetworkPolicy")
ENDPOINT = WorkloadEndpoint(
    WorkloadEndpointID("k8s", "shop/web-1", "eth0"),
    profile_ids=("kns.shop", "ksa.shop.default"),
    tiers=(TierInfo("security", (), (DENY,)), TierInfo("default", (STAGED, DENY, WEB), (WEB,), "Deny")),
)


def test_a_rule_is_named_and_counted_among_the_live_policies_of_its_direction():
    ingress = decision("ingress", [Ref("policy", "ingress", "allow", WEB, "default", 3, "hash")], ENDPOINT)
    assert ingress == {
        "stage": "ingress", "action": "allow", "kind": "NetworkPolicy", "namespace": "shop", "name": "default.web", "tier": "default",
        "policy_index": 1, "rule_index": 3, "rule_id": "hash", "passed": [],
    }  # fmt: skip
    egress = decision("egress", [Ref("policy", "egress", "deny", WEB, "default", 0, "")], ENDPOINT)
    assert (egress["policy_index"], egress["rule_index"], egress["action"]) == (0, 0, "deny")


def test_what_was_passed_on_the_way_comes_with_it():
    path = [Ref("policy", "egress", "log", DENY, "security", 0), Ref("policy", "egress", "pass", DENY, "security", 1),
            Ref("profile", "egress", "allow", "ksa.shop.default", "", 0)]  # fmt: skip
    found = decision("egress", path, ENDPOINT)
    assert [(rule["action"], rule["name"], rule["policy_index"], rule["rule_index"]) for rule in found["passed"]] == [
        ("log", "default.deny", 0, 0), ("pass", "default.deny", 0, 1),
    ]  # fmt: skip
    assert (found["kind"], found["name"], found["tier"], found["policy_index"], found["rule_index"]) == (
        "Profile", "ksa.shop.default", None, 1, 0,
    )  # fmt: skip
    assert not is_default(path)


def test_the_end_of_a_tier_names_its_trigger():
    path = [Ref("tier_end", "ingress", "deny", DENY, "default")]
    found = decision("ingress", path, ENDPOINT)
    assert (found["kind"], found["name"], found["tier"], found["policy_index"], found["rule_index"]) == ("EndOfTier", None, "default", None, None)
    assert found["trigger"] == {"kind": "NetworkPolicy", "namespace": "shop", "name": "default.deny", "tier": "default"}
    assert is_default(path)


def test_the_end_of_the_profiles():
    path = [Ref("profiles_end", "egress", "deny")]
    found = decision("egress", path, ENDPOINT)
    assert (found["kind"], found["name"], found["action"]) == ("EndOfProfiles", None, "deny") and is_default(path)


def test_names_up_to_3_31_have_neither_kind_nor_namespace():
    old = PolicyID("", "", "shop/knp.default.web", "default")
    endpoint = WorkloadEndpoint(ENDPOINT.id, tiers=(TierInfo("default", (old,)),))
    found = decision("ingress", [Ref("policy", "ingress", "allow", old, "default", 0)], endpoint)
    assert (found["kind"], found["namespace"], found["name"], found["tier"], found["policy_index"]) == (
        None, None, "shop/knp.default.web", "default", 0,
    )  # fmt: skip
