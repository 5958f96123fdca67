// next_hop: how the packet gets to where routing leads it. Rewrites the Ethernet addresses, chooses
// the port, and says which host endpoint stands at the interface: policy on the way out asks.
//
//   next_hop (exact number)   one per local endpoint, per host port, per uplink neighbour
//       send   host_endpoint: of the interface it leaves by, 0 for none; a workload interface has
//              that of all interfaces ("*")
//
// No row: drop, reason neighbour_unknown. A later drop still drops: the port is chosen, not taken.

#ifndef CORE_NEXT_HOP_P4
#define CORE_NEXT_HOP_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "tunnel.p4"

control NextHop(inout headers_t hdr, inout metadata_t meta) {
    TunnelOut() tunnel_out;

    @id(ACTION_ID(STAGE_NEXT_HOP, 01))
    action send(bit<32> port, bit<48> src_mac, bit<48> dst_mac, bit<32> host_endpoint) {
        hdr.ethernet.src = src_mac;
        hdr.ethernet.dst = dst_mac;
        meta.out_endpoint = host_endpoint;
        SET_EGRESS_PORT(port)
    }

    @id(ACTION_ID(STAGE_NEXT_HOP, 02))
    action neighbour_unknown() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NEIGHBOUR_UNKNOWN;
    }

    @id(TABLE_ID(STAGE_NEXT_HOP, 01))
    table next_hop {
        key = { meta.next_hop: exact @name("next_hop"); }
        actions = { send; @defaultonly neighbour_unknown; }
        const default_action = neighbour_unknown();
        size = SIZE_NEXT_HOP;
    }

    apply {
        // What is routed twice may have been for a tunnel first.
        hdr.outer_ipv4.setInvalid();
        hdr.outer_ipv6.setInvalid();
        hdr.vxlan.setInvalid();
        if (meta.tunnel != 0) {
            tunnel_out.apply(hdr, meta);
        }
        if (meta.state == STATE_ON) {
            next_hop.apply();
        }
        // The interface it leaves by is the tunnel's device: the outer packet is the node's own.
        if (meta.tunnel != 0) {
            meta.out_endpoint = meta.tunnel_endpoint;
        }
    }
}

#endif
