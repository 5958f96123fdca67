// forward: the last hop. Lowers TTL or hop limit of what is forwarded (not of what comes from or
// goes to the node itself). TTL or hop limit 0 or 1: drop, reason ttl. The Ethernet addresses and
// the port are those that next_hop.p4 found.

#ifndef CORE_FORWARD_P4
#define CORE_FORWARD_P4

#include "headers.p4"
#include "metadata.p4"

control Forward(inout headers_t hdr, inout metadata_t meta) {
    @hidden
    action ttl_exceeded() {
        meta.state = STATE_DROP;
        meta.reason = REASON_TTL;
    }

    apply {
        if (meta.from != KIND_HOST && meta.to != KIND_HOST) {
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

#endif
