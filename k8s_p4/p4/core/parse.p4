// parse: Ethernet, ARP, IPv4 with options, IPv6 with extension headers, ports or ICMP.
//
// A packet that reaches the end of a known path has `parsed` 1; all others keep 0 and are dropped
// with reason parse (the compiler turns `reject` into acceptance, hence the flag). Lengths are
// compared after the parser, which can't: the DPDK pipeline extracts beyond the end of a frame
// without complaint, so a frame that is shorter than its headers must be refused where frames
// enter, and what the IP header claims is checked here.
//
// IPv6 extension headers: up to three before a fragment header, up to two after it, or five
// without one. More, a hop-by-hop header that isn't the first, or a second fragment header: parse.
// AH and ESP count as upper-layer protocols without ports.

#ifndef CORE_PARSE_P4
#define CORE_PARSE_P4

#include "headers.p4"
#include "metadata.p4"

const bit<64> SUM_BIAS = 0xffff00000000;
// Type 135 to 136 and option type 1 to 2 (both in the high half of a word), flags 0 to e0000000.
const bit<64> ADVERTISEMENT_DIFFERENCE = 0xe200;

parser PacketParser(packet_in packet, inout headers_t hdr, inout metadata_t meta) {
    state start {
        meta.parsed = 0;
        meta.ip_version = 0;
        meta.protocol = 0;
        meta.l4_kind = L4_NONE;
        meta.src_port = 0;
        meta.dst_port = 0;
        meta.icmp_type = 0;
        meta.icmp_code = 0;
        meta.tcp_flags = 0;
        meta.inner_room = 0;
        meta.inner = 0;
        meta.inner_protocol = 0;
        meta.inner_src_high = 0;
        meta.inner_src_low = 0;
        meta.inner_dst_high = 0;
        meta.inner_dst_low = 0;
        meta.dst_high = 0;
        meta.dst_low = 0;
        meta.to_group = 0;
        meta.header_length = 0;
        meta.l4_length = 0;
        meta.l4_minimum = 0;
        meta.sum = 0;
        meta.src_high = 0;
        meta.src_low = 0;
        meta.dst_first = 0;
        meta.dst_sum = 0;
        transition select(meta.round) {
            0: parse_ethernet;
            default: strip;
        }
    }

    // A further round. The outer headers of a tunnel were compared in round 0, and are read to be left out.
    state strip {
        transition select(meta.strip) {
            STRIP_VXLAN_V4: strip_vxlan_v4;
            STRIP_VXLAN_V6: strip_vxlan_v6;
            TUNNEL_IPIP: strip_ipip;
            STRIP_ANSWER: parse_ethernet;
            default: accept;
        }
    }

    state strip_vxlan_v4 {
        packet.extract(hdr.stripped_vxlan_v4);
        meta.outer_ecn = hdr.stripped_vxlan_v4.tos & 3;
        meta.arrived_flags = hdr.stripped_vxlan_v4.flags;
        meta.arrived_vni = hdr.stripped_vxlan_v4.vni & 0xffffff00;
        transition parse_ethernet;
    }

    state strip_vxlan_v6 {
        packet.extract(hdr.stripped_vxlan_v6);
        meta.outer_ecn = (bit<8>) (hdr.stripped_vxlan_v6.version_class_flow >> 20) & 3;
        meta.arrived_flags = hdr.stripped_vxlan_v6.flags;
        meta.arrived_vni = hdr.stripped_vxlan_v6.vni & 0xffffff00;
        transition parse_ethernet;
    }

    // The Ethernet header stays, for what is inside.
    state strip_ipip {
        packet.extract(hdr.ethernet);
        packet.extract(hdr.stripped_ipip);
        meta.outer_ecn = hdr.stripped_ipip.tos & 3;
        transition parse_ipv4;
    }

    state parse_ethernet {
        packet.extract(hdr.ethernet);
        meta.to_group = (bit<8>) (hdr.ethernet.dst >> 40) & 1;
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_ARP: parse_arp;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            default: accept;
        }
    }

    state parse_arp {
        packet.extract(hdr.arp);
        meta.parsed = 1;
        transition accept;
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        meta.ip_version = 4;
        meta.src_v4 = hdr.ipv4.src;
        meta.dst_v4 = hdr.ipv4.dst;
        meta.protocol = hdr.ipv4.protocol;
        meta.header_length = ((bit<16>) hdr.ipv4.version_ihl & 0x0f) << 2;
        meta.l4_length = hdr.ipv4.total_length - meta.header_length;
        meta.sum = meta.sum + ((bit<64>) hdr.ipv4.version_ihl << 8);
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.tos;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.total_length;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.identification;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.flags_fragment;
        meta.sum = meta.sum + ((bit<64>) hdr.ipv4.ttl << 8);
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.protocol;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.checksum;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.src;
        meta.sum = meta.sum + (bit<64>) hdr.ipv4.dst;
        transition select(hdr.ipv4.version_ihl) {
            0x45: parse_ipv4_fragment;
            0x46: parse_option1;
            0x47: parse_option2;
            0x48: parse_option3;
            0x49: parse_option4;
            0x4a: parse_option5;
            0x4b: parse_option6;
            0x4c: parse_option7;
            0x4d: parse_option8;
            0x4e: parse_option9;
            0x4f: parse_option10;
            default: accept;
        }
    }

