// reject: what was denied is told so. The table says for which reasons, and how:
//
//   reject (exact reason)
//       port_unreachable   ICMP 3/3, ICMPv6 1/4: what Linux's REJECT sends unless told otherwise
//       tcp_reset          of a TCP segment; anything else is dropped without a word
//   A miss drops without a word.
//
// The answer is a packet of the switch itself: from the address that the packet was sent to, before any translation, to the
// one it came from. It goes through the parser once more (STRIP_ANSWER) and is routed there, by a port or a tunnel; no
// policy is asked, no flow looked up or learned, and nothing of it is answered again.
//
// Unreachable: an IP and an ICMP header go in front of the whole packet, as it came in but for TTL and ECN. The pipeline can't
// sum what it did not parse, but what a checksum covers adds up to a number that is known: the IPv4 header and an ICMP
// message to nothing, a TCP or UDP segment and an ICMPv6 message to the complement of their pseudo header. So a damaged
// packet gets a damaged answer, which its sender drops; and what has no such checksum gets none (REJECT_*). Nothing can
// be cut off either: a packet whose answer would be longer than 1280 bytes, which every link is sure to carry that knows IPv6
// (RFC 8200 section 5), gets none. RFC 1812 4.3.2.3 would have IPv4's cut to 576.
//
// Reset: the segment turned around, by RFC 9293 3.10.7.1, without options of IP or TCP (MSS must not be in a RST) and without
// data. What stood behind the TCP header stays in the frame, behind the end that the IP header tells, where an Ethernet
// frame has its padding.
//
// No answer to what RFC 1122 3.2.2, RFC 1812 4.3.2.7 and RFC 4443 2.4 (e) exclude: ICMP errors, fragments, packets to or from
// what is not one host. A meter for each of 64 groups of senders, by the endpoint's number, holds back the rest;
// the network and the node are in the first.

#ifndef CORE_REJECT_P4
#define CORE_REJECT_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "rejects.p4"
#include "translate.p4"
#include "nat.p4"

// metadata.reject_with: which kind of answer
const bit<8> REJECT_WITH_NOTHING = 0;
const bit<8> REJECT_WITH_UNREACHABLE = 1;
const bit<8> REJECT_WITH_RESET = 2;

const bit<8> ANSWER_TTL = 64;
// Internetwork control (RFC 1812 4.3.2.5).
const bit<8> ANSWER_TOS = 0xc0;
const bit<16> DONT_FRAGMENT = 0x4000;
// Two headers of the answer, and what the answer may be long.
const bit<16> UNREACHABLE_V4 = 28;
const bit<16> UNREACHABLE_V6 = 48;
const bit<16> LONGEST_REJECTED_V4 = 1252;
const bit<16> LONGEST_PAYLOAD_REJECTED_V6 = 1192;
const bit<16> PORT_UNREACHABLE_V4 = 0x0303;
const bit<16> PORT_UNREACHABLE_V6 = 0x0104;
// Constant words that checksums add. The answer's IPv4 header: version, length of the header and TOS; don't fragment; TTL and
// protocol; for ICMP, what the answer is longer than the packet, for TCP its length.
const bit<64> ANSWER_WORDS_V4_ICMP = 0x45c0 + 0x4000 + 0x4001 + 28;
const bit<64> ANSWER_WORDS_V4_TCP = 0x4500 + 0x4000 + 0x4006 + 40;
// TCP's pseudo header but for the addresses, and the word that holds the offset.
const bit<64> RESET_WORDS = 6 + 20 + 0x5000;
// ICMPv6's pseudo header but for the addresses and the packet's own length, and type and code.
const bit<64> PSEUDO_WORDS_V6 = 58 + 48 + 0x0104;

