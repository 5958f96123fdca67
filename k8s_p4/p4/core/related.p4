// related: ICMP errors about a tracked flow. The packet that the error quotes went the other way, so the
// error is looked up as what answers that packet, between the owners of the quoted addresses:
// the error itself may come from any router. It must go to who sent the quoted packet, or anybody
// could send anything anywhere by quoting a flow of somebody's.
//
// Found: accepted as the flow is, and nothing is prolonged. Not found: a packet like any other, and
// never learned.

#ifndef CORE_RELATED_P4
#define CORE_RELATED_P4

#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"

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

control RelatedFound(inout metadata_t meta) {
    apply {
        if (meta.flow != FLOW_NONE) {
            meta.established = 1;
            meta.reason = REASON_RELATED;
        }
    }
}

#endif
