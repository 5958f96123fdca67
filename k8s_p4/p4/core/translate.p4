// translate: the tuple that a packet leaves with, and its checksums.
//
// new_* is that tuple: at first what is on the wire, then what the entry of the flow says, or for a new flow
// what nat.p4 makes of the destination and masquerade.p4 of the source. The destination address is
// written at once, because routing and policy go by it; all else at the very end, in one place.
//
// Checksums are corrected by difference (RFC 1624), so one that was wrong stays wrong. Addresses count in
// those of IPv4, TCP, UDP and ICMPv6, ports in those of TCP and UDP, an identifier in those of ICMP
// and ICMPv6. SCTP has a CRC32c over ports and data and none over addresses: its ports are never translated.

#ifndef CORE_TRANSLATE_P4
#define CORE_TRANSLATE_P4

#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"

// Multiples of 0xffff, that is nothing, which keep differences above zero: more than two 32-bit numbers, and
// more than eight.
const bit<64> BIAS_V4 = 0x3fffc0000;
const bit<64> BIAS_V6 = 0xffff00000;

control Untranslated(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.new_src_v4 = meta.src_v4;
            meta.new_dst_v4 = meta.dst_v4;
        } else {
            meta.new_src_v6 = meta.src_v6;
            meta.new_dst_v6 = meta.dst_v6;
            meta.new_src_high = meta.src_high;
            meta.new_src_low = meta.src_low;
            meta.new_dst_high = meta.dst_high;
            meta.new_dst_low = meta.dst_low;
        }
        meta.new_src_port = meta.own_src_port;
        meta.new_dst_port = meta.own_dst_port;
    }
}

control NewSourceAsFound(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.new_src_v4 = meta.found_src_v4;
        } else {
            meta.new_src_v6 = meta.found_src_v6;
            meta.new_src_high = meta.found_src_high;
            meta.new_src_low = meta.found_src_low;
        }
    }
}

control NewDestinationAsFound(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.new_dst_v4 = meta.found_dst_v4;
        } else {
            meta.new_dst_v6 = meta.found_dst_v6;
            meta.new_dst_high = meta.found_dst_high;
            meta.new_dst_low = meta.found_dst_low;
        }
    }
}

// Writes the destination address, and says whether it is another one than before.
control MoveDestination(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            if (meta.new_dst_v4 != meta.dst_v4) {
                meta.moved = 1;
                hdr.ipv4.dst = meta.new_dst_v4;
            }
        } else {
            if (meta.new_dst_high != meta.dst_high || meta.new_dst_low != meta.dst_low) {
                meta.moved = 1;
                hdr.ipv6.dst = meta.new_dst_v6;
            }
        }
    }
}

// Who owns a source that is not the one on the wire is not asked: it is the node's or a service's, no endpoint's.
control SourceMoved(inout metadata_t meta) {
    apply {
        meta.source_moved = 0;
        if (meta.ip_version == 4) {
            if (meta.new_src_v4 != meta.src_v4) {
                meta.source_moved = 1;
            }
        } else {
            if (meta.new_src_high != meta.src_high || meta.new_src_low != meta.src_low) {
                meta.source_moved = 1;
            }
        }
    }
}

// What was found leads to an endpoint that is no more: the packet is new, as it came.
control GoBack(inout headers_t hdr, inout metadata_t meta) {
    apply {
        meta.stale = 1;
        meta.flow = FLOW_NONE;
        meta.established = 0;
        meta.reason = REASON_NONE;
        meta.moved = 0;
        meta.inner = 0;
        if (meta.ip_version == 4) {
            hdr.ipv4.dst = meta.dst_v4;
        } else {
            hdr.ipv6.dst = meta.dst_v6;
        }
    }
}

// Folds metadata.difference to 16 bits.
control FoldDifference(inout metadata_t meta) {
    apply {
        if (meta.difference > 0xffff) {
            meta.difference = (meta.difference & 0xffff) + (meta.difference >> 16);
        }
        if (meta.difference > 0xffff) {
            meta.difference = (meta.difference & 0xffff) + (meta.difference >> 16);
        }
        if (meta.difference > 0xffff) {
            meta.difference = (meta.difference & 0xffff) + (meta.difference >> 16);
        }
    }
}

