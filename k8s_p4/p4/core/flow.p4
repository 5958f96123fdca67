// flow: what is established. The tables, and the small controls that work around their look-ups, of
// which a packet has several; pipeline.p4 tells their order.
//
//   flow_v4/v6     (exact tuple on the wire, incarnations)   an accepted flow; two entries each:
//       forth          the tuple of its first packet
//       back           that of the answers
//   closing_v4/v6  (the same key)                            a TCP flow that saw FIN or RST lately
//
//   epoch          (exact IP version)   for drivers that want established flows judged again when policy changes
//       policy_is      the number of the present policy; no row: accepted once is accepted for good
//   judged_v4/v6   (the same key, epoch)   a flow that this policy has accepted
//
// All but epoch learn: no driver writes them. A packet that hits flow passes over policy, and starts the
// timeouts of both entries anew. A flow is learned when every stage has accepted its first packet;
// a bucket that is full refuses, and the packet passes all the same: the flow is then judged packet
// by packet, and what answers it is judged as new.
//
// A TCP flow that saw FIN or RST keeps running on a short timeout, which later packets do not prolong while
// its key is in closing; an opening SYN is judged as new meanwhile. If the flow was not closed after
// all (a forged RST, one side that goes on sending), it outlives its entry in closing and
// is prolonged again.
//
// Where there is an epoch, a flow found counts as established if its key is in judged under that epoch. If it is not, the packet is
// judged as new, but with the translation that the flow has. What began the flow and is accepted puts both keys
// into judged; an answer that comes first puts none.
//
// Tracked: TCP, UDP, SCTP, and echo requests of ICMP and ICMPv6, by identifier. All else is judged packet
// by packet.

#ifndef CORE_FLOW_P4
#define CORE_FLOW_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

// metadata.flow: what the last look-up found
const bit<8> FLOW_NONE = 0;
const bit<8> FLOW_FORTH = 1;
const bit<8> FLOW_BACK = 2;

// Indices of the counter flows.
const bit<32> FLOW_LEARNED = 0;
const bit<32> FLOW_CLASHED = 1;
const bit<32> FLOW_REFUSED = 2;
const bit<32> FLOW_JUDGED_AGAIN = 3;

// metadata.learn: what a look-up that finds nothing learns
const bit<8> LEARN_NOTHING = 0;
const bit<8> LEARN_FORTH = 1;
const bit<8> LEARN_BACK = 2;

// Timeouts are chosen by number from those of the architecture (shim.p4), in seconds. Besides, an
// entry that is found may be left alone, or keep the timeout it has and start it anew.
const bit<8> TIMEOUT_10 = 0;
const bit<8> TIMEOUT_30 = 1;
const bit<8> TIMEOUT_60 = 2;
const bit<8> TIMEOUT_120 = 3;
const bit<8> TIMEOUT_300 = 4;
const bit<8> TIMEOUT_43200 = 5;
const bit<8> TIMEOUT_KEEP = 0xfe;
const bit<8> TIMEOUT_LEAVE = 0xff;

// A TCP connection that is being set up; one that saw FIN or RST, and for how long that is remembered
// (shorter, see above).
const bit<8> TIMEOUT_TCP_SYN = TIMEOUT_120;
const bit<8> TIMEOUT_TCP = TIMEOUT_43200;
const bit<8> TIMEOUT_TCP_CLOSING = TIMEOUT_120;
const bit<8> TIMEOUT_CLOSING = TIMEOUT_60;
// One that is opened anew is no longer closing when its handshake is done.
const bit<8> TIMEOUT_REOPENED = TIMEOUT_10;
// UDP and SCTP: before an answer was seen, and after; echo.
const bit<8> TIMEOUT_FIRST = TIMEOUT_30;
const bit<8> TIMEOUT_UDP = TIMEOUT_120;
const bit<8> TIMEOUT_SCTP = TIMEOUT_300;
const bit<8> TIMEOUT_ECHO = TIMEOUT_30;

// Stands for the protocol in the key of an echo reply: a request of the other side with the same
// identifier is another flow.
const bit<8> PROTOCOL_ECHO_REPLY = 255;