// What there is to say of the packet, for the round of its answer. In a table's action: the compiler drops what
// is assigned in apply and, as far as it sees, used before.
#define KEEP_DENIED                                      \
        meta.denied_reason = meta.reason;                \
        meta.denied_to = meta.to;                        \
        meta.denied_endpoint = meta.dst_endpoint;        \
        meta.denied_out = meta.out_endpoint;

// Whether the denial asks for an answer, and for which: metadata.reject_with.
control RejectWith(inout metadata_t meta) {
    bit<8> asked;

    @id(ACTION_ID(STAGE_REJECT, 01))
    action port_unreachable() {
        meta.reject_with = REJECT_WITH_UNREACHABLE;
        KEEP_DENIED
    }

    @id(ACTION_ID(STAGE_REJECT, 02))
    action tcp_reset() {
        meta.reject_with = REJECT_WITH_RESET;
        KEEP_DENIED
    }

    @id(ACTION_ID(STAGE_REJECT, 03))
    action no_reject() {
        meta.reject_with = REJECT_WITH_NOTHING;
    }

    @id(TABLE_ID(STAGE_REJECT, 01))
    table reject {
        key = { meta.reason: exact @name("reason"); }
        actions = { port_unreachable; tcp_reset; @defaultonly no_reject; }
        const default_action = no_reject();
        size = SIZE_REASONS;
    }

    apply {
        asked = 1;
        // Linux knows rejects in the filter table only, so not by untracked and pre-DNAT policy. What comes to the end of a
        // tunnel and does not belong there is no workload's.
        if (meta.reason == REASON_POLICY) {
            asked = meta.filtered;
        }
        if (meta.reason == REASON_ENCAPSULATED) {
            if (meta.from != KIND_WORKLOAD) {
                asked = 0;
            }
        }
        if (meta.reason == REASON_NO_BACKEND) {
            if (meta.service_flags & SERVICE_DROP != 0) {
                asked = 0;
            }
        }
        if (asked == 1) {
            reject.apply();
        }
    }
}

// Whether the packet may be answered: metadata.reject, REJECT_SENT if it may.
control Rejectable(in headers_t hdr, inout metadata_t meta) {
    apply {
        meta.reject = REJECT_SENT;
        if (meta.reject_with == REJECT_WITH_RESET) {
            if (!hdr.tcp.isValid()) {
                meta.reject = REJECT_PROTOCOL;
            } else if (meta.tcp_flags & TCP_RST != 0) {
                meta.reject = REJECT_ERROR;
            }
        } else if (meta.ip_version == 4) {
            if (hdr.ipv4.total_length > LONGEST_REJECTED_V4) {
                meta.reject = REJECT_LENGTH;
            }
        } else {
            if (hdr.ipv6.payload_length > LONGEST_PAYLOAD_REJECTED_V6) {
                meta.reject = REJECT_LENGTH;
            }
        }
        if (meta.reject_with == REJECT_WITH_UNREACHABLE) {
            if (meta.ip_version == 6 && meta.header_length != 0) {
                meta.reject = REJECT_PROTOCOL;
            } else if (meta.l4_kind == L4_ICMP) {
                if (meta.ip_version == 4) {
                    // Errors, redirects; and what nobody has defined, as Linux does.
                    if (meta.icmp_type == ICMP_UNREACHABLE) {
                        meta.reject = REJECT_ERROR;
                    } else if (meta.icmp_type == ICMP_SOURCE_QUENCH) {
                        meta.reject = REJECT_ERROR;
                    } else if (meta.icmp_type == ICMP_REDIRECT) {
                        meta.reject = REJECT_ERROR;
                    } else if (meta.icmp_type == ICMP_TIME_EXCEEDED) {
                        meta.reject = REJECT_ERROR;
                    } else if (meta.icmp_type == ICMP_PARAMETER_PROBLEM) {
                        meta.reject = REJECT_ERROR;
                    } else if (meta.icmp_type > ICMP_LAST_KNOWN) {
                        meta.reject = REJECT_ERROR;
                    }
                } else if (meta.icmp_type < 128) {
                    meta.reject = REJECT_ERROR;
                }
            } else if (meta.l4_kind != L4_PORTS) {
                meta.reject = REJECT_PROTOCOL;
            } else if (hdr.udp.isValid()) {
                if (hdr.udp.checksum == 0) {
                    meta.reject = REJECT_CHECKSUM;
                } else if (hdr.udp.length != meta.l4_length) {
                    meta.reject = REJECT_CHECKSUM;
                }
            } else if (!hdr.tcp.isValid()) {
                meta.reject = REJECT_PROTOCOL;
            }
        }
        if (meta.ip_version == 4) {
            if (hdr.ipv4.flags_fragment & 0x3fff != 0) {
                meta.reject = REJECT_FRAGMENT;
            }
        } else if (hdr.fragment.isValid()) {
            meta.reject = REJECT_FRAGMENT;
        }
    }
}

