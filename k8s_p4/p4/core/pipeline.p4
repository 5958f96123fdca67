// The pipeline: a table of contents. Each stage is a file; the order is that of
// docs/design/house.md. A stage that drops sets state and reason, and no later stage runs.
//
//   parse -> ports -> neighbour -> source guard -> routing -> policy -> forward -> send
//                        |                            egress: from a workload, to anything
//                        +-> answer                   ingress: to a workload, but from the host

#ifndef CORE_PIPELINE_P4
#define CORE_PIPELINE_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "parse.p4"
#include "ports.p4"
#include "neighbour.p4"
#include "source_guard.p4"
#include "routing.p4"
#include "forward.p4"

#define IDENTITY_CONTROL SrcIdentity
#define IDENTITY_SIDE src
#define IDENTITY_STAGE STAGE_SRC_IDENTITY
#define IDENTITY_FIELD src_identity
#include "identity.p4"

#define IDENTITY_CONTROL DstIdentity
#define IDENTITY_SIDE dst
#define IDENTITY_STAGE STAGE_DST_IDENTITY
#define IDENTITY_FIELD dst_identity
#include "identity.p4"

#define POLICY_CONTROL EgressPolicy
#define POLICY_STAGE STAGE_EGRESS
#define POLICY_SLOT egress_slot
#include "policy.p4"

#define POLICY_CONTROL IngressPolicy
#define POLICY_STAGE STAGE_INGRESS
#define POLICY_SLOT ingress_slot
#include "policy.p4"

// What a workload may not do whatever its policy says, and what it may: no tunnels of its own
// unless allowed; ICMPv6 neighbour and multicast listener messages to the node are always let in.
control WorkloadExceptions(in headers_t hdr, inout metadata_t meta, out bit<8> exempt) {
    @hidden
    action encapsulated() {
        meta.state = STATE_DROP;
        meta.reason = REASON_ENCAPSULATED;
    }

    apply {
        exempt = 0;
        if (meta.protocol == PROTOCOL_UDP && meta.l4_kind == L4_PORTS && meta.dst_port == VXLAN_PORT) {
            if (meta.flags & FLAG_VXLAN_ALLOWED == 0) {
                encapsulated();
            }
        } else if (meta.protocol == PROTOCOL_IPIP) {
            if (meta.flags & FLAG_IPIP_ALLOWED == 0) {
                encapsulated();
            }
        } else if (meta.to == KIND_HOST && meta.ip_version == 6 && meta.l4_kind == L4_ICMP) {
            // 130-133: listener queries and reports, router solicitation; 135, 136: neighbours.
            if (meta.icmp_type >= 130) {
                if (meta.icmp_type <= 136) {
                    if (meta.icmp_type != 134) {
                        exempt = 1;
                    }
                }
            }
        }
    }
}

control Policy(in headers_t hdr, inout metadata_t meta) {
    EgressPolicy() egress;
    IngressPolicy() ingress;
    WorkloadExceptions() exceptions;
    bit<8> exempt;

    // What a workload sends to the node is subject to DefaultEndpointToHostAction at the end.
    @hidden
    action host_refuses() {
        meta.state = STATE_DROP;
        meta.reason = REASON_ENDPOINT_ACTION;
    }

    @hidden
    action host_accepts() {
        meta.reason = REASON_ENDPOINT_ACTION_ALLOW;
    }

    @hidden
    action from_host() {
        meta.reason = REASON_HOST_TO_WORKLOAD;
    }

    apply {
        if (meta.from == KIND_WORKLOAD) {
            exceptions.apply(hdr, meta, exempt);
            if (meta.state == STATE_ON && exempt == 0) {
                egress.apply(meta, meta.src_endpoint, meta.src_identity, meta.dst_identity);
                if (meta.state == STATE_ON && meta.to == KIND_HOST) {
                    if (meta.from_workload == 1) {
                        host_accepts();
                    } else {
                        host_refuses();
                    }
                }
            }
        }
        if (meta.state == STATE_ON && meta.to == KIND_WORKLOAD) {
            if (meta.from == KIND_HOST) {
                from_host();
            } else {
                ingress.apply(meta, meta.dst_endpoint, meta.dst_identity, meta.src_identity);
            }
        }
    }
}

control Pipeline(inout headers_t hdr, inout metadata_t meta) {
    Ports() ports;
    Neighbour() neighbour;
    ParseCheck() parse_check;
    SourceGuard() source_guard;
    Routing() routing;
    SrcIdentity() src;
    DstIdentity() dst;
    Policy() policy;
    Forward() forward;

    @id(COUNTER_ID(STAGE_PIPELINE, 01))
    COUNTER(drops, SIZE_REASONS);

    // In a table's action, not in apply: the compiler would take a value assigned there for the one
    // that a later table's action leaves. Nobody writes entries here: no key, constant default.
    @id(ACTION_ID(STAGE_PIPELINE, 01))
    action clear() {
        meta.reason = REASON_NONE;
        meta.egress_slot = 0;
        meta.ingress_slot = 0;
        meta.state = STATE_ON;
        meta.from = KIND_NONE;
        meta.src_endpoint = 0;
        meta.flags = 0;
        meta.to = KIND_NONE;
        meta.dst_endpoint = 0;
        meta.next_hop = 0;
        meta.from_workload = 0;
        meta.src_identity = 0;
        meta.dst_identity = 0;
        meta.chain = 0;
        meta.variant = 0;
        meta.rule_list = 0;
    }

    @id(TABLE_ID(STAGE_PIPELINE, 01))
    table init {
        actions = { clear; }
        const default_action = clear();
        size = 1;
    }

    @hidden
    action nothing_governs() {
        meta.reason = REASON_NO_POLICY;
    }

    // Counted before the drop, because a drop is immediate: nothing after it runs.
    @hidden
    action count_and_drop() {
        COUNT(drops, (bit<32>) meta.reason)
        DROP_PACKET()
    }

    apply {
        init.apply();
        parse_check.apply(hdr, meta);
        if (meta.state == STATE_ON) {
            ports.apply(meta);
        }
        if (meta.state == STATE_ON) {
            neighbour.apply(hdr, meta);
        }
        if (meta.state == STATE_ON && meta.from == KIND_WORKLOAD) {
            source_guard.apply(meta);
        }
        if (meta.state == STATE_ON) {
            routing.apply(hdr, meta);
        }
        if (meta.state == STATE_ON) {
            src.apply(hdr, meta);
            dst.apply(hdr, meta);
            policy.apply(hdr, meta);
            if (meta.state == STATE_ON && meta.reason == REASON_NONE) {
                nothing_governs();
            }
        }
        if (meta.state == STATE_ON) {
            forward.apply(hdr, meta);
        }
        if (meta.state == STATE_DROP) {
            count_and_drop();
        }
    }
}

#endif
