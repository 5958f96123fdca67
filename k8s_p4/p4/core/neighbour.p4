// neighbour: the switch answers ARP requests and neighbour solicitations of workloads for the
// gateway addresses (Calico's 169.254.1.1, and the link-local address of ee:ee:ee:ee:ee:ee).
//
//   arp_answer (exact target)   request on a workload port -> reply, out by the same port
//   nd_answer  (exact target)   solicitation on a workload port -> advertisement, likewise
//   answer_port (exact ingress port)   the way back, one row per workload port
//
// The answer has state ANSWERED and reason neighbour. ARP is never forwarded: what is not answered
// is dropped, reason neighbour. So is a solicitation (hop limit 255, RFC 4861 7.1.1) that we can't
// answer: from the unspecified address (duplicate detection), without exactly one source
// link-layer option, or multicast for a target we don't have. A unicast one for another
// target goes on as any packet does.

#ifndef CORE_NEIGHBOUR_P4
#define CORE_NEIGHBOUR_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

// Makes an advertisement of the solicitation; its Ethernet addresses are swapped already. The sum
// comes from the parser, folded to 16 bits; what is missing in it is our MAC.
control Advertise(inout headers_t hdr, inout metadata_t meta) {
    bit<64> mac;

    apply {
        mac = (bit<64>) hdr.ethernet.src;
        if (hdr.neighbour.isValid()) {
            meta.sum = meta.sum + (mac >> 32) + (mac & 0xffffffff);
        }
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (meta.sum > 0xffff) {
            meta.sum = (meta.sum & 0xffff) + (meta.sum >> 16);
        }
        if (hdr.neighbour.isValid()) {
            hdr.icmp.checksum = (bit<16>) meta.sum ^ 0xffff;
            hdr.icmp.type = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
            hdr.neighbour.flags = ND_ADVERTISEMENT_FLAGS;
            hdr.neighbour.option_type = ND_TARGET_LINK_LAYER;
            hdr.neighbour.option_mac = hdr.ethernet.src;
            hdr.ipv6.dst = hdr.ipv6.src;
            hdr.ipv6.src = hdr.neighbour.target;
        }
    }
}

control Neighbour(inout headers_t hdr, inout metadata_t meta) {
    Advertise() advertise;
    bit<32> asked;

    @hidden
    action refuse() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NEIGHBOUR;
    }

    @id(ACTION_ID(STAGE_NEIGHBOUR, 01))
    action arp_reply(bit<48> mac) {
        asked = hdr.arp.target_ip;
        hdr.arp.operation = ARP_REPLY;
        hdr.arp.target_mac = hdr.arp.sender_mac;
        hdr.arp.target_ip = hdr.arp.sender_ip;
        hdr.arp.sender_mac = mac;
        hdr.arp.sender_ip = asked;
        hdr.ethernet.dst = hdr.ethernet.src;
        hdr.ethernet.src = mac;
        meta.state = STATE_ANSWERED;
        meta.reason = REASON_NEIGHBOUR;
    }

    @id(ACTION_ID(STAGE_NEIGHBOUR, 03))
    action arp_unknown() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NEIGHBOUR;
    }

    @id(TABLE_ID(STAGE_NEIGHBOUR, 01))
    table arp_answer {
        key = { hdr.arp.target_ip: exact @name("target"); }
        actions = { arp_reply; @defaultonly arp_unknown; }
        const default_action = arp_unknown();
        size = SIZE_NEIGHBOUR;
    }

    @id(ACTION_ID(STAGE_NEIGHBOUR, 02))
    action nd_reply(bit<48> mac) {
        hdr.ethernet.dst = hdr.ethernet.src;
        hdr.ethernet.src = mac;
        meta.state = STATE_ANSWERED;
        meta.reason = REASON_NEIGHBOUR;
    }

    // Not ours. A link-scope multicast can't be forwarded and is dropped; a unicast goes on.
    @id(ACTION_ID(STAGE_NEIGHBOUR, 04))
    action nd_unknown() {
    }

    @id(TABLE_ID(STAGE_NEIGHBOUR, 02))
    table nd_answer {
        key = { hdr.neighbour.target: exact @name("target"); }
        actions = { nd_reply; @defaultonly nd_unknown; }
        const default_action = nd_unknown();
        size = SIZE_NEIGHBOUR;
    }

    // Filled for every workload port with that same port: p4c-dpdk takes a port that is known at
    // run time from action data only, so `the port it came by` must be looked up.
    @id(ACTION_ID(STAGE_NEIGHBOUR, 05))
    action send_back(bit<32> port) {
        SET_EGRESS_PORT(port)
    }

    @id(ACTION_ID(STAGE_NEIGHBOUR, 06))
    action no_way_back() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NEIGHBOUR;
    }

    @id(TABLE_ID(STAGE_NEIGHBOUR, 03))
    table answer_port {
        key = { meta.ingress_port: exact @name("ingress_port"); }
        actions = { send_back; @defaultonly no_way_back; }
        const default_action = no_way_back();
        size = SIZE_PORT;
    }

    apply {
        if (hdr.arp.isValid()) {
            if (meta.from != KIND_WORKLOAD) {
                refuse();
            } else if (hdr.arp.operation != ARP_REQUEST) {
                refuse();
            } else if (hdr.arp.hardware_type != 1) {
                refuse();
            } else if (hdr.arp.protocol_type != ETHERTYPE_IPV4) {
                refuse();
            } else if (hdr.arp.lengths != 0x0604) {
                refuse();
            } else {
                arp_answer.apply();
            }
        } else if (meta.from == KIND_WORKLOAD) {
            if (meta.ip_version == 6) {
                if (meta.l4_kind == L4_ICMP) {
                    if (meta.icmp_type == ICMPV6_NEIGHBOUR_SOLICITATION) {
                        if (hdr.ipv6.hop_limit == 255) {
                            if (hdr.neighbour.isValid()) {
                                if (meta.src_high == 0 && meta.src_low == 0) {
                                    refuse();
                                } else if (meta.icmp_code != 0) {
                                    refuse();
                                } else if (hdr.neighbour.option_type != ND_SOURCE_LINK_LAYER) {
                                    refuse();
                                } else if (hdr.neighbour.option_length != 1) {
                                    refuse();
                                } else if (nd_answer.apply().miss) {
                                    if (meta.dst_first & 0xff000000 == 0xff000000) {
                                        refuse();
                                    }
                                }
                            } else {
                                refuse();
                            }
                        }
                    }
                }
            }
        }
        if (meta.state == STATE_ANSWERED) {
            advertise.apply(hdr, meta);
            answer_port.apply();
        }
    }
}

#endif