// Whether both ends are one host each, as far as their addresses tell.
control RejectAddresses(inout metadata_t meta) {
    @hidden
    action not_one_host() {
        meta.reject = REJECT_ADDRESS;
    }

    apply {
        if (meta.to_group != 0) {
            not_one_host();
        }
        if (meta.ip_version == 4) {
            if (meta.src_v4 & 0xff000000 == 0) {
                not_one_host();
            }
            if (meta.src_v4 & 0xff000000 == 0x7f000000) {
                not_one_host();
            }
            if (meta.src_v4 & 0xe0000000 == 0xe0000000) {
                not_one_host();
            }
            if (meta.dst_v4 & 0xe0000000 == 0xe0000000) {
                not_one_host();
            }
        } else {
            // Unspecified, loopback; multicast.
            if (meta.src_high == 0) {
                if (meta.src_low <= 1) {
                    not_one_host();
                }
            }
            if (meta.src_high >> 56 == 0xff) {
                not_one_host();
            }
            if (meta.dst_high >> 56 == 0xff) {
                not_one_host();
            }
        }
    }
}

// The sum of both addresses as they were on the wire: metadata.difference.
control SumAddresses(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.difference = (bit<64>) meta.src_v4 + (bit<64>) meta.dst_v4;
        } else {
            meta.difference = (meta.src_high >> 32) + (meta.src_high & 0xffffffff);
            meta.difference = meta.difference + (meta.src_low >> 32) + (meta.src_low & 0xffffffff);
            meta.difference = meta.difference + (meta.dst_high >> 32) + (meta.dst_high & 0xffffffff);
            meta.difference = meta.difference + (meta.dst_low >> 32) + (meta.dst_low & 0xffffffff);
        }
    }
}

