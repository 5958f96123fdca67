"""Work in proportion to the change, and the encoding at its extremes: rows counted, not only verdicts."""

import statistics

import pytest

from felix_proto.types import IPSetDeltaUpdate, PortRange, Rule
from test.support.policy_state import State, addresses, endpoint, net_set, policy, profile


def in_set(name: str, action: str = "allow", **fields: object) -> Rule:
    return Rule(action, src_ip_set_ids=(name,), **fields)  # type: ignore[arg-type]


def cluster(members: int, endpoints: int = 100) -> State:
    """Endpoints under two policies: one names a set of ``members`` addresses, the other half of them."""
    all_members = addresses(members)
    return State([
        net_set("all", all_members), net_set("half", all_members[: members // 2]), profile(),
        policy("a", [in_set("all", protocol=6, dst_ports=(PortRange(80, 80),))], [Rule("allow", dst_ip_set_ids=("all",))]),
        policy("b", [in_set("half", protocol=17)]),
        *(endpoint(n, ["a", "b"], ["a"]) for n in range(endpoints)),
    ])  # fmt: skip


def join_and_leave(state: State, rounds: int) -> list[float]:
    seconds = []
    for n in range(rounds):
        member = addresses(1, 0x0C000000 + n)
        cost = state.change(IPSetDeltaUpdate("all", member, ()))
        assert len(cost) <= 4, cost.tables
        assert set(cost.tables) == {"src_identity_host_v4", "dst_identity_host_v4"}
        seconds.append(cost.seconds)
        state.change(IPSetDeltaUpdate("all", (), member))
    return seconds


def test_a_member_with_a_known_combination_costs_the_same_in_a_big_set():
    """At most four rows, and at most 1.2 times the time; the fastest of many rounds, taken in turns, stands for the work."""
    small, big = cluster(1_000), cluster(100_000)
    join_and_leave(small, 20), join_and_leave(big, 20)
    ratios = [min(join_and_leave(big, 100)) / min(join_and_leave(small, 100)) for _ in range(7)]
    print(f"one member, 100,000 against 1,000: {statistics.median(ratios):.2f} times")
    assert min(ratios) <= 1.2


def test_a_cidr_over_20000_known_addresses_touches_no_host_row():
    state = cluster(20_000)
    state.change(policy("c", [Rule("deny", src_net=("11.0.0.0/16",))]))
    cost = state.change(*(endpoint(n, ["a", "b", "c"], ["a"]) for n in range(100)))
    assert cost.tables.get("src_identity_host_v4", 0) == 0
    assert cost.tables["src_identity_net_v4"] == 1
    assert "dst_identity_net_v4" not in cost.tables
    print("rows for a rule with a CIDR over 20,000 addresses:", cost.tables)


def test_a_rule_edit_is_flat_in_unrelated_members():
    def edited(unrelated: int) -> tuple[int, float]:
        state = cluster(1_000)
        state.change(net_set("u1", addresses(unrelated, 0x20000000)), net_set("u2", addresses(unrelated, 0x20000800)),
                     policy("other", [in_set("u1"), in_set("u2", "deny")]), endpoint(900, ["other"]))  # fmt: skip
        best = []
        for port in range(40):
            cost = state.change(policy("b", [in_set("half", protocol=17, dst_ports=(PortRange(port, port),))]))
            best.append(cost.seconds)
        return len(cost), min(best)

    (rows, seconds), (rows_big, seconds_big) = edited(100), edited(100_000)
    print(f"one rule edited: {rows} rows; with 100,000 unrelated members {seconds_big / seconds:.2f} times the time")
    assert rows == rows_big
    assert seconds_big <= 2 * seconds


def test_a_repeated_object_writes_nothing():
    state = cluster(100)
    assert len(state.change(policy("b", [in_set("half", protocol=17)]), endpoint(3, ["a", "b"], ["a"]))) == 0
    assert len(state.rest()) == 0


def test_endpoints_with_the_same_policies_share_chain_and_lists():
    one, many = cluster(50, endpoints=1), cluster(50, endpoints=100)
    for table in ("ingress.rules", "ingress.peer_class", "egress.rules", "egress.peer_class"):
        assert one.count(table) == many.count(table)
    assert many.count("ingress.binding") == 100


def test_equal_chains_of_different_endpoints_share_lists_by_content():
    rules = [Rule("allow", protocol=6, dst_ports=(PortRange(1, 1000),))]
    state = State([profile(), policy("a", rules), endpoint(1, ["a"]), endpoint(2, ["a"], ["a"])])
    assert state.count("ingress.rules") == State([profile(), policy("a", rules), endpoint(1, ["a"])]).count("ingress.rules")


@pytest.mark.parametrize("passes", [10, 100])
def test_passes_with_ports_before_other_rules_do_not_multiply(passes):
    """Each pass meets only the rules of the next tier that can hold for its port."""
    inbound = [Rule("pass", protocol=6, dst_ports=(PortRange(p, p),)) for p in range(1000, 1000 + passes)]
    state = State([
        profile(), policy("t1", inbound, tier="first"),
        policy("t2", [Rule("allow", protocol=6, dst_ports=(PortRange(p, p),)) for p in range(1000, 1000 + passes)]),
        endpoint_of_two_tiers(1),
    ])  # fmt: skip
    print(f"{passes} passes with ports before {passes} rules with ports: {state.count('ingress.rules')} rows")
    assert state.count("ingress.rules") <= 4 * passes + 10


def endpoint_of_two_tiers(number: int):
    update = endpoint(number, ["t2"])
    first = endpoint(number, ["t1"], tier="first").endpoint.tiers
    return update._replace(endpoint=update.endpoint._replace(tiers=(*first, *update.endpoint.tiers)))


@pytest.mark.parametrize("logs", [5, 50])
def test_log_rules_with_ports_anywhere_do_not_multiply(logs):
    inbound = []
    for p in range(logs):
        inbound += [Rule("log", protocol=6, dst_ports=(PortRange(p, p),)), Rule("allow", protocol=6, dst_ports=(PortRange(p, p),))]
    state = State([profile(), policy("a", inbound), endpoint(1, ["a"])])
    print(f"{logs} log rules with ports: {state.count('ingress.rules')} rows")
    assert state.count("ingress.rules") <= 3 * logs + 5


def test_overlapping_log_ranges_do_not_double():
    logs = [Rule("log", protocol=6, dst_ports=(PortRange(100 * n, 100 * n + 5000),)) for n in range(30)]
    allows = [Rule("allow", protocol=6, dst_ports=(PortRange(300 * n, 300 * n + 200),)) for n in range(30)]
    state = State([profile(), policy("a", logs + allows), endpoint(1, ["a"])])
    print(f"30 overlapping log ranges before 30 ranges: {state.count('ingress.rules')} rows")
    assert state.part.stages["ingress"].errors == {}
    assert state.count("ingress.rules") <= 30_000


def test_overlapping_passes_through_many_tiers_do_not_multiply():
    def passing(tier: int) -> list[Rule]:
        return [Rule("pass", protocol=6, dst_ports=(PortRange(1000 * tier + 100 * n, 1000 * tier + 100 * n + 8000),)) for n in range(10)]

    tiers = tuple(tier for n in range(8) for tier in endpoint(1, [f"p{n}"], tier=f"t{n}").endpoint.tiers)
    update = endpoint(1)
    chain = update._replace(endpoint=update.endpoint._replace(tiers=tiers))
    state = State([profile(), *(policy(f"p{n}", passing(n), tier=f"t{n}") for n in range(8)), chain])
    print(f"8 tiers of 10 overlapping passes: {state.count('ingress.rules')} rows")
    assert state.part.stages["ingress"].errors == {}
    assert state.count("ingress.rules") <= 30_000


def test_thousands_of_identities_in_one_chain_are_rows_of_one_table():
    sets = [net_set(f"s{n}", addresses(3, 0x0B000000 + 4 * n)) for n in range(2000)]
    rules = [in_set(f"s{n}", protocol=6, dst_ports=(PortRange(n + 1, n + 1),)) for n in range(2000)]
    state = State([*sets, profile(), policy("a", rules), endpoint(1, ["a"])])
    print(f"2,000 rules with a set each: {state.count('ingress.peer_class')} peer rows, {state.count('ingress.rules')} list rows")
    assert state.count("src_identity_host_v4") == 6000
    assert state.count("ingress.peer_class") == 2000
    assert state.count("ingress.rules") <= 3 * 2000 + 10


def test_many_tiers_in_a_chain_add_no_rows_of_their_own():
    tiers = tuple(tier for n in range(200) for tier in endpoint(1, [f"p{n}"], tier=f"t{n}").endpoint.tiers)
    update = endpoint(1)
    chain = update._replace(endpoint=update.endpoint._replace(tiers=tiers))
    passing = [policy(f"p{n}", [Rule("pass")], tier=f"t{n}") for n in range(199)]
    state = State([profile(), *passing, policy("p199", [Rule("allow", protocol=6)], tier="t199"), chain])
    assert state.count("ingress.rules") == 2


def test_own_side_criteria_choose_a_variant_and_nothing_else():
    rules = [Rule("allow", dst_net=("10.65.0.1/32",), protocol=6), Rule("deny", dst_net=("10.65.0.2/32",))]
    state = State([profile(), policy("a", rules), *(endpoint(n, ["a"]) for n in range(50))])
    assert state.count("ingress.self_class") == 2
    assert state.count("dst_identity_host_v4") == 2


@pytest.mark.parametrize(("low", "high", "rows"), [(1, 65534, 3), (0, 65535, 1), (1024, 65535, 2), (9000, 9100, 6), (80, 80, 1)])
def test_a_port_range_is_the_fewest_prefixes_or_what_it_leaves_out(low, high, rows):
    state = State([profile(), policy("a", [Rule("allow", protocol=6, dst_ports=(PortRange(low, high),))]), endpoint(1, ["a"])])
    assert state.count("ingress.rules") == rows + 1
