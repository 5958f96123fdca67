// The pipeline: a table of contents. Each stage is a file; the order is that of
// docs/design/house.md. A stage that drops sets state and reason, and no later stage runs.
//
//   parse -> ports -> neighbour -> source guard -> untracked -> flow -> pre-DNAT -> nat -> routing -> next hop ->
//                        +-> answer
//   policy: forward ingress -> egress -> ingress -> forward egress   -> forward -> masquerade -> rewrite -> send
//   what any of them drops -> reject -> parse -> routing -> next hop -> send
//
// What belongs to a flow passes over pre-DNAT, nat, policy and masquerade.
//
//   egress    of the workload it comes from, or of the host endpoint where the node sends
//   ingress   of the workload it goes to, or of the host endpoint where the node receives
//   forward   of the host endpoints where it comes in and goes out, if neither end is the node
//
// What the node itself sends is routed before untracked policy, which asks for the interface it
// leaves by.

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
#include "host_rules.p4"
#include "routing.p4"
#include "tunnel.p4"
#include "next_hop.p4"
#include "forward.p4"
#include "flow.p4"
#include "translate.p4"
#include "related.p4"
#include "service_loop.p4"
#include "dscp.p4"
#include "nat.p4"
#include "masquerade.p4"
#include "qos.p4"
#include "connections.p4"
#include "reject.p4"

#define IDENTITY_CONTROL SrcIdentity
#define IDENTITY_SIDE src
#define IDENTITY_STAGE STAGE_SRC_IDENTITY
#define IDENTITY_FIELD src_identity
#define IDENTITY_ADDRESS src
#define IDENTITY_HOSTS SIZE_IDENTITY_HOST
#include "identity.p4"

#define IDENTITY_CONTROL DstIdentity
#define IDENTITY_SIDE dst
#define IDENTITY_STAGE STAGE_DST_IDENTITY
#define IDENTITY_FIELD dst_identity
#define IDENTITY_ADDRESS dst
#define IDENTITY_HOSTS SIZE_IDENTITY_HOST
#include "identity.p4"

#define IDENTITY_CONTROL PreDstIdentity
#define IDENTITY_SIDE pre_dst
#define IDENTITY_STAGE STAGE_PRE_DST_IDENTITY
#define IDENTITY_FIELD pre_dst_identity
#define IDENTITY_ADDRESS dst
#define IDENTITY_HOSTS SIZE_PRE_DST_HOST
#include "identity.p4"

#define POLICY_CONTROL UntrackedIngressPolicy
#define POLICY_STAGE STAGE_UNTRACKED_INGRESS
#define POLICY_SLOT untracked_ingress_slot
#define POLICY_REASON REASON_UNTRACKED
#define POLICY_EXCUSED 2
#define POLICY_SIZE SIZE_OF_HOOKS
#include "policy.p4"

#define POLICY_CONTROL UntrackedEgressPolicy
#define POLICY_STAGE STAGE_UNTRACKED_EGRESS
#define POLICY_SLOT untracked_egress_slot
#define POLICY_REASON REASON_UNTRACKED
#define POLICY_EXCUSED 2
#define POLICY_SIZE SIZE_OF_HOOKS
#include "policy.p4"

#define POLICY_CONTROL PreDnatPolicy
#define POLICY_STAGE STAGE_PRE_DNAT
#define POLICY_SLOT pre_dnat_slot
#define POLICY_REASON REASON_POLICY_ALLOW
#define POLICY_EXCUSED 1
#define POLICY_SIZE SIZE_OF_HOOKS
#include "policy.p4"

#define POLICY_CONTROL ForwardIngressPolicy
#define POLICY_STAGE STAGE_FORWARD_INGRESS
#define POLICY_SLOT forward_ingress_slot
#define POLICY_REASON REASON_POLICY_ALLOW
#define POLICY_EXCUSED 0
#define POLICY_SIZE SIZE_OF_HOOKS
#include "policy.p4"

#define POLICY_CONTROL EgressPolicy
#define POLICY_STAGE STAGE_EGRESS
#define POLICY_SLOT egress_slot
#define POLICY_REASON REASON_POLICY_ALLOW
#define POLICY_EXCUSED 0
#define POLICY_SIZE SIZE_OF_ENDPOINTS
#include "policy.p4"

