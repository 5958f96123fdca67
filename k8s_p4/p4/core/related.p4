// related: ICMP errors about a tracked flow. The packet that the error quotes went the other way, so the
// error is looked up as what answers that packet, between the owners of the quoted addresses:
// the error itself may come from any router. It must go to who sent the quoted packet, or anybody
// could send anything anywhere by quoting a flow of somebody's.
//
// Found: accepted as the flow is, and nothing is prolonged; it goes to who sent the quoted packet before that
// was translated, and quotes it as it was then. Its own source stays a router's, but is translated if it
// is the quoted destination. Not found, or of a flow that present policy has not accepted yet: a packet like any other, and never learned.

#ifndef CORE_RELATED_P4
#define CORE_RELATED_P4

#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"
#include "translate.p4"

// Whether the error goes to who sent what it quotes.
control RelatedGoesBack(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.inner == 1) {
            if (meta.ip_version == 4) {
                if (hdr.inner_ipv4.src != hdr.ipv4.dst) {
                    meta.inner = 0;
                }
            } else {
                if (meta.inner_src_high != meta.dst_high) {
                    meta.inner = 0;
                }
                if (meta.inner_src_low != meta.dst_low) {
                    meta.inner = 0;
                }
            }
        }
    }
}

// The owner of the quoted destination. That of the quoted source is known: the error goes there.
control AskInnerDestination(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.ask_v4 = hdr.inner_ipv4.dst;
        } else {
            meta.ask_v6 = hdr.inner_ipv6.dst;
        }
    }
}

// The tuple of what answers the quoted packet.
control AskInnerAnswer(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.flow_src_v4 = hdr.inner_ipv4.dst;
            meta.flow_dst_v4 = hdr.inner_ipv4.src;
        } else {
            meta.flow_src_v6 = hdr.inner_ipv6.dst;
            meta.flow_dst_v6 = hdr.inner_ipv6.src;
        }
        meta.flow_src_incarnation = meta.owner_incarnation;
        meta.flow_dst_incarnation = meta.dst_incarnation;
        meta.timeout_forth = TIMEOUT_LEAVE;
        meta.timeout_back = TIMEOUT_LEAVE;
        meta.timeout_judged = TIMEOUT_LEAVE;
        if (hdr.inner_ports.isValid()) {
            meta.flow_src_port = hdr.inner_ports.dst;
            meta.flow_dst_port = hdr.inner_ports.src;
            meta.flow_protocol = meta.inner_protocol;
        } else {
            meta.flow_src_port = 0;
            meta.flow_dst_port = hdr.inner_echo.identifier;
            meta.flow_protocol = PROTOCOL_ECHO_REPLY;
            if (hdr.inner_icmp.type == ICMP_ECHO_REPLY) {
                meta.flow_src_port = hdr.inner_echo.identifier;
                meta.flow_dst_port = 0;
                meta.flow_protocol = meta.inner_protocol;
            }
            if (hdr.inner_icmp.type == ICMPV6_ECHO_REPLY) {
                meta.flow_src_port = hdr.inner_echo.identifier;
                meta.flow_dst_port = 0;
                meta.flow_protocol = meta.inner_protocol;
            }
        }
    }
}

control RelatedFound(in headers_t hdr, inout metadata_t meta) {
    NewSourceAsFound() source_as_found;
    NewDestinationAsFound() destination_as_found;
    bit<8> from_quoted;

    apply {
        if (meta.epoch != 0 && meta.judged == 0) {
            meta.flow = FLOW_NONE;
        }
        if (meta.flow == FLOW_NONE) {
            meta.inner = 0;
        } else {
            meta.established = 1;
            meta.reason = REASON_RELATED;
            destination_as_found.apply(meta);
            from_quoted = 0;
            if (meta.ip_version == 4) {
                if (hdr.inner_ipv4.dst == meta.src_v4) {
                    from_quoted = 1;
                }
            } else {
                if (meta.inner_dst_high == meta.src_high && meta.inner_dst_low == meta.src_low) {
                    from_quoted = 1;
                }
            }
            if (from_quoted == 1) {
                source_as_found.apply(meta);
            }
        }
    }
}