// Puts an IP header and an ICMP header in front of the packet, and makes it again what it was on the wire.
control Unreachable(inout headers_t hdr, inout metadata_t meta) {
    SumAddresses() sum_addresses;
    FoldDifference() fold;
    bit<64> above;

    apply {
        hdr.outer_ethernet.setValid();
        hdr.outer_ethernet.dst = hdr.ethernet.dst;
        hdr.outer_ethernet.src = hdr.ethernet.src;
        hdr.outer_ethernet.ether_type = hdr.ethernet.ether_type;
        hdr.ethernet.setInvalid();
        hdr.unreachable.setValid();
        hdr.unreachable.unused = 0;
        sum_addresses.apply(meta);
        // What the segment adds up to, less than nothing: its pseudo header.
        above = 0;
        if (meta.ip_version == 6 || meta.l4_kind == L4_PORTS) {
            above = meta.difference + (bit<64>) meta.l4_length + (bit<64>) meta.protocol;
        }
        if (meta.ip_version == 4) {
            hdr.ipv4.dst = meta.dst_v4;
            hdr.outer_ipv4.setValid();
            hdr.outer_ipv4.version_ihl = 0x45;
            hdr.outer_ipv4.tos = ANSWER_TOS;
            hdr.outer_ipv4.total_length = hdr.ipv4.total_length + UNREACHABLE_V4;
            hdr.outer_ipv4.identification = 0;
            hdr.outer_ipv4.flags_fragment = DONT_FRAGMENT;
            hdr.outer_ipv4.ttl = ANSWER_TTL;
            hdr.outer_ipv4.protocol = PROTOCOL_ICMP;
            hdr.outer_ipv4.src = meta.dst_v4;
            hdr.outer_ipv4.dst = meta.src_v4;
            meta.difference = meta.difference + ANSWER_WORDS_V4_ICMP;
            meta.difference = meta.difference + (bit<64>) hdr.ipv4.total_length;
            fold.apply(meta);
            hdr.outer_ipv4.checksum = (bit<16>) meta.difference ^ 0xffff;
            hdr.unreachable.type_code = PORT_UNREACHABLE_V4;
            meta.difference = BIAS_V4 + (bit<64>) PORT_UNREACHABLE_V4;
        } else {
            hdr.ipv6.dst = meta.dst_v6;
            hdr.outer_ipv6.setValid();
            hdr.outer_ipv6.version_class_flow = 0x60000000;
            hdr.outer_ipv6.payload_length = hdr.ipv6.payload_length + UNREACHABLE_V6;
            hdr.outer_ipv6.next_header = PROTOCOL_ICMPV6;
            hdr.outer_ipv6.hop_limit = ANSWER_TTL;
            hdr.outer_ipv6.src = meta.dst_v6;
            hdr.outer_ipv6.dst = meta.src_v6;
            hdr.unreachable.type_code = PORT_UNREACHABLE_V6;
            // The pseudo header, the ICMPv6 header; the header of the packet, whose addresses are the same.
            meta.difference = meta.difference + meta.difference;
            meta.difference = meta.difference + BIAS_V6;
            meta.difference = meta.difference + PSEUDO_WORDS_V6;
            meta.difference = meta.difference + (bit<64>) hdr.ipv6.payload_length;
            meta.difference = meta.difference + (bit<64>) hdr.ipv6.payload_length;
            meta.difference = meta.difference + (bit<64>) hdr.ipv6.version_class_flow;
            meta.difference = meta.difference + ((bit<64>) hdr.ipv6.next_header << 8);
            meta.difference = meta.difference + (bit<64>) hdr.ipv6.hop_limit;
        }
        meta.difference = meta.difference - above;
        fold.apply(meta);
        hdr.unreachable.checksum = (bit<16>) meta.difference ^ 0xffff;
    }
}