#define POLICY_CONTROL IngressPolicy
#define POLICY_STAGE STAGE_INGRESS
#define POLICY_SLOT ingress_slot
#define POLICY_REASON REASON_POLICY_ALLOW
#define POLICY_EXCUSED 0
#define POLICY_SIZE SIZE_OF_ENDPOINTS
#include "policy.p4"

#define POLICY_CONTROL ForwardEgressPolicy
#define POLICY_STAGE STAGE_FORWARD_EGRESS
#define POLICY_SLOT forward_egress_slot
#define POLICY_REASON REASON_POLICY_ALLOW
#define POLICY_EXCUSED 0
#define POLICY_SIZE SIZE_OF_HOOKS
#include "policy.p4"

#include "untracked.p4"
#include "pre_dnat.p4"

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
    ForwardIngressPolicy() forward_ingress;
    EgressPolicy() egress;
    IngressPolicy() ingress;
    ForwardEgressPolicy() forward_egress;
    WorkloadExceptions() exceptions;
    bit<8> exempt;
    bit<8> forwarded;
    bit<8> asked;
    bit<32> endpoint;

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

    // Each policy stage is applied in one place, with the endpoint it is asked for in a variable.
    apply {
        forwarded = 0;
        if (meta.from != KIND_HOST && meta.to != KIND_HOST) {
            forwarded = 1;
        }
        if (forwarded == 1 && meta.in_endpoint != 0 && meta.excused == EXCUSED_NOT) {
            forward_ingress.apply(meta, meta.in_endpoint, meta.dst_identity, meta.src_identity);
        }

        asked = 0;
        endpoint = 0;
        if (meta.state == STATE_ON) {
            if (meta.from == KIND_WORKLOAD) {
                exceptions.apply(hdr, meta, exempt);
                if (meta.state == STATE_ON && exempt == 0) {
                    asked = 1;
                    endpoint = meta.src_endpoint;
                }
            } else if (meta.from == KIND_HOST && meta.to == KIND_UPLINK && meta.excused == EXCUSED_NOT) {
                if (meta.out_endpoint != 0) {
                    asked = 1;
                    endpoint = meta.out_endpoint;
                }
            }
        }
        if (asked == 1) {
            egress.apply(meta, endpoint, meta.src_identity, meta.dst_identity);
            if (meta.state == STATE_ON && meta.to == KIND_HOST) {
                if (meta.from_workload == 1) {
                    host_accepts();
                } else {
                    host_refuses();
                }
            }
        }

        asked = 0;
        if (meta.state == STATE_ON) {
            if (meta.to == KIND_WORKLOAD) {
                if (meta.from == KIND_HOST) {
                    from_host();
                } else {
                    asked = 1;
                    endpoint = meta.dst_endpoint;
                }
            } else if (meta.to == KIND_HOST && meta.from == KIND_UPLINK && meta.excused == EXCUSED_NOT) {
                if (meta.in_endpoint != 0) {
                    asked = 1;
                    endpoint = meta.in_endpoint;
                }
            }
        }
        if (asked == 1) {
            ingress.apply(meta, endpoint, meta.dst_identity, meta.src_identity);
        }

        if (meta.state == STATE_ON && forwarded == 1 && meta.out_endpoint != 0) {
            forward_egress.apply(meta, meta.out_endpoint, meta.src_identity, meta.dst_identity);
        }
    }
}

// All that translation changes but the destination address, at the very end.
control Rewrite(inout headers_t hdr, inout metadata_t meta) {
    RewriteAddresses() addresses;
    RewritePorts() ports;
    RewriteInner() inner;
    SourceMoved() source_moved;
    bit<8> moves;

    apply {
        source_moved.apply(meta);
        moves = meta.moved | meta.source_moved;
        if (moves == 1) {
            addresses.apply(hdr, meta);
        }
        if (meta.new_src_port != meta.own_src_port || meta.new_dst_port != meta.own_dst_port) {
            moves = 1;
        }
        if (meta.inner == 1) {
            inner.apply(hdr, meta);
        } else if (moves == 1) {
            ports.apply(hdr, meta);
        }
    }
}

// Another place to try for a masqueraded flow: taken if no other flow's answers come there.
#define TRY_CANDIDATE(number)                                                      \
                if (meta.searching == 1) {                                         \
                    meta.candidate = number;                                       \
                    masquerade_candidate.apply(meta);                              \
                    if (meta.candidate_is == 1) {                                  \
                        ask_answer.apply(meta);                                    \
                        flow.apply(meta);                                          \
                        is_clash.apply(meta);                                      \
                        if (meta.clash == 0) {                                     \
                            meta.searching = 0;                                    \
                        }                                                          \
                    }                                                              \
                }