const bit<8> TCP_FIN = 0x01;
const bit<8> TCP_SYN = 0x02;
const bit<8> TCP_RST = 0x04;
const bit<8> TCP_ACK = 0x10;

// The fields that a look-up asks for, of either family.
#define FLOW_KEY_OF_ALL                                                  \
            meta.flow_src_incarnation: exact @name("src_incarnation");   \
            meta.flow_dst_incarnation: exact @name("dst_incarnation");   \
            meta.flow_src_port: exact @name("src_port");                 \
            meta.flow_dst_port: exact @name("dst_port");                 \
            meta.flow_protocol: exact @name("protocol");
#define FLOW_KEY_V4                                                      \
            FLOW_KEY_OF_ALL                                              \
            meta.flow_src_v4: exact @name("src");                        \
            meta.flow_dst_v4: exact @name("dst");
#define FLOW_KEY_V6                                                      \
            meta.flow_src_v6: exact @name("src");                        \
            meta.flow_dst_v6: exact @name("dst");                        \
            FLOW_KEY_OF_ALL

#define QUOTED(name) #name

// What an entry holds: the tuple that a packet of its key gets (translate.p4), and the incarnation of whoever owns that
// destination, which the key does not tell where the destination is translated. IPv6 addresses also in halves, and
// behind the ports: what is learned must begin with a field that the pipeline can calculate with.
#define FLOW_PARAMS_v4 bit<16> src_port, bit<16> dst_port, bit<32> incarnation,             \
                       bit<32> egress_slot, bit<32> ingress_slot, bit<32> src, bit<32> dst \
                       LEARNED_TOO
#define FLOW_PARAMS_v6 bit<16> src_port, bit<16> dst_port, bit<32> incarnation,             \
                       bit<32> egress_slot, bit<32> ingress_slot,                           \
                       bit<128> src, bit<128> dst, bit<64> src_high, bit<64> src_low,       \
                       bit<64> dst_high, bit<64> dst_low LEARNED_TOO
#define FLOW_LEARNED_v4 { meta.learn_src_port, meta.learn_dst_port, meta.learn_incarnation, \
                          meta.learn_egress_slot, meta.learn_ingress_slot,                  \
                          meta.learn_src_v4, meta.learn_dst_v4 }
#define FLOW_LEARNED_v6 { meta.learn_src_port, meta.learn_dst_port, meta.learn_incarnation, \
                          meta.learn_egress_slot, meta.learn_ingress_slot,                  \
                          meta.learn_src_v6, meta.learn_dst_v6,                             \
                          meta.learn_src_high, meta.learn_src_low,                          \
                          meta.learn_dst_high, meta.learn_dst_low }
#define FLOW_FOUND_v4                                                                  \
        meta.found_src_v4 = src;                                                       \
        meta.found_dst_v4 = dst;
#define FLOW_FOUND_v6                                                                  \
        meta.found_src_v6 = src;                                                       \
        meta.found_dst_v6 = dst;                                                       \
        meta.found_src_high = src_high;                                                \
        meta.found_src_low = src_low;                                                  \
        meta.found_dst_high = dst_high;                                                \
        meta.found_dst_low = dst_low;
#define FLOW_FOUND(family)                                                             \
        meta.found_src_port = src_port;                                                \
        meta.found_dst_port = dst_port;                                                \
        meta.found_incarnation = incarnation;                                          \
        meta.found_egress_slot = egress_slot;                                          \
        meta.found_ingress_slot = ingress_slot;                                        \
        FLOW_FOUND_##family

