// host rules: what no policy of a host endpoint can close (Calico contract 3.8): failsafe ports, and tunnels
// between known hosts. Looked up once for all policies of the interface; a policy stage whose chain
// stands behind them (policy.p4, bind_host) decides by what was found here, if anything was.
//
//   host_rule_v4/v6 (exact kind, protocol, port; longest prefix of the far side's address)
//
// kind: 1 inbound failsafe port, 2 outbound failsafe port, 3 tunnel. The port is the destination's, of what
// comes back from a failsafe port the source's; 0 for protocols without ports. Protocol 0: no row.

#ifndef CORE_HOST_RULES_P4
#define CORE_HOST_RULES_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

const bit<8> HOST_RULE_INBOUND = 1;
const bit<8> HOST_RULE_OUTBOUND = 2;
const bit<8> HOST_RULE_TUNNEL = 3;

// The far side is where it goes if the node sends it, else where it comes from.
control FarSide(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            if (meta.from == KIND_HOST) {
                meta.far_v4 = hdr.ipv4.dst;
            } else {
                meta.far_v4 = hdr.ipv4.src;
            }
        } else {
            if (meta.from == KIND_HOST) {
                meta.far_v6 = hdr.ipv6.dst;
            } else {
                meta.far_v6 = hdr.ipv6.src;
            }
        }
    }
}

// Is it to a failsafe port?
control AskFailsafe(inout metadata_t meta) {
    apply {
        meta.host_port = meta.dst_port;
        if (meta.from == KIND_HOST) {
            meta.host_kind = HOST_RULE_OUTBOUND;
        } else {
            meta.host_kind = HOST_RULE_INBOUND;
        }
        if (meta.l4_kind == L4_PORTS) {
            meta.host_protocol = meta.protocol;
        } else {
            meta.host_protocol = 0;
        }
    }
}

// Does it come back from one? Before flows are looked up a reply is not known as one.
control AskFailsafeReply(inout metadata_t meta) {
    apply {
        meta.host_port = meta.src_port;
        if (meta.from == KIND_HOST) {
            meta.host_kind = HOST_RULE_INBOUND;
        } else {
            meta.host_kind = HOST_RULE_OUTBOUND;
        }
        if (meta.l4_kind == L4_PORTS) {
            meta.host_protocol = meta.protocol;
        } else {
            meta.host_protocol = 0;
        }
    }
}

// Is it a tunnel's? A fragment of one over UDP is not known as such, one of IPIP is.
control AskTunnel(inout metadata_t meta) {
    apply {
        meta.host_port = meta.dst_port;
        meta.host_kind = HOST_RULE_TUNNEL;
        if (meta.l4_kind == L4_PORTS || meta.protocol == PROTOCOL_IPIP) {
            meta.host_protocol = meta.protocol;
        } else {
            meta.host_protocol = 0;
        }
    }
}

control HostRules(inout metadata_t meta) {
    // Before the flow and before translation it only keeps those stages' hands off the packet; the
    // host's own policy, where it is a failsafe port again, lets it in.
    @id(ACTION_ID(STAGE_HOST_RULES, 01))
    action failsafe(bit<32> slot) {
        meta.host_slot = slot;
        meta.host_reason = REASON_FAILSAFE;
    }

    @id(ACTION_ID(STAGE_HOST_RULES, 02))
    action tunnelled(bit<32> slot) {
        meta.host_slot = slot;
        meta.host_reason = REASON_NONE;
    }

    @id(ACTION_ID(STAGE_HOST_RULES, 03))
    action no_host_rule() {
        meta.host_slot = 0;
        meta.host_reason = REASON_NONE;
    }

    @id(TABLE_ID(STAGE_HOST_RULES, 01))
    table host_rule_v4 {
        key = {
            meta.host_kind: exact @name("kind");
            meta.host_protocol: exact @name("protocol");
            meta.host_port: exact @name("port");
            meta.far_v4: lpm @name("prefix");
        }
        actions = { failsafe; tunnelled; @defaultonly no_host_rule; }
        const default_action = no_host_rule();
        size = SIZE_HOST_RULE;
    }

    @id(TABLE_ID(STAGE_HOST_RULES, 02))
    table host_rule_v6 {
        key = {
            meta.host_kind: exact @name("kind");
            meta.host_protocol: exact @name("protocol");
            meta.host_port: exact @name("port");
            meta.far_v6: lpm @name("prefix");
        }
        actions = { failsafe; tunnelled; @defaultonly no_host_rule; }
        const default_action = no_host_rule();
        size = SIZE_HOST_RULE;
    }

    apply {
        if (meta.ip_version == 4) {
            host_rule_v4.apply();
        } else {
            host_rule_v6.apply();
        }
    }
}

#endif
