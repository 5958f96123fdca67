"""Tables and counters of the pipeline as plain data.

Generated from the P4Info by `python -m k8s_p4.compile`; do not edit.
"""

from __future__ import annotations

from k8s_p4.fields import Action, Field, TableSchema

TABLES: dict[str, TableSchema] = {
    "port": TableSchema(
        0x02010001,
        1024,
        (
            Field("ingress_port", 1, 32, "exact"),
        ),
        (
            Action("workload", 0x01010001, (Field("endpoint", 1, 32, "param"), Field("flags", 2, 8, "param"), Field("host_endpoint", 3, 32, "param"), Field("incarnation", 4, 32, "param"))),
            Action("workload_closed", 0x01010002, (Field("endpoint", 1, 32, "param"), Field("reason", 2, 8, "param"))),
            Action("host", 0x01010003, ()),
            Action("uplink", 0x01010004, (Field("host_endpoint", 1, 32, "param"),)),
            Action("tunnel_device", 0x01010006, (Field("host_endpoint", 1, 32, "param"),)),
        ),
    ),
    "arp_answer": TableSchema(
        0x02020001,
        64,
        (
            Field("target", 1, 32, "exact"),
        ),
        (
            Action("arp_reply", 0x01020001, (Field("mac", 1, 48, "param"),)),
        ),
    ),
    "nd_answer": TableSchema(
        0x02020002,
        64,
        (
            Field("target", 1, 128, "exact"),
        ),
        (
            Action("nd_reply", 0x01020002, (Field("mac", 1, 48, "param"),)),
        ),
    ),
    "answer_port": TableSchema(
        0x02020003,
        1024,
        (
            Field("ingress_port", 1, 32, "exact"),
        ),
        (
            Action("send_back", 0x01020005, (Field("port", 1, 32, "param"),)),
        ),
    ),
    "source_host_v4": TableSchema(
        0x02030001,
        16384,
        (
            Field("endpoint", 1, 32, "exact"),
            Field("address", 2, 32, "exact"),
        ),
        (
            Action("source_ok", 0x01030001, ()),
        ),
    ),
    "source_net_v4": TableSchema(
        0x02030002,
        4096,
        (
            Field("endpoint", 1, 32, "exact"),
            Field("prefix", 2, 32, "lpm"),
        ),
        (
            Action("source_ok", 0x01030001, ()),
        ),
    ),
    "source_host_v6": TableSchema(
        0x02030003,
        16384,
        (
            Field("endpoint", 1, 32, "exact"),
            Field("address", 2, 128, "exact"),
        ),
        (
            Action("source_ok", 0x01030001, ()),
        ),
    ),
    "source_net_v6": TableSchema(
        0x02030004,
        4096,
        (
            Field("endpoint", 1, 32, "exact"),
            Field("prefix", 2, 128, "lpm"),
        ),
        (
            Action("source_ok", 0x01030001, ()),
        ),
    ),
    "local_v4": TableSchema(
        0x02040001,
        16384,
        (
            Field("address", 1, 32, "exact"),
        ),
        (
            Action("to_workload", 0x01040001, (Field("endpoint", 1, 32, "param"), Field("next_hop", 2, 32, "param"), Field("incarnation", 3, 32, "param"))),
            Action("to_workload_closed", 0x01040002, (Field("endpoint", 1, 32, "param"), Field("reason", 2, 8, "param"), Field("incarnation", 3, 32, "param"))),
            Action("to_host", 0x01040003, (Field("next_hop", 1, 32, "param"), Field("from_workload", 2, 8, "param"))),
        ),
    ),
    "local_v6": TableSchema(
        0x02040003,
        16384,
        (
            Field("address", 1, 128, "exact"),
        ),
        (
            Action("to_workload", 0x01040001, (Field("endpoint", 1, 32, "param"), Field("next_hop", 2, 32, "param"), Field("incarnation", 3, 32, "param"))),
            Action("to_workload_closed", 0x01040002, (Field("endpoint", 1, 32, "param"), Field("reason", 2, 8, "param"), Field("incarnation", 3, 32, "param"))),
            Action("to_host", 0x01040003, (Field("next_hop", 1, 32, "param"), Field("from_workload", 2, 8, "param"))),
        ),
    ),
    "route_v4": TableSchema(
        0x02040002,
        262144,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("to_uplink", 0x01040004, (Field("next_hop", 1, 32, "param"),)),
            Action("to_tunnel", 0x01040008, (Field("tunnel", 1, 32, "param"),)),
            Action("blackhole", 0x01040005, ()),
        ),
    ),
    "route_v6": TableSchema(
        0x02040004,
        262144,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("to_uplink", 0x01040004, (Field("next_hop", 1, 32, "param"),)),
            Action("to_tunnel", 0x01040008, (Field("tunnel", 1, 32, "param"),)),
            Action("blackhole", 0x01040005, ()),
        ),
    ),
    "tunnel": TableSchema(
        0x02260007,
        16384,
        (
            Field("tunnel", 1, 32, "exact"),
        ),
        (
            Action("vxlan_v4", 0x01260007, (Field("next_hop", 1, 32, "param"), Field("host_endpoint", 2, 32, "param"), Field("src", 3, 32, "param"), Field("dst", 4, 32, "param"), Field("sum", 5, 16, "param"), Field("vni", 6, 32, "param"), Field("src_mac", 7, 48, "param"), Field("dst_mac", 8, 48, "param"))),
            Action("vxlan_v6", 0x01260008, (Field("next_hop", 1, 32, "param"), Field("host_endpoint", 2, 32, "param"), Field("src", 3, 128, "param"), Field("dst", 4, 128, "param"), Field("sum", 5, 16, "param"), Field("vni", 6, 32, "param"), Field("src_mac", 7, 48, "param"), Field("dst_mac", 8, 48, "param"))),
            Action("ipip", 0x01260009, (Field("next_hop", 1, 32, "param"), Field("host_endpoint", 2, 32, "param"), Field("src", 3, 32, "param"), Field("dst", 4, 32, "param"), Field("sum", 5, 16, "param"))),
        ),
    ),
    "next_hop": TableSchema(
        0x02070001,
        16384,
        (
            Field("next_hop", 1, 32, "exact"),
        ),
        (
            Action("send", 0x01070001, (Field("port", 1, 32, "param"), Field("src_mac", 2, 48, "param"), Field("dst_mac", 3, 48, "param"), Field("host_endpoint", 4, 32, "param"))),
        ),
    ),
    "tunnel_local_v4": TableSchema(
        0x02260001,
        16,
        (
            Field("kind", 1, 8, "exact"),
            Field("address", 2, 32, "exact"),
        ),
        (
            Action("terminate", 0x01260001, (Field("port", 1, 32, "param"), Field("vni", 2, 32, "param"))),
        ),
    ),
    "tunnel_local_v6": TableSchema(
        0x02260002,
        16,
        (
            Field("kind", 1, 8, "exact"),
            Field("address", 2, 128, "exact"),
        ),
        (
            Action("terminate", 0x01260001, (Field("port", 1, 32, "param"), Field("vni", 2, 32, "param"))),
        ),
    ),
    "tunnel_peer_v4": TableSchema(
        0x02260003,
        16384,
        (
            Field("kind", 1, 8, "exact"),
            Field("address", 2, 32, "exact"),
        ),
        (
            Action("from_peer", 0x01260003, (Field("node", 1, 32, "param"),)),
        ),
    ),
    "tunnel_peer_v6": TableSchema(
        0x02260004,
        16384,
        (
            Field("kind", 1, 8, "exact"),
            Field("address", 2, 128, "exact"),
        ),
        (
            Action("from_peer", 0x01260003, (Field("node", 1, 32, "param"),)),
        ),
    ),
    "tunnel_source_v4": TableSchema(
        0x02260005,
        262144,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("behind", 0x01260005, (Field("node", 1, 32, "param"),)),
        ),
    ),
    "tunnel_source_v6": TableSchema(
        0x02260006,
        262144,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("behind", 0x01260005, (Field("node", 1, 32, "param"),)),
        ),
    ),
    "service_loop_v4": TableSchema(
        0x02280001,
        256,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("loops", 0x01280001, ()),
        ),
    ),
    "service_loop_v6": TableSchema(
        0x02280002,
        256,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("loops", 0x01280001, ()),
        ),
    ),
    "dscp": TableSchema(
        0x02270001,
        4096,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("mark", 0x01270001, (Field("dscp", 1, 8, "param"),)),
        ),
    ),
    "cluster_v4": TableSchema(
        0x02270002,
        4096,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("in_cluster", 0x01270003, ()),
        ),
    ),
    "cluster_v6": TableSchema(
        0x02270003,
        4096,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("in_cluster", 0x01270003, ()),
        ),
    ),
    "src_identity_host_v4": TableSchema(
        0x02050001,
        524288,
        (
            Field("address", 1, 32, "exact"),
        ),
        (
            Action("set_identity", 0x01050001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "src_identity_net_v4": TableSchema(
        0x02050002,
        65536,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("set_identity", 0x01050001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "src_identity_host_v6": TableSchema(
        0x02050003,
        524288,
        (
            Field("address", 1, 128, "exact"),
        ),
        (
            Action("set_identity", 0x01050001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "src_identity_net_v6": TableSchema(
        0x02050004,
        65536,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("set_identity", 0x01050001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "dst_identity_host_v4": TableSchema(
        0x02060001,
        524288,
        (
            Field("address", 1, 32, "exact"),
        ),
        (
            Action("set_identity", 0x01060001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "dst_identity_net_v4": TableSchema(
        0x02060002,
        65536,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("set_identity", 0x01060001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "dst_identity_host_v6": TableSchema(
        0x02060003,
        524288,
        (
            Field("address", 1, 128, "exact"),
        ),
        (
            Action("set_identity", 0x01060001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "dst_identity_net_v6": TableSchema(
        0x02060004,
        65536,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("set_identity", 0x01060001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "pre_dst_identity_host_v4": TableSchema(
        0x02080001,
        65536,
        (
            Field("address", 1, 32, "exact"),
        ),
        (
            Action("set_identity", 0x01080001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "pre_dst_identity_net_v4": TableSchema(
        0x02080002,
        65536,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("set_identity", 0x01080001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "pre_dst_identity_host_v6": TableSchema(
        0x02080003,
        65536,
        (
            Field("address", 1, 128, "exact"),
        ),
        (
            Action("set_identity", 0x01080001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "pre_dst_identity_net_v6": TableSchema(
        0x02080004,
        65536,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("set_identity", 0x01080001, (Field("identity", 1, 32, "param"),)),
        ),
    ),
    "host_rule_v4": TableSchema(
        0x02090001,
        16384,
        (
            Field("kind", 1, 8, "exact"),
            Field("protocol", 2, 8, "exact"),
            Field("port", 3, 16, "exact"),
            Field("prefix", 4, 32, "lpm"),
        ),
        (
            Action("failsafe", 0x01090001, (Field("slot", 1, 32, "param"),)),
            Action("tunnelled", 0x01090002, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "host_rule_v6": TableSchema(
        0x02090002,
        16384,
        (
            Field("kind", 1, 8, "exact"),
            Field("protocol", 2, 8, "exact"),
            Field("port", 3, 16, "exact"),
            Field("prefix", 4, 128, "lpm"),
        ),
        (
            Action("failsafe", 0x01090001, (Field("slot", 1, 32, "param"),)),
            Action("tunnelled", 0x01090002, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "untracked_ingress.binding": TableSchema(
        0x02120001,
        1024,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01120001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0112000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "untracked_ingress.self_class": TableSchema(
        0x02120002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01120002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "untracked_ingress.peer_class": TableSchema(
        0x02120003,
        65536,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01120003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "untracked_ingress.rules": TableSchema(
        0x02120004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01120004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01120005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01120009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "untracked_egress.binding": TableSchema(
        0x02130001,
        1024,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01130001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0113000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "untracked_egress.self_class": TableSchema(
        0x02130002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01130002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "untracked_egress.peer_class": TableSchema(
        0x02130003,
        65536,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01130003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "untracked_egress.rules": TableSchema(
        0x02130004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01130004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01130005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01130009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "pre_dnat.binding": TableSchema(
        0x02140001,
        1024,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01140001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0114000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "pre_dnat.self_class": TableSchema(
        0x02140002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01140002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "pre_dnat.peer_class": TableSchema(
        0x02140003,
        65536,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01140003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "pre_dnat.rules": TableSchema(
        0x02140004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01140004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01140005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01140009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "forward_ingress.binding": TableSchema(
        0x02150001,
        1024,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01150001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0115000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "forward_ingress.self_class": TableSchema(
        0x02150002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01150002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "forward_ingress.peer_class": TableSchema(
        0x02150003,
        65536,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01150003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "forward_ingress.rules": TableSchema(
        0x02150004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01150004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01150005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01150009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "egress.binding": TableSchema(
        0x02100001,
        4096,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01100001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0110000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "egress.self_class": TableSchema(
        0x02100002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01100002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "egress.peer_class": TableSchema(
        0x02100003,
        262144,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01100003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "egress.rules": TableSchema(
        0x02100004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01100004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01100005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01100009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "ingress.binding": TableSchema(
        0x02110001,
        4096,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01110001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0111000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "ingress.self_class": TableSchema(
        0x02110002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01110002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "ingress.peer_class": TableSchema(
        0x02110003,
        262144,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01110003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "ingress.rules": TableSchema(
        0x02110004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01110004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01110005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01110009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "forward_egress.binding": TableSchema(
        0x02160001,
        1024,
        (
            Field("endpoint", 1, 32, "exact"),
        ),
        (
            Action("bind", 0x01160001, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
            Action("bind_host", 0x0116000B, (Field("chain", 1, 32, "param"), Field("variant", 2, 32, "param"), Field("list", 3, 32, "param"))),
        ),
    ),
    "forward_egress.self_class": TableSchema(
        0x02160002,
        65536,
        (
            Field("chain", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_variant", 0x01160002, (Field("variant", 1, 32, "param"), Field("list", 2, 32, "param"))),
        ),
    ),
    "forward_egress.peer_class": TableSchema(
        0x02160003,
        65536,
        (
            Field("variant", 1, 32, "exact"),
            Field("identity", 2, 32, "exact"),
        ),
        (
            Action("set_list", 0x01160003, (Field("list", 1, 32, "param"),)),
        ),
    ),
    "forward_egress.rules": TableSchema(
        0x02160004,
        262144,
        (
            Field("list", 1, 32, "ternary"),
            Field("ip_version", 2, 8, "ternary"),
            Field("protocol", 3, 8, "ternary"),
            Field("l4_kind", 4, 8, "ternary"),
            Field("src_port", 5, 16, "ternary"),
            Field("dst_port", 6, 16, "ternary"),
            Field("icmp_type", 7, 8, "ternary"),
            Field("icmp_code", 8, 8, "ternary"),
        ),
        (
            Action("allow", 0x01160004, (Field("slot", 1, 32, "param"),)),
            Action("deny", 0x01160005, (Field("slot", 1, 32, "param"),)),
            Action("pass_on", 0x01160009, (Field("slot", 1, 32, "param"),)),
        ),
    ),
    "epoch": TableSchema(
        0x02210021,
        2,
        (
            Field("ip_version", 1, 8, "exact"),
        ),
        (
            Action("policy_is", 0x01210021, (Field("epoch", 1, 32, "param"),)),
        ),
    ),
    "floating_v4": TableSchema(
        0x02220001,
        16384,
        (
            Field("address", 1, 32, "exact"),
        ),
        (
            Action("to_internal_v4", 0x01220001, (Field("address", 1, 32, "param"), Field("source", 2, 32, "param"))),
        ),
    ),
    "service_v4": TableSchema(
        0x02220002,
        131072,
        (
            Field("address", 1, 32, "exact"),
            Field("protocol", 2, 8, "exact"),
            Field("port", 3, 16, "exact"),
        ),
        (
            Action("to_service", 0x01220021, (Field("inside", 1, 32, "param"), Field("inside_mask", 2, 16, "param"), Field("outside", 3, 32, "param"), Field("outside_mask", 4, 16, "param"), Field("flags", 5, 16, "param"))),
        ),
    ),
    "service_source_v4": TableSchema(
        0x02220003,
        16384,
        (
            Field("group", 1, 32, "exact"),
            Field("prefix", 2, 32, "lpm"),
        ),
        (
            Action("source_in_range", 0x01220024, ()),
        ),
    ),
    "backend_v4": TableSchema(
        0x02220004,
        1048576,
        (
            Field("group", 1, 32, "exact"),
            Field("row", 2, 16, "exact"),
        ),
        (
            Action("to_backends_v4", 0x01220002, (Field("address_0", 1, 32, "param"), Field("port_0", 2, 16, "param"), Field("address_1", 3, 32, "param"), Field("port_1", 4, 16, "param"), Field("address_2", 5, 32, "param"), Field("port_2", 6, 16, "param"), Field("address_3", 7, 32, "param"), Field("port_3", 8, 16, "param"))),
        ),
    ),
    "affinity_backend_v4": TableSchema(
        0x02220006,
        131072,
        (
            Field("group", 1, 32, "exact"),
            Field("address", 2, 32, "exact"),
            Field("port", 3, 16, "exact"),
        ),
        (
            Action("still_there", 0x01220027, ()),
        ),
    ),
    "floating_v6": TableSchema(
        0x02220011,
        16384,
        (
            Field("address", 1, 128, "exact"),
        ),
        (
            Action("to_internal_v6", 0x01220011, (Field("address", 1, 128, "param"), Field("high", 2, 64, "param"), Field("low", 3, 64, "param"), Field("source", 4, 128, "param"), Field("source_high", 5, 64, "param"), Field("source_low", 6, 64, "param"))),
        ),
    ),
    "service_v6": TableSchema(
        0x02220012,
        131072,
        (
            Field("address", 1, 128, "exact"),
            Field("protocol", 2, 8, "exact"),
            Field("port", 3, 16, "exact"),
        ),
        (
            Action("to_service", 0x01220021, (Field("inside", 1, 32, "param"), Field("inside_mask", 2, 16, "param"), Field("outside", 3, 32, "param"), Field("outside_mask", 4, 16, "param"), Field("flags", 5, 16, "param"))),
        ),
    ),
    "service_source_v6": TableSchema(
        0x02220013,
        16384,
        (
            Field("group", 1, 32, "exact"),
            Field("prefix", 2, 128, "lpm"),
        ),
        (
            Action("source_in_range", 0x01220024, ()),
        ),
    ),
    "backend_v6": TableSchema(
        0x02220014,
        1048576,
        (
            Field("group", 1, 32, "exact"),
            Field("row", 2, 16, "exact"),
        ),
        (
            Action("to_backends_v6", 0x01220012, (Field("address_0", 1, 128, "param"), Field("high_0", 2, 64, "param"), Field("low_0", 3, 64, "param"), Field("port_0", 4, 16, "param"), Field("address_1", 5, 128, "param"), Field("high_1", 6, 64, "param"), Field("low_1", 7, 64, "param"), Field("port_1", 8, 16, "param"), Field("address_2", 9, 128, "param"), Field("high_2", 10, 64, "param"), Field("low_2", 11, 64, "param"), Field("port_2", 12, 16, "param"), Field("address_3", 13, 128, "param"), Field("high_3", 14, 64, "param"), Field("low_3", 15, 64, "param"), Field("port_3", 16, 16, "param"))),
        ),
    ),
    "affinity_backend_v6": TableSchema(
        0x02220016,
        131072,
        (
            Field("group", 1, 32, "exact"),
            Field("address", 2, 128, "exact"),
            Field("port", 3, 16, "exact"),
        ),
        (
            Action("still_there", 0x01220027, ()),
        ),
    ),
    "connection_limit": TableSchema(
        0x02250002,
        8192,
        (
            Field("owner", 1, 32, "exact"),
        ),
        (
            Action("at_most", 0x01250003, (Field("slots", 1, 32, "param"), Field("mask", 2, 32, "param"))),
        ),
    ),
    "masquerade_v4": TableSchema(
        0x02230001,
        4096,
        (
            Field("prefix", 1, 32, "lpm"),
        ),
        (
            Action("pool", 0x01230001, (Field("flags", 1, 8, "param"),)),
        ),
    ),
    "masquerade_v6": TableSchema(
        0x02230002,
        4096,
        (
            Field("prefix", 1, 128, "lpm"),
        ),
        (
            Action("pool", 0x01230001, (Field("flags", 1, 8, "param"),)),
        ),
    ),
    "masquerade_address_v4": TableSchema(
        0x02230003,
        256,
        (
            Field("to", 1, 8, "exact"),
            Field("candidate", 2, 8, "exact"),
        ),
        (
            Action("masquerade_as_v4", 0x01230003, (Field("address", 1, 32, "param"), Field("first_port", 2, 16, "param"), Field("mask", 3, 16, "param"))),
        ),
    ),
    "masquerade_address_v6": TableSchema(
        0x02230004,
        256,
        (
            Field("to", 1, 8, "exact"),
            Field("candidate", 2, 8, "exact"),
        ),
        (
            Action("masquerade_as_v6", 0x01230004, (Field("address", 1, 128, "param"), Field("high", 2, 64, "param"), Field("low", 3, 64, "param"), Field("first_port", 4, 16, "param"), Field("mask", 5, 16, "param"))),
        ),
    ),
    "reject": TableSchema(
        0x02290001,
        64,
        (
            Field("reason", 1, 8, "exact"),
        ),
        (
            Action("port_unreachable", 0x01290001, ()),
            Action("tcp_reset", 0x01290002, ()),
        ),
    ),
}

COUNTERS: dict[str, tuple[int, int]] = {
    "untracked_ingress.hits": (0x12120001, 65536),
    "untracked_ingress.passes": (0x12120002, 16384),
    "untracked_egress.hits": (0x12130001, 65536),
    "untracked_egress.passes": (0x12130002, 16384),
    "pre_dnat.hits": (0x12140001, 65536),
    "pre_dnat.passes": (0x12140002, 16384),
    "forward_ingress.hits": (0x12150001, 65536),
    "forward_ingress.passes": (0x12150002, 16384),
    "egress.hits": (0x12100001, 262144),
    "egress.passes": (0x12100002, 16384),
    "ingress.hits": (0x12110001, 262144),
    "ingress.passes": (0x12110002, 16384),
    "forward_egress.hits": (0x12160001, 65536),
    "forward_egress.passes": (0x12160002, 16384),
    "flows": (0x12210001, 8),
    "drops": (0x12200001, 64),
    "rejects": (0x12290001, 16),
}
"""Alias to (id, size)."""

METERS: dict[str, tuple[int, int]] = {
    "egress_packets": (0x14240001, 4096),
    "ingress_packets": (0x14240002, 4096),
    "egress_bytes": (0x14240003, 4096),
    "ingress_bytes": (0x14240004, 4096),
    "reject_rate": (0x14290001, 64),
}
"""Alias to (id, size)."""