#define PARSE_OPTION(number, next)                                              \
    state parse_option##number {                                                \
        packet.extract(hdr.option##number);                                     \
        meta.sum = meta.sum + (bit<64>) hdr.option##number.high;                \
        meta.sum = meta.sum + (bit<64>) hdr.option##number.low;                 \
        transition next;                                                        \
    }

    PARSE_OPTION(10, parse_option9)
    PARSE_OPTION(9, parse_option8)
    PARSE_OPTION(8, parse_option7)
    PARSE_OPTION(7, parse_option6)
    PARSE_OPTION(6, parse_option5)
    PARSE_OPTION(5, parse_option4)
    PARSE_OPTION(4, parse_option3)
    PARSE_OPTION(3, parse_option2)
    PARSE_OPTION(2, parse_option1)
    PARSE_OPTION(1, parse_ipv4_fragment)

    state parse_ipv4_fragment {
        transition select(hdr.ipv4.flags_fragment & 0x1fff) {
            0: parse_ipv4_protocol;
            default: later_fragment;
        }
    }

    state parse_ipv4_protocol {
        transition select(hdr.ipv4.protocol) {
            PROTOCOL_TCP: parse_tcp;
            PROTOCOL_UDP: parse_udp;
            PROTOCOL_UDPLITE: parse_udp;
            PROTOCOL_SCTP: parse_sctp;
            PROTOCOL_ICMP: parse_icmp;
            default: no_ports;
        }
    }

    state parse_ipv6 {
        ipv6_pieces_t pieces = packet.lookahead<ipv6_pieces_t>();
        meta.src_high = pieces.src_high;
        meta.src_low = pieces.src_low;
        meta.dst_first = pieces.dst0;
        meta.dst_sum = meta.dst_sum + (bit<64>) pieces.dst0;
        meta.dst_sum = meta.dst_sum + (bit<64>) pieces.dst1;
        meta.dst_sum = meta.dst_sum + (bit<64>) pieces.dst2;
        meta.dst_sum = meta.dst_sum + (bit<64>) pieces.dst3;
        ipv6_halves_t destination = packet.lookahead<ipv6_halves_t>();
        meta.dst_high = destination.dst_high;
        meta.dst_low = destination.dst_low;
        packet.extract(hdr.ipv6);
        meta.ip_version = 6;
        meta.src_v6 = hdr.ipv6.src;
        meta.dst_v6 = hdr.ipv6.dst;
        meta.protocol = hdr.ipv6.next_header;
        meta.l4_length = hdr.ipv6.payload_length;
        transition select(hdr.ipv6.version_class_flow & 0xf0000000) {
            0x60000000: parse_ipv6_next;
            default: accept;
        }
    }

    state parse_ipv6_next {
        transition select(hdr.ipv6.next_header) {
            PROTOCOL_HOP_BY_HOP: parse_extension1;
            PROTOCOL_ROUTING: parse_extension1;
            PROTOCOL_DESTINATION_OPTIONS: parse_extension1;
            PROTOCOL_FRAGMENT: parse_fragment;
            PROTOCOL_ICMPV6: parse_icmpv6_directly;
            default: parse_ipv6_protocol;
        }
    }