// One learner with its actions. Names of actions are a learner's own, as the architecture asks for.
#define FLOW_LEARNER(family, number, KEY)                                              \
    @id(ACTION_ID(STAGE_FLOW, number##1))                                              \
    action forth_##family(FLOW_PARAMS_##family) {                                      \
        meta.flow = FLOW_FORTH;                                                        \
        FLOW_FOUND(family)                                                             \
        if (meta.timeout_forth == TIMEOUT_KEEP) {                                      \
            RESTART_TIMEOUT()                                                          \
        } else if (meta.timeout_forth != TIMEOUT_LEAVE) {                              \
            SET_TIMEOUT(meta.timeout_forth)                                            \
        }                                                                              \
    }                                                                                  \
    @id(ACTION_ID(STAGE_FLOW, number##2))                                              \
    action back_##family(FLOW_PARAMS_##family) {                                       \
        meta.flow = FLOW_BACK;                                                         \
        FLOW_FOUND(family)                                                             \
        if (meta.timeout_back == TIMEOUT_KEEP) {                                       \
            RESTART_TIMEOUT()                                                          \
        } else if (meta.timeout_back != TIMEOUT_LEAVE) {                               \
            SET_TIMEOUT(meta.timeout_back)                                             \
        }                                                                              \
    }                                                                                  \
    @id(ACTION_ID(STAGE_FLOW, number##3))                                              \
    action learn_##family() {                                                          \
        meta.flow = FLOW_NONE;                                                         \
        if (meta.learn == LEARN_FORTH) {                                               \
            LEARN(QUOTED(forth_##family), FLOW_LEARNED_##family, meta.timeout)         \
        }                                                                              \
        if (meta.learn == LEARN_BACK) {                                                \
            LEARN(QUOTED(back_##family), FLOW_LEARNED_##family, meta.timeout)          \
        }                                                                              \
    }                                                                                  \
    @id(TABLE_ID(STAGE_FLOW, number##1))                                               \
    @learns                                                                            \
    table flow_##family {                                                              \
        key = { KEY }                                                                  \
        actions = { @tableonly forth_##family; @tableonly back_##family;               \
                    @defaultonly learn_##family; }                                     \
        const default_action = learn_##family();                                       \
        LEARNS                                                                         \
        size = SIZE_FLOW;                                                              \
    }

control FlowLookUp(inout metadata_t meta) {
    FLOW_LEARNER(v4, 0, FLOW_KEY_V4)
    FLOW_LEARNER(v6, 1, FLOW_KEY_V6)

    apply {
        if (meta.ip_version == 4) {
            flow_v4.apply();
        } else {
            flow_v6.apply();
        }
    }
}

#define CLOSING_LEARNER(family, number, KEY)                                           \
    @id(ACTION_ID(STAGE_FLOW, number##4))                                              \
    action is_closing_##family(LEARNED_ONLY) {                                         \
        meta.closing = 1;                                                              \
        if (meta.timeout_closing != TIMEOUT_LEAVE) {                                   \
            SET_TIMEOUT(meta.timeout_closing)                                          \
        }                                                                              \
    }                                                                                  \
    @id(ACTION_ID(STAGE_FLOW, number##5))                                              \
    action close_##family() {                                                          \
        if (meta.close == 1) {                                                         \
            LEARN(QUOTED(is_closing_##family), {}, meta.timeout_closing)                        \
        }                                                                              \
    }                                                                                  \
    @id(TABLE_ID(STAGE_FLOW, number##2))                                               \
    @learns                                                                           \
    table closing_##family {                                                           \
        key = { KEY }                                                                  \
        actions = { @tableonly is_closing_##family; @defaultonly close_##family; }     \
        const default_action = close_##family();                                       \
        LEARNS                                                                         \
        size = SIZE_CLOSING;                                                           \
    }

control ClosingLookUp(inout metadata_t meta) {
    CLOSING_LEARNER(v4, 0, FLOW_KEY_V4)
    CLOSING_LEARNER(v6, 1, FLOW_KEY_V6)

    apply {
        if (meta.ip_version == 4) {
            closing_v4.apply();
        } else {
            closing_v6.apply();
        }
    }
}

control Epoch(inout metadata_t meta) {
    @id(ACTION_ID(STAGE_FLOW, 21))
    action policy_is(bit<32> epoch) {
        meta.epoch = epoch;
    }

    @id(ACTION_ID(STAGE_FLOW, 22))
    action for_good() {
        meta.epoch = 0;
    }

    @id(TABLE_ID(STAGE_FLOW, 21))
    table epoch {
        key = { meta.ip_version: exact @name("ip_version"); }
        actions = { policy_is; @defaultonly for_good; }
        const default_action = for_good();
        size = SIZE_EPOCH;
    }

    apply {
        epoch.apply();
        meta.epoch_v4 = meta.epoch;
        meta.epoch_v6 = meta.epoch;
    }
}

#define JUDGED_LEARNER(family, number, KEY)                                            \
    @id(ACTION_ID(STAGE_FLOW, number##6))                                              \
    action is_judged_##family(LEARNED_ONLY) {                                          \
        meta.judged = 1;                                                               \
        if (meta.timeout_judged != TIMEOUT_LEAVE) {                                    \
            SET_TIMEOUT(meta.timeout_judged)                                           \
        }                                                                              \
    }                                                                                  \
    @id(ACTION_ID(STAGE_FLOW, number##7))                                              \
    action judge_##family() {                                                          \
        meta.judged = 0;                                                               \
        if (meta.judge == 1) {                                                         \
            LEARN(QUOTED(is_judged_##family), {}, meta.timeout_judged)                 \
        }                                                                              \
    }                                                                                  \
    @id(TABLE_ID(STAGE_FLOW, number##3))                                               \
    @learns                                                                            \
    table judged_##family {                                                            \
        key = { KEY }                                                                  \
        actions = { @tableonly is_judged_##family; @defaultonly judge_##family; }      \
        const default_action = judge_##family();                                       \
        LEARNS                                                                         \
        size = SIZE_FLOW;                                                              \
    }

control JudgedLookUp(inout metadata_t meta) {
    JUDGED_LEARNER(v4, 0, FLOW_KEY_V4 meta.epoch_v4: exact @name("epoch");)
    JUDGED_LEARNER(v6, 1, meta.epoch_v6: exact @name("epoch"); FLOW_KEY_V6)

    apply {
        if (meta.ip_version == 4) {
            judged_v4.apply();
        } else {
            judged_v6.apply();
        }
    }
}

// The epoch before the one asked for last. What a flow that is judged again has there is of no more use.
control EpochBefore(inout metadata_t meta) {
    apply {
        meta.epoch_v4 = meta.epoch_v4 - 1;
        meta.epoch_v6 = meta.epoch_v6 - 1;
        meta.timeout_judged = TIMEOUT_10;
    }
}

// A packet that may have to be judged first prolongs nothing yet.
control JudgedFirst(inout metadata_t meta) {
    apply {
        if (meta.judged == 0) {
            meta.timeout_forth = TIMEOUT_LEAVE;
            meta.timeout_back = TIMEOUT_LEAVE;
        }
    }
}

// The tuple of the packet on the wire; of what answers it, once it is translated. Who owns the source on the
// wire was asked last (the sender need not own its address), and is who a translated answer goes to.
control AskOwnTuple(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.flow_src_v4 = meta.src_v4;
            meta.flow_dst_v4 = meta.dst_v4;
        } else {
            meta.flow_src_v6 = meta.src_v6;
            meta.flow_dst_v6 = meta.dst_v6;
        }
        meta.flow_src_port = meta.own_src_port;
        meta.flow_dst_port = meta.own_dst_port;
        meta.flow_protocol = meta.own_protocol;
        meta.flow_src_incarnation = meta.src_incarnation;
        meta.flow_dst_incarnation = meta.dst_incarnation;
    }
}

control AskAnswer(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.flow_src_v4 = meta.new_dst_v4;
            meta.flow_dst_v4 = meta.new_src_v4;
        } else {
            meta.flow_src_v6 = meta.new_dst_v6;
            meta.flow_dst_v6 = meta.new_src_v6;
        }
        meta.flow_src_port = meta.new_dst_port;
        meta.flow_dst_port = meta.new_src_port;
        meta.flow_protocol = meta.answer_protocol;
        meta.flow_src_incarnation = meta.end_incarnation;
        meta.flow_dst_incarnation = meta.answer_incarnation;
    }
}

// What is learned about the answer: it gets the tuple of this packet on the wire, the other way.
control LearnAnswer(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.learn_src_v4 = meta.dst_v4;
            meta.learn_dst_v4 = meta.src_v4;
        } else {
            meta.learn_src_v6 = meta.dst_v6;
            meta.learn_dst_v6 = meta.src_v6;
            meta.learn_src_high = meta.dst_high;
            meta.learn_src_low = meta.dst_low;
            meta.learn_dst_high = meta.src_high;
            meta.learn_dst_low = meta.src_low;
        }
        meta.learn_src_port = meta.own_dst_port;
        meta.learn_dst_port = meta.own_src_port;
        meta.learn_incarnation = meta.owner_incarnation;
    }
}

// What is learned about the packet's own tuple.
control LearnOwnTuple(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.learn_src_v4 = meta.new_src_v4;
            meta.learn_dst_v4 = meta.new_dst_v4;
        } else {
            meta.learn_src_v6 = meta.new_src_v6;
            meta.learn_dst_v6 = meta.new_dst_v6;
            meta.learn_src_high = meta.new_src_high;
            meta.learn_src_low = meta.new_src_low;
            meta.learn_dst_high = meta.new_dst_high;
            meta.learn_dst_low = meta.new_dst_low;
        }
        meta.learn_src_port = meta.new_src_port;
        meta.learn_dst_port = meta.new_dst_port;
        meta.learn_incarnation = meta.end_incarnation;
    }
}

// Whether what was found under the tuple of the answer is of another flow: one that does not lead back to the
// tuple of this packet, or to an owner before.
control IsClash(inout metadata_t meta) {
    apply {
        meta.clash = 0;
        if (meta.flow != FLOW_NONE) {
            if (meta.ip_version == 4) {
                if (meta.found_src_v4 != meta.dst_v4 || meta.found_dst_v4 != meta.src_v4) {
                    meta.clash = 1;
                }
            } else {
                if (meta.found_src_high != meta.dst_high || meta.found_src_low != meta.dst_low) {
                    meta.clash = 1;
                }
                if (meta.found_dst_high != meta.src_high || meta.found_dst_low != meta.src_low) {
                    meta.clash = 1;
                }
            }
            if (meta.found_src_port != meta.own_dst_port || meta.found_dst_port != meta.own_src_port) {
                meta.clash = 1;
            }
            if (meta.found_incarnation != meta.owner_incarnation) {
                meta.clash = 1;
            }
        }
    }
}

// Whether the packet belongs to something that is tracked, and its tuple.
control FlowTuple(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.l4_kind == L4_PORTS) {
            if (meta.protocol == PROTOCOL_TCP) {
                meta.tracked = 1;
            } else if (meta.protocol == PROTOCOL_UDP) {
                meta.tracked = 1;
            } else if (meta.protocol == PROTOCOL_SCTP) {
                meta.tracked = 1;
            }
            meta.own_src_port = meta.src_port;
            meta.own_dst_port = meta.dst_port;
            meta.own_protocol = meta.protocol;
            meta.answer_protocol = meta.protocol;
        } else if (hdr.echo.isValid()) {
            meta.tracked = 1;
            if (meta.icmp_type == ICMP_ECHO_REQUEST) {
                meta.own_src_port = hdr.echo.identifier;
                meta.own_protocol = meta.protocol;
                meta.answer_protocol = PROTOCOL_ECHO_REPLY;
            } else if (meta.icmp_type == ICMPV6_ECHO_REQUEST) {
                meta.own_src_port = hdr.echo.identifier;
                meta.own_protocol = meta.protocol;
                meta.answer_protocol = PROTOCOL_ECHO_REPLY;
            } else {
                meta.own_dst_port = hdr.echo.identifier;
                meta.own_protocol = PROTOCOL_ECHO_REPLY;
                meta.answer_protocol = meta.protocol;
            }
        }
    }
}

// The timeouts that the packet gives the entries it finds or learns. Runs when closing has been asked.
control FlowTimeouts(inout metadata_t meta) {
    apply {
        meta.timeout_forth = TIMEOUT_KEEP;
        meta.timeout_back = TIMEOUT_KEEP;
        meta.timeout = TIMEOUT_FIRST;
        meta.timeout_judged = TIMEOUT_ECHO;
        if (meta.protocol == PROTOCOL_UDP) {
            meta.timeout_back = TIMEOUT_UDP;
            meta.timeout_judged = TIMEOUT_UDP;
        } else if (meta.protocol == PROTOCOL_SCTP) {
            meta.timeout_back = TIMEOUT_SCTP;
            meta.timeout_judged = TIMEOUT_SCTP;
        } else if (meta.protocol == PROTOCOL_TCP) {
            meta.timeout = TIMEOUT_TCP_SYN;
            meta.timeout_forth = TIMEOUT_TCP;
            if (meta.tcp_flags & (TCP_FIN | TCP_RST) != 0) {
                meta.finishes = 1;
                meta.timeout_forth = TIMEOUT_TCP_CLOSING;
            } else if (meta.closing == 1) {
                if (meta.tcp_flags & TCP_SYN == 0) {
                    meta.timeout_forth = TIMEOUT_LEAVE;
                } else if (meta.tcp_flags & TCP_ACK == 0) {
                    meta.timeout_forth = TIMEOUT_LEAVE;
                    meta.opens = 1;
                }
            } else if (meta.tcp_flags & TCP_SYN != 0) {
                meta.timeout_forth = TIMEOUT_TCP_SYN;
            }
            meta.timeout_back = meta.timeout_forth;
            meta.timeout_judged = meta.timeout_forth;
        }
    }
}

// What was found, before policy. A SYN that opens a closing flow anew is new, but for its translation.
control FlowFound(inout metadata_t meta) {
    apply {
        if (meta.flow != FLOW_NONE && meta.opens == 0) {
            if (meta.epoch != 0 && meta.judged == 0) {
                meta.rejudged = 1;
            } else {
                meta.established = 1;
                meta.reason = REASON_ESTABLISHED;
            }
        }
    }
}

// What nobody asked for, an echo reply or RST, opens nothing: it is judged and not learned.
control NotFound(inout metadata_t meta) {
    apply {
        meta.opens = 0;
        meta.rejudged = 0;
        if (meta.own_protocol == PROTOCOL_ECHO_REPLY) {
            meta.tracked = 0;
        } else if (meta.tcp_flags & TCP_RST != 0) {
            meta.tracked = 0;
        }
    }
}

// What is to be learned, or prolonged, under the tuple of the answer: this packet went all the way.
control FlowAccepted(inout metadata_t meta) {
    bit<8> goes_on;

    apply {
        goes_on = meta.established | meta.rejudged;
        meta.learn = LEARN_BACK;
        meta.judge = 1;
        if (goes_on == 1) {
            if (meta.timeout_judged == TIMEOUT_LEAVE) {
                // What is learned needs a timeout, and how long the flow lives is not known. One that is not judged
                // anew has learned what it needs.
                meta.timeout_judged = TIMEOUT_TCP;
                if (meta.established == 1) {
                    meta.timeout_judged = TIMEOUT_LEAVE;
                    meta.judge = 0;
                }
            }
            if (meta.flow == FLOW_BACK) {
                // Both halves get what this direction gives. But an answer does not learn the first half: who
                // sent the first packet need not own the address that the answer goes to.
                meta.timeout_forth = meta.timeout_back;
                meta.learn = LEARN_NOTHING;
                meta.judge = 0;
                meta.answers = 1;
            } else {
                meta.timeout_back = meta.timeout_forth;
            }
            if (meta.finishes == 1) {
                meta.close = 1;
                meta.timeout_closing = TIMEOUT_CLOSING;
            }
        } else if (meta.opens == 1) {
            if (meta.flow != FLOW_NONE) {
                meta.timeout_forth = TIMEOUT_TCP_SYN;
                meta.timeout_back = TIMEOUT_TCP_SYN;
                meta.timeout_judged = TIMEOUT_TCP_SYN;
                meta.close = 2;
                meta.timeout_closing = TIMEOUT_REOPENED;
            }
        } else {
            // What is there must be left as it is: it may be another flow's.
            meta.timeout_forth = TIMEOUT_LEAVE;
            meta.timeout_back = TIMEOUT_LEAVE;
            meta.timeout_judged = meta.timeout;
        }
    }
}

#endif