// The quoted packet as it was before the translation: the other way round than what was found. The key of that look-up has
// the ports that it quotes; of an echo's two one is 0. What is quoted of UDP and echoes has a checksum; that of
// TCP, further behind, is left as it is.
control RewriteInner(inout headers_t hdr, inout metadata_t meta) {
    FoldDifference() fold;
    FoldCheck() fold_check;

    apply {
        meta.outer_difference = 0;
        if (meta.ip_version == 6) {
            meta.outer_difference = meta.difference;
        }
        if (meta.ip_version == 4) {
            meta.difference = (bit<64>) meta.found_src_v4 + (bit<64>) meta.found_dst_v4;
            meta.difference = meta.difference + BIAS_V4;
            meta.difference = meta.difference - (bit<64>) hdr.inner_ipv4.src;
            meta.difference = meta.difference - (bit<64>) hdr.inner_ipv4.dst;
        } else {
            meta.difference = (meta.found_src_high >> 32) + (meta.found_src_high & 0xffffffff);
            meta.difference = meta.difference + (meta.found_src_low >> 32) + (meta.found_src_low & 0xffffffff);
            meta.difference = meta.difference + (meta.found_dst_high >> 32) + (meta.found_dst_high & 0xffffffff);
            meta.difference = meta.difference + (meta.found_dst_low >> 32) + (meta.found_dst_low & 0xffffffff);
            meta.difference = meta.difference + BIAS_V6;
            meta.difference = meta.difference - (meta.inner_src_high >> 32) - (meta.inner_src_high & 0xffffffff);
            meta.difference = meta.difference - (meta.inner_src_low >> 32) - (meta.inner_src_low & 0xffffffff);
            meta.difference = meta.difference - (meta.inner_dst_high >> 32) - (meta.inner_dst_high & 0xffffffff);
            meta.difference = meta.difference - (meta.inner_dst_low >> 32) - (meta.inner_dst_low & 0xffffffff);
        }
        fold.apply(meta);
        if (meta.ip_version == 4) {
            // What the addresses add to the outer checksum, the quoted one takes away.
            meta.l4_difference = meta.difference;
            meta.check = (bit<64>) (hdr.inner_ipv4.checksum ^ 0xffff);
            fold_check.apply(meta);
            hdr.inner_ipv4.checksum = (bit<16>) meta.check ^ 0xffff;
            hdr.inner_ipv4.src = meta.found_dst_v4;
            hdr.inner_ipv4.dst = meta.found_src_v4;
        } else {
            meta.outer_difference = meta.outer_difference + meta.difference;
            hdr.inner_ipv6.src = meta.found_dst_v6;
            hdr.inner_ipv6.dst = meta.found_src_v6;
        }
        meta.l4_difference = (bit<64>) meta.found_src_port + (bit<64>) meta.found_dst_port;
        meta.l4_difference = meta.l4_difference + (bit<64>) (meta.flow_src_port ^ 0xffff);
        meta.l4_difference = meta.l4_difference + (bit<64>) (meta.flow_dst_port ^ 0xffff);
        meta.outer_difference = meta.outer_difference + meta.l4_difference;
        if (hdr.inner_ports.isValid()) {
            hdr.inner_ports.src = meta.found_dst_port;
            hdr.inner_ports.dst = meta.found_src_port;
            meta.difference = meta.difference + meta.l4_difference;
        } else {
            hdr.inner_echo.identifier = meta.found_src_port | meta.found_dst_port;
            if (meta.ip_version == 4) {
                meta.difference = meta.l4_difference;
            } else {
                meta.difference = meta.difference + meta.l4_difference;
            }
        }
        fold.apply(meta);
        meta.l4_difference = meta.difference;
        if (hdr.inner_udp.isValid()) {
            if (hdr.inner_udp.checksum != 0) {
                meta.outer_difference = meta.outer_difference + (meta.l4_difference ^ 0xffff);
                meta.check = (bit<64>) (hdr.inner_udp.checksum ^ 0xffff);
                fold_check.apply(meta);
                hdr.inner_udp.checksum = (bit<16>) meta.check ^ 0xffff;
                if (hdr.inner_udp.checksum == 0) {
                    hdr.inner_udp.checksum = 0xffff;
                }
            }
        } else if (hdr.inner_echo.isValid()) {
            meta.outer_difference = meta.outer_difference + (meta.l4_difference ^ 0xffff);
            meta.check = (bit<64>) (hdr.inner_icmp.checksum ^ 0xffff);
            fold_check.apply(meta);
            hdr.inner_icmp.checksum = (bit<16>) meta.check ^ 0xffff;
        }
        meta.l4_difference = meta.outer_difference;
        meta.check = (bit<64>) (hdr.icmp.checksum ^ 0xffff);
        fold_check.apply(meta);
        hdr.icmp.checksum = (bit<16>) meta.check ^ 0xffff;
    }
}

#endif