// `more` is the state for a further extension header, `fragment` that for a fragment header.
#define PARSE_EXTENSION(number, more, fragment)                                      \
    state parse_extension##number {                                                  \
        extension_peek_t peek = packet.lookahead<extension_peek_t>();                \
        packet.extract(hdr.extension##number, ((bit<32>) peek.length << 6) + 48);    \
        meta.header_length = meta.header_length + ((bit<16>) peek.length << 3);      \
        meta.header_length = meta.header_length + 8;                                 \
        meta.l4_length = meta.l4_length - ((bit<16>) peek.length << 3);              \
        meta.l4_length = meta.l4_length - 8;                                         \
        meta.protocol = hdr.extension##number.next_header;                           \
        transition select(hdr.extension##number.next_header) {                       \
            PROTOCOL_HOP_BY_HOP: accept;                                             \
            PROTOCOL_ROUTING: more;                                                  \
            PROTOCOL_DESTINATION_OPTIONS: more;                                      \
            PROTOCOL_FRAGMENT: fragment;                                             \
            default: parse_ipv6_protocol;                                            \
        }                                                                            \
    }

    PARSE_EXTENSION(1, parse_extension2, parse_fragment)
    PARSE_EXTENSION(2, parse_extension3, parse_fragment)
    PARSE_EXTENSION(3, parse_extension4, parse_fragment)
    PARSE_EXTENSION(4, parse_extension5, accept)
    PARSE_EXTENSION(5, accept, accept)

    state parse_fragment {
        packet.extract(hdr.fragment);
        meta.header_length = meta.header_length + 8;
        meta.l4_length = meta.l4_length - 8;
        meta.protocol = hdr.fragment.next_header;
        transition select(hdr.fragment.offset_flags & 0xfff8) {
            0: parse_first_fragment;
            default: later_fragment;
        }
    }

    state parse_first_fragment {
        transition select(hdr.fragment.next_header) {
            PROTOCOL_HOP_BY_HOP: accept;
            PROTOCOL_FRAGMENT: accept;
            PROTOCOL_ROUTING: parse_extension4;
            PROTOCOL_DESTINATION_OPTIONS: parse_extension4;
            default: parse_ipv6_protocol;
        }
    }

    state parse_ipv6_protocol {
        transition select(meta.protocol) {
            PROTOCOL_TCP: parse_tcp;
            PROTOCOL_UDP: parse_udp;
            PROTOCOL_UDPLITE: parse_udp;
            PROTOCOL_SCTP: parse_sctp;
            PROTOCOL_ICMPV6: parse_icmp;
            default: no_ports;
        }
    }

    state parse_tcp {
        meta.l4_minimum = 20;
        packet.extract(hdr.ports);
        packet.extract(hdr.tcp);
        meta.tcp_flags = hdr.tcp.flags;
        transition have_ports;
    }

    state parse_udp {
        meta.l4_minimum = 8;
        packet.extract(hdr.ports);
        packet.extract(hdr.udp);
        transition have_ports;
    }

    state parse_sctp {
        meta.l4_minimum = 12;
        packet.extract(hdr.ports);
        transition have_ports;
    }

    state have_ports {
        meta.l4_kind = L4_PORTS;
        meta.src_port = hdr.ports.src;
        meta.dst_port = hdr.ports.dst;
        meta.parsed = 1;
        transition accept;
    }

    // An ICMP header that the datagram cuts short has no type and code (and may not be in the frame).