// The checksum in metadata.check, its complement, gains metadata.l4_difference.
control FoldCheck(inout metadata_t meta) {
    apply {
        meta.check = meta.check + meta.l4_difference;
        if (meta.check > 0xffff) {
            meta.check = (meta.check & 0xffff) + (meta.check >> 16);
        }
        if (meta.check > 0xffff) {
            meta.check = (meta.check & 0xffff) + (meta.check >> 16);
        }
    }
}

// Source and destination address: metadata.difference is what they add to a checksum.
control RewriteAddresses(inout headers_t hdr, inout metadata_t meta) {
    FoldDifference() fold;
    FoldCheck() fold_check;

    apply {
        if (meta.ip_version == 4) {
            meta.difference = (bit<64>) meta.new_src_v4 + (bit<64>) meta.new_dst_v4;
            meta.difference = meta.difference + BIAS_V4;
            meta.difference = meta.difference - (bit<64>) meta.src_v4;
            meta.difference = meta.difference - (bit<64>) meta.dst_v4;
        } else {
            meta.difference = (meta.new_src_high >> 32) + (meta.new_src_high & 0xffffffff);
            meta.difference = meta.difference + (meta.new_src_low >> 32) + (meta.new_src_low & 0xffffffff);
            meta.difference = meta.difference + (meta.new_dst_high >> 32) + (meta.new_dst_high & 0xffffffff);
            meta.difference = meta.difference + (meta.new_dst_low >> 32) + (meta.new_dst_low & 0xffffffff);
            meta.difference = meta.difference + BIAS_V6;
            meta.difference = meta.difference - (meta.src_high >> 32) - (meta.src_high & 0xffffffff);
            meta.difference = meta.difference - (meta.src_low >> 32) - (meta.src_low & 0xffffffff);
            meta.difference = meta.difference - (meta.dst_high >> 32) - (meta.dst_high & 0xffffffff);
            meta.difference = meta.difference - (meta.dst_low >> 32) - (meta.dst_low & 0xffffffff);
        }
        fold.apply(meta);
        if (meta.ip_version == 4) {
            hdr.ipv4.src = meta.new_src_v4;
            meta.l4_difference = meta.difference;
            meta.check = (bit<64>) (hdr.ipv4.checksum ^ 0xffff);
            fold_check.apply(meta);
            hdr.ipv4.checksum = (bit<16>) meta.check ^ 0xffff;
        } else {
            hdr.ipv6.src = meta.new_src_v6;
        }
    }
}

// Ports and the checksum of what is above IP. The identifier of an echo stands where its port would.
control RewritePorts(inout headers_t hdr, inout metadata_t meta) {
    FoldCheck() fold_check;

    apply {
        meta.l4_difference = (bit<64>) meta.new_src_port + (bit<64>) meta.new_dst_port;
        meta.l4_difference = meta.l4_difference + (bit<64>) (meta.own_src_port ^ 0xffff);
        meta.l4_difference = meta.l4_difference + (bit<64>) (meta.own_dst_port ^ 0xffff);
        if (hdr.ports.isValid()) {
            meta.l4_difference = meta.l4_difference + meta.difference;
            hdr.ports.src = meta.new_src_port;
            hdr.ports.dst = meta.new_dst_port;
            if (hdr.tcp.isValid()) {
                meta.check = (bit<64>) (hdr.tcp.checksum ^ 0xffff);
                fold_check.apply(meta);
                hdr.tcp.checksum = (bit<16>) meta.check ^ 0xffff;
            } else if (hdr.udp.isValid()) {
                // None at all over IPv4; a sum of 0 is written as 0xffff (RFC 768).
                if (hdr.udp.checksum != 0) {
                    meta.check = (bit<64>) (hdr.udp.checksum ^ 0xffff);
                    fold_check.apply(meta);
                    hdr.udp.checksum = (bit<16>) meta.check ^ 0xffff;
                    if (hdr.udp.checksum == 0) {
                        hdr.udp.checksum = 0xffff;
                    }
                }
            }
        } else if (hdr.echo.isValid()) {
            if (meta.ip_version == 6) {
                meta.l4_difference = meta.l4_difference + meta.difference;
            }
            if (meta.own_protocol == PROTOCOL_ECHO_REPLY) {
                hdr.echo.identifier = meta.new_dst_port;
            } else {
                hdr.echo.identifier = meta.new_src_port;
            }
            meta.check = (bit<64>) (hdr.icmp.checksum ^ 0xffff);
            fold_check.apply(meta);
            hdr.icmp.checksum = (bit<16>) meta.check ^ 0xffff;
        }
    }
}

#endif
