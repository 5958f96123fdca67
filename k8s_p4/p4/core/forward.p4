// forward: the last hop. Rewrites the Ethernet addresses, lowers TTL or hop limit of what is
// forwarded (not of what comes from or goes to the node itself), and chooses the port.
//
//   next_hop (exact number)   one per local endpoint, per host port, per uplink neighbour
//
// No row: drop, reason neighbour_unknown. TTL or hop limit 0 or 1: drop, reason ttl.

#ifndef CORE_FORWARD_P4
#define CORE_FORWARD_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control Forward(inout headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(STAGE_FORWARD, 01))
    action send(bit<32> port, bit<48> src_mac, bit<48> dst_mac) {
        hdr.ethernet.src = src_mac;
        hdr.ethernet.dst = dst_mac;
        SET_EGRESS_PORT(port)
    }

    @id(ACTION_ID(STAGE_FORWARD, 02))
    action neighbour_unknown() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NEIGHBOUR_UNKNOWN;
    }

    @id(TABLE_ID(STAGE_FORWARD, 01))
    table next_hop {
        key = { meta.next_hop: exact @name("next_hop"); }
        actions = { send; @defaultonly neighbour_unknown; }
        const default_action = neighbour_unknown();
        size = SIZE_NEXT_HOP;
    }

    @hidden
    action ttl_exceeded() {
        meta.state = STATE_DROP;
        meta.reason = REASON_TTL;
    }

    apply {
        next_hop.apply();
        if (meta.from != KIND_HOST && meta.to != KIND_HOST) {
            if (meta.state == STATE_ON) {
                if (meta.ip_version == 4) {
                    if (hdr.ipv4.ttl <= 1) {
                        ttl_exceeded();
                    } else {
                        // RFC 1624: the word that holds the TTL loses 0x0100, so the checksum gains
                        // it, with end-around carry; 0xffff becomes 0, as a fresh sum would be.
                        if (hdr.ipv4.checksum >= 0xfeff) {
                            hdr.ipv4.checksum = hdr.ipv4.checksum + 0x0101;
                        } else {
                            hdr.ipv4.checksum = hdr.ipv4.checksum + 0x0100;
                        }
                        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
                    }
                } else {
                    if (hdr.ipv6.hop_limit <= 1) {
                        ttl_exceeded();
                    } else {
                        hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
                    }
                }
            }
        }
    }
}

#endif
