// qos: what a workload may send and receive (Felix's QoSControls; translator/qos.py says the rates).
//
//   egress_packets, ingress_packets (by endpoint)   packets per second: over it, drop, reason rate. What a workload
//       sends is counted before any flow is looked up, what it receives behind routing; of a
//       flow that is established, too
//   egress_bytes, ingress_bytes (by endpoint)       bandwidth, by the length of the frame: what every stage let
//       pass and is over it is dropped, reason rate
//
// An endpoint without a rate has everything green, and so has what comes from or goes to nobody's (index 0). Bandwidth
// is policed, where Linux's token bucket filter delays.

#ifndef CORE_QOS_P4
#define CORE_QOS_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control EgressRate(inout metadata_t meta) {
    @id(METER_ID(STAGE_QOS, 01))
    PACKET_METER(egress_packets, SIZE_BINDING);

    @hidden
    action over() {
        meta.state = STATE_DROP;
        meta.reason = REASON_RATE;
    }

    apply {
        METER(meta.colour, egress_packets, meta.src_endpoint, 1)
        if (IS_OVER(meta.colour)) {
            over();
        }
    }
}

control IngressRate(inout metadata_t meta) {
    @id(METER_ID(STAGE_QOS, 02))
    PACKET_METER(ingress_packets, SIZE_BINDING);

    @hidden
    action over() {
        meta.state = STATE_DROP;
        meta.reason = REASON_RATE;
    }

    apply {
        METER(meta.colour, ingress_packets, meta.dst_endpoint, 1)
        if (IS_OVER(meta.colour)) {
            over();
        }
    }
}

// Length of the frame by what its IP header claims: padding counts for nothing.
control Bandwidth(in headers_t hdr, inout metadata_t meta) {
    bit<32> length;

    @id(METER_ID(STAGE_QOS, 03))
    BYTE_METER(egress_bytes, SIZE_BINDING);

    @id(METER_ID(STAGE_QOS, 04))
    BYTE_METER(ingress_bytes, SIZE_BINDING);

    @hidden
    action over() {
        meta.state = STATE_DROP;
        meta.reason = REASON_RATE;
    }

    apply {
        if (meta.ip_version == 4) {
            length = (bit<32>) hdr.ipv4.total_length + 14;
        } else {
            length = (bit<32>) hdr.ipv6.payload_length + 54;
        }
        if (meta.from == KIND_WORKLOAD) {
            METER(meta.colour, egress_bytes, meta.src_endpoint, length)
            if (IS_OVER(meta.colour)) {
                over();
            }
        }
        if (meta.state == STATE_ON && meta.to == KIND_WORKLOAD) {
            METER(meta.colour, ingress_bytes, meta.dst_endpoint, length)
            if (IS_OVER(meta.colour)) {
                over();
            }
        }
    }
}

#endif