#define IF_CUT_SHORT_ELSE(whole)              \
        transition select(meta.l4_length) {   \
            0: no_ports;                      \
            1: no_ports;                      \
            2: no_ports;                      \
            3: no_ports;                      \
            4: no_ports;                      \
            5: no_ports;                      \
            6: no_ports;                      \
            7: no_ports;                      \
            default: whole;                   \
        }

    state parse_icmp {
        IF_CUT_SHORT_ELSE(parse_whole_icmp)
    }

    state parse_whole_icmp {
        packet.extract(hdr.icmp);
        meta.l4_kind = L4_ICMP;
        meta.icmp_type = hdr.icmp.type;
        meta.icmp_code = hdr.icmp.code;
        meta.parsed = 1;
        transition parse_icmp_type;
    }

    state parse_icmp_type {
        transition select(meta.ip_version, hdr.icmp.type) {
            (4, ICMP_ECHO_REQUEST): parse_echo;
            (4, ICMP_ECHO_REPLY): parse_echo;
            (6, ICMPV6_ECHO_REQUEST): parse_echo;
            (6, ICMPV6_ECHO_REPLY): parse_echo;
            (4, ICMP_UNREACHABLE): parse_error_v4;
            (4, ICMP_SOURCE_QUENCH): parse_error_v4;
            (4, ICMP_TIME_EXCEEDED): parse_error_v4;
            (4, ICMP_PARAMETER_PROBLEM): parse_error_v4;
            (6, ICMPV6_UNREACHABLE): parse_error_v6;
            (6, ICMPV6_TOO_BIG): parse_error_v6;
            (6, ICMPV6_TIME_EXCEEDED): parse_error_v6;
            (6, ICMPV6_PARAMETER_PROBLEM): parse_error_v6;
            default: accept;
        }
    }

    state parse_echo {
        packet.extract(hdr.echo);
        transition accept;
    }

    // What an ICMP error quotes: its header, and the eight bytes behind that. One that has less, or quotes
    // something else, is a packet like any other: nothing is read. The parser can't compare, but
    // a difference below zero has its highest bit set.
    state parse_error_v4 {
        meta.inner_room = meta.l4_length - 36;
        transition select(meta.inner_room & 0x8000) {
            0: parse_inner_v4;
            default: accept;
        }
    }

    state parse_inner_v4 {
        packet.extract(hdr.quoting);
        packet.extract(hdr.inner_ipv4);
        meta.inner_protocol = hdr.inner_ipv4.protocol;
        transition select(hdr.inner_ipv4.version_ihl) {
            0x45: parse_inner_fragment;
            0x46: parse_inner_length;
            0x47: parse_inner_length;
            0x48: parse_inner_length;
            0x49: parse_inner_length;
            0x4a: parse_inner_length;
            0x4b: parse_inner_length;
            0x4c: parse_inner_length;
            0x4d: parse_inner_length;
            0x4e: parse_inner_length;
            0x4f: parse_inner_length;
            default: accept;
        }
    }

    state parse_inner_length {
        meta.inner_room = meta.inner_room + 20;
        meta.inner_room = meta.inner_room - (((bit<16>) hdr.inner_ipv4.version_ihl & 0x0f) << 2);
        transition select(meta.inner_room & 0x8000) {
            0: parse_inner_options;
            default: accept;
        }
    }

    state parse_inner_options {
        packet.extract(hdr.inner_options, (((bit<32>) hdr.inner_ipv4.version_ihl & 0x0f) << 5) - 160);
        transition parse_inner_fragment;
    }

    state parse_inner_fragment {
        transition select(hdr.inner_ipv4.flags_fragment & 0x1fff) {
            0: parse_inner_protocol;
            default: accept;
        }
    }

    // The quoted packet must not have extension headers.
    state parse_error_v6 {
        meta.inner_room = meta.l4_length - 56;
        transition select(meta.inner_room & 0x8000) {
            0: parse_inner_v6;
            default: accept;
        }
    }

    state parse_inner_v6 {
        packet.extract(hdr.quoting);
        ipv6_halves_t halves = packet.lookahead<ipv6_halves_t>();
        meta.inner_src_high = halves.src_high;
        meta.inner_src_low = halves.src_low;
        meta.inner_dst_high = halves.dst_high;
        meta.inner_dst_low = halves.dst_low;
        packet.extract(hdr.inner_ipv6);
        meta.inner_protocol = hdr.inner_ipv6.next_header;
        transition select(hdr.inner_ipv6.version_class_flow & 0xf0000000) {
            0x60000000: parse_inner_protocol;
            default: accept;
        }
    }

    state parse_inner_protocol {
        transition select(meta.ip_version, meta.inner_protocol) {
            (4, PROTOCOL_TCP): parse_inner_ports;
            (4, PROTOCOL_UDP): parse_inner_ports;
            (4, PROTOCOL_SCTP): parse_inner_ports;
            (4, PROTOCOL_ICMP): parse_inner_icmp;
            (6, PROTOCOL_TCP): parse_inner_ports;
            (6, PROTOCOL_UDP): parse_inner_ports;
            (6, PROTOCOL_SCTP): parse_inner_ports;
            (6, PROTOCOL_ICMPV6): parse_inner_icmp;
            default: accept;
        }
    }

    state parse_inner_ports {
        packet.extract(hdr.inner_ports);
        meta.inner = 1;
        transition select(meta.inner_protocol) {
            PROTOCOL_UDP: parse_inner_udp;
            default: accept;
        }
    }

    state parse_inner_udp {
        packet.extract(hdr.inner_udp);
        transition accept;
    }

    state parse_inner_icmp {
        packet.extract(hdr.inner_icmp);
        transition select(meta.ip_version, hdr.inner_icmp.type) {
            (4, ICMP_ECHO_REQUEST): parse_inner_echo;
            (4, ICMP_ECHO_REPLY): parse_inner_echo;
            (6, ICMPV6_ECHO_REQUEST): parse_inner_echo;
            (6, ICMPV6_ECHO_REPLY): parse_inner_echo;
            default: accept;
        }
    }

    state parse_inner_echo {
        packet.extract(hdr.inner_echo);
        meta.inner = 1;
        transition accept;
    }

    // Without extension headers before it, the message may be a neighbour solicitation; one with
    // exactly one link-layer address option is 32 bytes long and is read whole.
    state parse_icmpv6_directly {
        IF_CUT_SHORT_ELSE(parse_message)
    }

    state parse_message {
        packet.extract(hdr.icmp);
        meta.l4_kind = L4_ICMP;
        meta.icmp_type = hdr.icmp.type;
        meta.icmp_code = hdr.icmp.code;
        meta.parsed = 1;
        transition select(hdr.icmp.type) {
            ICMPV6_NEIGHBOUR_SOLICITATION: parse_solicitation;
            default: parse_icmp_type;
        }
    }

    state parse_solicitation {
        transition select(hdr.ipv6.payload_length) {
            32: parse_neighbour;
            default: accept;
        }
    }

    // The sum that the checksum of the advertisement will be made of, but for our MAC, by the
    // difference of the two messages (RFC 1624): out go the destination and the asker's MAC, in come
    // the target as source (it stays in the message as well) and the changed type, flags and option
    // type. What moves from source to destination changes nothing. The first constant is a multiple
    // of 0xffff, that is nothing, and keeps the sum positive.
    state parse_neighbour {
        neighbour_pieces_t pieces = packet.lookahead<neighbour_pieces_t>();
        meta.sum = meta.sum + SUM_BIAS;
        meta.sum = meta.sum + ADVERTISEMENT_DIFFERENCE;
        meta.sum = meta.sum - (bit<64>) hdr.icmp.checksum;
        meta.sum = meta.sum - meta.dst_sum;
        meta.sum = meta.sum + (bit<64>) pieces.target0;
        meta.sum = meta.sum + (bit<64>) pieces.target1;
        meta.sum = meta.sum + (bit<64>) pieces.target2;
        meta.sum = meta.sum + (bit<64>) pieces.target3;
        meta.sum = meta.sum - (bit<64>) pieces.mac_high;
        meta.sum = meta.sum - (bit<64>) pieces.mac_low;
        packet.extract(hdr.neighbour);
        transition accept;
    }

    state later_fragment {
        meta.l4_kind = L4_FRAGMENT;
        meta.parsed = 1;
        transition accept;
    }

    state no_ports {
        meta.parsed = 1;
        transition accept;
    }
}

// Compares the lengths that the headers claim, and verifies the IPv4 header checksum
// (RFC 1812 5.2.2 asks both of a router). Sets state and reason.
//
// Sums are made in the parser, each step from the field itself, and folded in an `if` each: within
// a block the compiler replaces a variable by the expression it was given, once for each use,
// and in an action it makes wrong code where two uses share a part.
control ParseCheck(in headers_t hdr, inout metadata_t meta) {
    @hidden
    action bad() {
        meta.state = STATE_DROP;
        meta.reason = REASON_PARSE;
    }

    apply {
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (meta.parsed == 0) {
            bad();
        } else if (meta.ip_version == 4) {
            if (meta.sum != 0xffff) {
                bad();
            } else if (hdr.ipv4.total_length < meta.header_length) {
                bad();
            }
        } else if (meta.ip_version == 6) {
            if (hdr.ipv6.payload_length < meta.header_length) {
                bad();
            }
        }
        if (meta.l4_kind == L4_PORTS) {
            if (meta.l4_length < meta.l4_minimum) {
                bad();
            }
        }
    }
}

#endif