// Turns a TCP segment around, as short as can be.
control Reset(inout headers_t hdr, inout metadata_t meta) {
    SumAddresses() sum_addresses;
    FoldDifference() fold;
    bit<16> port;
    bit<32> length;

    apply {
        sum_addresses.apply(meta);
        port = hdr.ports.src;
        hdr.ports.src = hdr.ports.dst;
        hdr.ports.dst = port;
        if (meta.tcp_flags & TCP_ACK != 0) {
            hdr.tcp.sequence = hdr.tcp.acknowledgement;
            hdr.tcp.acknowledgement = 0;
            hdr.tcp.flags = TCP_RST;
        } else {
            // SYN and FIN count as one each.
            length = (bit<32>) meta.l4_length - (((bit<32>) hdr.tcp.offset >> 4) << 2);
            length = length + ((bit<32>) meta.tcp_flags & 1);
            length = length + (((bit<32>) meta.tcp_flags >> 1) & 1);
            hdr.tcp.acknowledgement = hdr.tcp.sequence + length;
            hdr.tcp.sequence = 0;
            hdr.tcp.flags = TCP_RST | TCP_ACK;
        }
        hdr.tcp.offset = 0x50;
        hdr.tcp.window = 0;
        hdr.tcp.urgent = 0;
        meta.l4_difference = meta.difference + RESET_WORDS;
        meta.l4_difference = meta.l4_difference + (bit<64>) hdr.ports.src;
        meta.l4_difference = meta.l4_difference + (bit<64>) hdr.ports.dst;
        meta.l4_difference = meta.l4_difference + (bit<64>) hdr.tcp.sequence;
        meta.l4_difference = meta.l4_difference + (bit<64>) hdr.tcp.acknowledgement;
        meta.l4_difference = meta.l4_difference + (bit<64>) hdr.tcp.flags;
        if (meta.ip_version == 4) {
            hdr.ipv4.version_ihl = 0x45;
            hdr.ipv4.tos = 0;
            hdr.ipv4.total_length = 40;
            hdr.ipv4.identification = 0;
            hdr.ipv4.flags_fragment = DONT_FRAGMENT;
            hdr.ipv4.ttl = ANSWER_TTL;
            hdr.ipv4.src = meta.dst_v4;
            hdr.ipv4.dst = meta.src_v4;
            hdr.option10.setInvalid();
            hdr.option9.setInvalid();
            hdr.option8.setInvalid();
            hdr.option7.setInvalid();
            hdr.option6.setInvalid();
            hdr.option5.setInvalid();
            hdr.option4.setInvalid();
            hdr.option3.setInvalid();
            hdr.option2.setInvalid();
            hdr.option1.setInvalid();
            meta.difference = meta.difference + ANSWER_WORDS_V4_TCP;
            fold.apply(meta);
            hdr.ipv4.checksum = (bit<16>) meta.difference ^ 0xffff;
        } else {
            hdr.ipv6.version_class_flow = 0x60000000;
            hdr.ipv6.payload_length = 20;
            hdr.ipv6.next_header = PROTOCOL_TCP;
            hdr.ipv6.hop_limit = ANSWER_TTL;
            hdr.ipv6.src = meta.dst_v6;
            hdr.ipv6.dst = meta.src_v6;
            hdr.extension1.setInvalid();
            hdr.extension2.setInvalid();
            hdr.extension3.setInvalid();
            hdr.extension4.setInvalid();
            hdr.extension5.setInvalid();
        }
        meta.difference = meta.l4_difference;
        fold.apply(meta);
        hdr.tcp.checksum = (bit<16>) meta.difference ^ 0xffff;
    }
}

// What was denied becomes its answer, if it asks for one; state AROUND then.
control Reject(inout headers_t hdr, inout metadata_t meta) {
    RejectWith() reject_with;
    Rejectable() rejectable;
    RejectAddresses() addresses;
    Unreachable() unreachable;
    Reset() reset;
    bit<32> group;

    @id(METER_ID(STAGE_REJECT, 01))
    PACKET_METER(reject_rate, SIZE_REJECT_GROUPS);

    @hidden
    action over() {
        meta.reject = REJECT_RATE;
    }

    @hidden
    action go_back() {
        meta.state = STATE_AROUND;
        meta.strip = STRIP_ANSWER;
    }

    apply {
        meta.reject_with = REJECT_WITH_NOTHING;
        reject_with.apply(meta);
        if (meta.reject_with != REJECT_WITH_NOTHING) {
            rejectable.apply(hdr, meta);
            addresses.apply(meta);
            if (meta.reject == REJECT_SENT) {
                group = meta.src_endpoint & 63;
                METER(meta.colour, reject_rate, group, 1)
                if (IS_OVER(meta.colour)) {
                    over();
                }
            }
        }
        if (meta.reject == REJECT_SENT) {
            // What routing had begun for a tunnel.
            hdr.outer_ipv4.setInvalid();
            hdr.outer_ipv6.setInvalid();
            hdr.vxlan.setInvalid();
            if (meta.reject_with == REJECT_WITH_RESET) {
                reset.apply(hdr, meta);
            } else {
                unreachable.apply(hdr, meta);
            }
            go_back();
        }
    }
}

#endif