// Whether what was asked for last has been learned.
#define IS_LEARNED                                                                 \
                if (meta.rejudged == 0) {                                          \
                    flow.apply(meta);                                              \
                    if (meta.flow == FLOW_NONE) {                                  \
                        refused = 1;                                               \
                    }                                                              \
                }                                                                  \
                if (meta.epoch != 0) {                                             \
                    judged.apply(meta);                                            \
                    if (meta.judged == 0) {                                        \
                        refused = 1;                                               \
                    }                                                              \
                }

// Both keys of a flow that was judged again give way under an epoch before: few policies in a row leave no more than that.
#define FORGET_EPOCH_BEFORE                                                        \
                    epoch_before.apply(meta);                                      \
                    ask_own_tuple.apply(meta);                                     \
                    judged.apply(meta);                                            \
                    ask_answer.apply(meta);                                        \
                    judged.apply(meta);

control Pipeline(inout headers_t hdr, inout metadata_t meta) {
    Ports() ports;
    Neighbour() neighbour;
    ParseCheck() parse_check;
    SourceGuard() source_guard;
    Owner() owner;
    AskDestination() ask_destination;
    AskSource() ask_source;
    Routing() routing;
    NextHop() hop;
    TunnelIn() tunnel_in;
    TunnelArrived() tunnel_arrived;
    Encapsulate() encapsulate;
    ServiceLoop() service_loop;
    Dscp() mark_dscp;
    SrcIdentity() src;
    DstIdentity() dst;
    PreDstIdentity() pre_dst;
    FarSide() far_side;
    AskFailsafe() ask_failsafe;
    AskFailsafeReply() ask_failsafe_reply;
    AskTunnel() ask_tunnel;
    HostRules() host_rules;
    Untracked() untracked;
    PreDnat() pre_dnat;
    Policy() policy;
    Forward() forward;
    FlowTuple() flow_tuple;
    AskOwnTuple() ask_own_tuple;
    AskAnswer() ask_answer;
    RelatedGoesBack() related_goes_back;
    AskInnerDestination() ask_inner_destination;
    AskInnerAnswer() ask_inner_answer;
    RelatedFound() related_found;
    FlowLookUp() flow;
    ClosingLookUp() closing;
    Epoch() epoch;
    EpochBefore() epoch_before;
    JudgedLookUp() judged;
    JudgedFirst() judged_first;
    FlowTimeouts() flow_timeouts;
    FlowFound() flow_found;
    NotFound() not_found;
    FlowAccepted() flow_accepted;
    LearnAnswer() learn_answer;
    LearnOwnTuple() learn_own_tuple;
    IsClash() is_clash;
    Untranslated() untranslated;
    NewSourceAsFound() source_as_found;
    NewDestinationAsFound() destination_as_found;
    MoveDestination() move_destination;
    GoBack() go_back;
    Nat() nat;
    EgressRate() egress_rate;
    IngressRate() ingress_rate;
    Bandwidth() bandwidth;
    SlotSpread() slot_spread;
    Connections() connections;
    SlotTimeout() slot_timeout;
    AskMasquerade() ask_masquerade;
    MasqueradeSpread() masquerade_spread;
    MasqueradeCandidate() masquerade_candidate;
    SourceMoved() source_moved;
    Rewrite() rewrite;
    Reject() reject;
    bit<8> hooked;
    bit<8> refused;

    // Index: FLOW_LEARNED and so on.
    @id(COUNTER_ID(STAGE_FLOW, 01))
    COUNTER(flows, SIZE_FLOW_EVENTS);

    @id(COUNTER_ID(STAGE_PIPELINE, 01))
    COUNTER(drops, SIZE_REASONS);

    // Index: REJECT_SENT and so on.
    @id(COUNTER_ID(STAGE_REJECT, 01))
    COUNTER(rejects, SIZE_REJECTS);

    // In a table's action, not in apply: the compiler would take a value assigned there for the one
    // that a later table's action leaves. Nobody writes entries here: no key, constant default.
    @id(ACTION_ID(STAGE_PIPELINE, 01))
    action clear() {
        if (meta.round == 0) {
            meta.peer = 0;
            meta.strip = TUNNEL_NONE;
        }
        // With its answer goes what there is to say of the packet that was denied.
        if (meta.strip != STRIP_ANSWER) {
            meta.reason = REASON_NONE;
            meta.reject = REJECT_NONE;
            meta.untracked_ingress_slot = 0;
            meta.untracked_egress_slot = 0;
            meta.pre_dnat_slot = 0;
            meta.forward_ingress_slot = 0;
            meta.egress_slot = 0;
            meta.ingress_slot = 0;
            meta.forward_egress_slot = 0;
            meta.in_endpoint = 0;
            meta.from = KIND_NONE;
        }
        meta.out_endpoint = 0;
        meta.state = STATE_ON;
        meta.src_endpoint = 0;
        meta.flags = 0;
        meta.tunnel = 0;
        meta.tunnel_kind = TUNNEL_NONE;
        meta.tunnel_endpoint = 0;
        meta.filtered = 0;
        meta.owner = KIND_NONE;
        meta.owner_reason = REASON_NONE;
        meta.owner_from_workload = 0;
        meta.owner_endpoint = 0;
        meta.owner_next_hop = 0;
        meta.owner_incarnation = 0;
        meta.to = KIND_NONE;
        meta.dst_endpoint = 0;
        meta.next_hop = 0;
        meta.from_workload = 0;
        meta.src_identity = 0;
        meta.dst_identity = 0;
        meta.pre_dst_identity = 0;
        meta.excused = EXCUSED_NOT;
        meta.chain = 0;
        meta.variant = 0;
        meta.rule_list = 0;
        meta.behind_host_rules = 0;
        meta.host_slot = 0;
        meta.host_reason = REASON_NONE;
        meta.tracked = 0;
        meta.own_src_port = 0;
        meta.own_dst_port = 0;
        meta.own_protocol = 0;
        meta.answer_protocol = 0;
        meta.src_incarnation = 0;
        meta.dst_incarnation = 0;
        meta.flow = FLOW_NONE;
        meta.closing = 0;
        meta.opens = 0;
        meta.finishes = 0;
        meta.established = 0;
        meta.learn = LEARN_NOTHING;
        meta.close = 0;
        meta.timeout_closing = TIMEOUT_LEAVE;
        meta.judge = 0;
        meta.judged = 0;
        meta.rejudged = 0;
        meta.timeout_judged = TIMEOUT_LEAVE;
        meta.answers = 0;
        meta.clash = 0;
        meta.stale = 0;
        meta.end_incarnation = 0;
        meta.answer_incarnation = 0;
        meta.moved = 0;
        meta.nat = NAT_NONE;
        meta.group = 0;
        meta.remembered = 0;
        meta.remember = 0;
        meta.timeout_affinity = 0;
        meta.masquerade = 0;
        meta.searching = 0;
        meta.pool = 0;
        meta.candidate_is = 0;
        meta.difference = 0;
        meta.slot_take = 0;
        meta.slot_kept = 0;
        meta.timeout_slot = TIMEOUT_LEAVE;
        meta.learn_egress_slot = 0;
        meta.learn_ingress_slot = 0;
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

    // What was in a tunnel begins anew; metadata stays.
    @hidden
    action around() {
        meta.state = STATE_AROUND;
        meta.ingress_port = meta.tunnel_port;
    }

    @hidden
    action untranslatable_fragment() {
        meta.state = STATE_DROP;
        meta.reason = REASON_FRAGMENT;
    }

    @hidden
    action no_port() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_PORT;
    }

    @hidden
    action another_flow() {
        meta.state = STATE_DROP;
        meta.reason = REASON_FLOW_CLASH;
        COUNT(flows, FLOW_CLASHED)
    }

    @hidden
    action answered() {
        meta.state = STATE_ANSWERED;
    }

    @hidden
    action no_way_to_sender() {
        meta.reject = REJECT_NO_WAY;
    }

    // What there is to say of the packet that was denied.
    @hidden
    action as_denied() {
        meta.reason = meta.denied_reason;
        meta.to = meta.denied_to;
        meta.dst_endpoint = meta.denied_endpoint;
        meta.out_endpoint = meta.denied_out;
    }

    apply {
        init.apply();
        if (meta.strip == STRIP_ANSWER) {
            ask_destination.apply(hdr, meta);
            owner.apply(meta);
            routing.apply(hdr, meta);
            if (meta.state == STATE_ON) {
                hop.apply(hdr, meta);
            }
            // Skips all that looks at packets of others.
            if (meta.state == STATE_ON) {
                answered();
            }
        }
        parse_check.apply(hdr, meta);
        if (meta.state == STATE_ON) {
            ports.apply(meta);
        }
        if (meta.state == STATE_ON && meta.round != 0) {
            tunnel_arrived.apply(hdr, meta);
        }
        if (meta.state == STATE_ON) {
            neighbour.apply(hdr, meta);
        }
        if (meta.state == STATE_ON && meta.from == KIND_WORKLOAD) {
            source_guard.apply(meta);
            if (meta.state == STATE_ON) {
                egress_rate.apply(meta);
            }
        }
        if (meta.state == STATE_ON) {
            ask_destination.apply(hdr, meta);
            owner.apply(meta);
            meta.dst_incarnation = meta.owner_incarnation;
        }
        if (meta.state == STATE_ON && meta.from == KIND_HOST) {
            routing.apply(hdr, meta);
            if (meta.state == STATE_ON) {
                hop.apply(hdr, meta);
            }
        }
        if (meta.state == STATE_ON) {
            src.apply(hdr, meta);
            // Whether a host endpoint has something to say before the destination is translated.
            hooked = 0;
            if (meta.from == KIND_HOST) {
                if (meta.to == KIND_UPLINK && meta.out_endpoint != 0) {
                    hooked = 1;
                }
            } else if (meta.in_endpoint != 0) {
                hooked = 1;
            }
            if (hooked == 1) {
                pre_dst.apply(hdr, meta);
                if (meta.from != KIND_WORKLOAD) {
                    far_side.apply(hdr, meta);
                    ask_failsafe.apply(meta);
                    host_rules.apply(meta);
                    if (meta.host_slot == 0) {
                        ask_failsafe_reply.apply(meta);
                        host_rules.apply(meta);
                    }
                    untracked.apply(meta);
                }
            }
        }
        if (meta.state == STATE_ON && meta.round == 0) {
            if (meta.from == KIND_UPLINK && meta.owner == KIND_HOST) {
                tunnel_in.apply(hdr, meta);
            }
        }
        if (meta.state == STATE_ON && meta.excused != EXCUSED_UNTRACKED && meta.tunnel_kind == TUNNEL_NONE) {
            flow_tuple.apply(hdr, meta);
            untranslated.apply(meta);
            epoch.apply(meta);
            related_goes_back.apply(hdr, meta);
            if (meta.inner == 1) {
                ask_inner_destination.apply(hdr, meta);
                owner.apply(meta);
                ask_inner_answer.apply(hdr, meta);
                flow.apply(meta);
                if (meta.epoch != 0) {
                    judged.apply(meta);
                }
                related_found.apply(hdr, meta);
                // Routing goes by the last answer.
                move_destination.apply(hdr, meta);
                ask_destination.apply(hdr, meta);
                owner.apply(meta);
            }
        }
        if (meta.state == STATE_ON && meta.tracked == 1) {
            ask_own_tuple.apply(meta);
            if (meta.protocol == PROTOCOL_TCP) {
                closing.apply(meta);
            }
            flow_timeouts.apply(meta);
            if (meta.epoch != 0) {
                judged.apply(meta);
                judged_first.apply(meta);
            }
            flow.apply(meta);
            flow_found.apply(meta);
            if (meta.flow != FLOW_NONE) {
                source_as_found.apply(meta);
                destination_as_found.apply(meta);
                meta.new_src_port = meta.found_src_port;
                meta.new_dst_port = meta.found_dst_port;
                move_destination.apply(hdr, meta);
                if (meta.moved == 1) {
                    ask_destination.apply(hdr, meta);
                    owner.apply(meta);
                }
            }
        }
        if (meta.flow != FLOW_NONE && meta.owner_incarnation != meta.found_incarnation) {
            go_back.apply(hdr, meta);
            untranslated.apply(meta);
            ask_destination.apply(hdr, meta);
            owner.apply(meta);
        }
        if (meta.flow == FLOW_NONE) {
            not_found.apply(meta);
        }
        if (meta.state == STATE_ON && meta.from != KIND_HOST && meta.established == 0) {
            if (meta.in_endpoint != 0 && meta.excused == EXCUSED_NOT) {
                far_side.apply(hdr, meta);
                ask_failsafe.apply(meta);
                host_rules.apply(meta);
                pre_dnat.apply(meta);
            }
        }
        if (meta.state == STATE_ON && meta.tunnel_kind != TUNNEL_NONE) {
            around();
        }
        if (meta.state == STATE_ON && meta.established == 0 && meta.excused != EXCUSED_UNTRACKED) {
            if (meta.flow == FLOW_NONE) {
                nat.apply(hdr, meta);
                move_destination.apply(hdr, meta);
                if (meta.moved == 1) {
                    ask_destination.apply(hdr, meta);
                    owner.apply(meta);
                }
            }
            // Policy sees where the packet really goes.
            if (meta.l4_kind == L4_PORTS) {
                meta.dst_port = meta.new_dst_port;
            }
        }
        meta.end_incarnation = meta.owner_incarnation;
        if (meta.state == STATE_ON) {
            if (meta.from != KIND_HOST || meta.moved == 1) {
                routing.apply(hdr, meta);
                if (meta.state == STATE_ON) {
                    hop.apply(hdr, meta);
                }
            }
        }
        if (meta.state == STATE_ON && meta.from != KIND_HOST && meta.to == KIND_UPLINK) {
            service_loop.apply(hdr, meta);
        }
        if (meta.state == STATE_ON && meta.to == KIND_WORKLOAD) {
            ingress_rate.apply(meta);
        }
        if (meta.state == STATE_ON && meta.established == 0) {
            dst.apply(hdr, meta);
            // Whether the node's own policy is asked.
            hooked = 0;
            if (meta.from == KIND_HOST) {
                if (meta.to == KIND_UPLINK && meta.out_endpoint != 0) {
                    hooked = 1;
                }
            } else if (meta.from == KIND_UPLINK && meta.to == KIND_HOST && meta.in_endpoint != 0) {
                hooked = 1;
            }
            if (hooked == 1 && meta.excused == EXCUSED_NOT) {
                far_side.apply(hdr, meta);
                ask_tunnel.apply(meta);
                host_rules.apply(meta);
                if (meta.host_slot == 0) {
                    ask_failsafe.apply(meta);
                    host_rules.apply(meta);
                }
            }
            policy.apply(hdr, meta);
            if (meta.state == STATE_ON && meta.reason == REASON_NONE) {
                nothing_governs();
            }
        }
        if (meta.state == STATE_ON) {
            forward.apply(hdr, meta);
        }
        if (meta.state == STATE_ON) {
            bandwidth.apply(hdr, meta);
        }
        if (meta.state == STATE_ON && meta.flow == FLOW_NONE && meta.excused != EXCUSED_UNTRACKED) {
            ask_masquerade.apply(meta);
            if (meta.masquerade == 1 && meta.tracked == 0) {
                if (meta.l4_kind == L4_FRAGMENT) {
                    untranslatable_fragment();
                } else {
                    no_port();
                }
            }
        }
        if (meta.state == STATE_ON && meta.tracked == 1) {
            if (meta.flow == FLOW_NONE) {
                slot_spread.apply(meta);
                meta.slot_take = 1;
                if (meta.to == KIND_WORKLOAD) {
                    meta.slot_owner = (meta.dst_endpoint << 1) | 1;
                    connections.apply(meta);
                    meta.learn_ingress_slot = meta.slot_kept;
                }
                if (meta.state == STATE_ON && meta.from == KIND_WORKLOAD) {
                    meta.slot_owner = meta.src_endpoint << 1;
                    connections.apply(meta);
                    meta.learn_egress_slot = meta.slot_kept;
                }
            }
        }
        if (meta.state == STATE_ON && meta.tracked == 1) {
            if (meta.rejudged == 1) {
                flow_timeouts.apply(meta);
            }
            flow_accepted.apply(meta);
            if (meta.flow != FLOW_NONE) {
                slot_timeout.apply(meta);
                meta.slot_take = 0;
                if (meta.learn_ingress_slot != 0) {
                    meta.slot_owner = (meta.accepting << 1) | 1;
                    meta.slot = meta.learn_ingress_slot - 1;
                    connections.apply(meta);
                }
                if (meta.learn_egress_slot != 0) {
                    meta.slot_owner = meta.beginning << 1;
                    meta.slot = meta.learn_egress_slot - 1;
                    connections.apply(meta);
                }
            }
            ask_source.apply(meta);
            owner.apply(meta);
            learn_answer.apply(meta);
            source_moved.apply(meta);
            if (meta.masquerade == 1) {
                masquerade_spread.apply(meta);
                meta.searching = 1;
                TRY_CANDIDATE(0)
                TRY_CANDIDATE(1)
                TRY_CANDIDATE(0)
                TRY_CANDIDATE(1)
                TRY_CANDIDATE(0)
                TRY_CANDIDATE(1)
                TRY_CANDIDATE(0)
                TRY_CANDIDATE(1)
                if (meta.searching == 1) {
                    no_port();
                }
            } else {
                if (meta.source_moved == 0) {
                    meta.answer_incarnation = meta.owner_incarnation;
                }
                ask_answer.apply(meta);
                flow.apply(meta);
                is_clash.apply(meta);
                if (meta.clash == 1) {
                    if (meta.answers == 1) {
                        // The first packets' half leads elsewhere, to an endpoint that is no more: it was to
                        // give way soon, and is not to be prolonged.
                        meta.timeout_forth = TIMEOUT_10;
                        flow.apply(meta);
                    } else {
                        another_flow();
                    }
                }
            }
            if (meta.state == STATE_ON && meta.epoch != 0) {
                judged.apply(meta);
            }
        }
        if (meta.state == STATE_ON && meta.tracked == 1) {
            if (meta.close != 0) {
                closing.apply(meta);
            }
            ask_own_tuple.apply(meta);
            if (meta.close != 0) {
                closing.apply(meta);
            }
            if (meta.rejudged == 1) {
                // Prolonged only now that policy has accepted it.
                flow.apply(meta);
            }
            if (meta.established == 0 && meta.judge == 1) {
                if (meta.epoch != 0) {
                    judged.apply(meta);
                }
                if (meta.rejudged == 0) {
                    learn_own_tuple.apply(meta);
                    meta.learn = LEARN_FORTH;
                    if (meta.stale == 1) {
                        // What leads nowhere gives way soon: what is learned can't be changed.
                        meta.timeout_forth = TIMEOUT_10;
                        meta.timeout_back = TIMEOUT_10;
                    }
                    flow.apply(meta);
                }
                // Whether all is there now: a full bucket says nothing.
                meta.learn = LEARN_NOTHING;
                meta.judge = 0;
                refused = 0;
                IS_LEARNED
                ask_answer.apply(meta);
                IS_LEARNED
                LEARNED_BY_THEN(refused)
                if (refused == 1) {
                    COUNT_LEARNED(flows, FLOW_REFUSED)
                } else if (meta.rejudged == 1) {
                    COUNT_ONCE(flows, FLOW_JUDGED_AGAIN)
                } else {
                    COUNT_ONCE(flows, FLOW_LEARNED)
                }
                if (meta.rejudged == 1) {
                    FORGET_EPOCH_BEFORE
                    FORGET_EPOCH_BEFORE
                    FORGET_EPOCH_BEFORE
                    FORGET_EPOCH_BEFORE
                }
            }
        }
        if (meta.state == STATE_ON && meta.excused != EXCUSED_UNTRACKED) {
            rewrite.apply(hdr, meta);
        }
        if (meta.state == STATE_ON && meta.from == KIND_WORKLOAD && meta.to == KIND_UPLINK) {
            mark_dscp.apply(hdr, meta);
        }
        if (meta.tunnel != 0 && meta.to == KIND_UPLINK) {
            if (meta.state == STATE_ON || meta.state == STATE_ANSWERED) {
                encapsulate.apply(hdr, meta);
            }
        }
        if (meta.strip == STRIP_ANSWER) {
            if (meta.state == STATE_DROP) {
                no_way_to_sender();
            }
            as_denied();
            COUNT(rejects, (bit<32>) meta.reject)
        } else if (meta.state == STATE_DROP) {
            COUNT(drops, (bit<32>) meta.reason)
            reject.apply(hdr, meta);
            if (meta.state == STATE_DROP && meta.reject != REJECT_NONE) {
                COUNT(rejects, (bit<32>) meta.reject)
            }
        }
        if (meta.state == STATE_AROUND) {
            GO_AROUND()
        }
        // A drop is immediate: nothing after it runs.
        if (meta.state == STATE_DROP) {
            DROP_PACKET()
        }
    }
}

#endif
