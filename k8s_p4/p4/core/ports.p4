// ports: what stands behind the port by which the packet came.
//
//   port (exact ingress port)   one row per workload endpoint interface, host port and uplink
//       workload          an active endpoint; flags: what it may encapsulate
//       workload_closed   an endpoint that is down or Degraded: nothing comes out of it
//       host              the node itself
//       uplink            the network, by an interface of the node or out of a tunnel
//   host_endpoint is the host endpoint of the interface, 0 for none; a workload interface has that
//   of all interfaces ("*").
//       tunnel_device     what was taken out of a packet (tunnel.p4), nothing else
//   A miss is a port nobody told us about: drop, reason unknown_port.

#ifndef CORE_PORTS_P4
#define CORE_PORTS_P4

#include "ids.p4"
#include "sizes.p4"
#include "metadata.p4"

control Ports(inout metadata_t meta) {
    // Filled from WorkloadEndpoint (interface name, state) and the port inventory.
    @id(ACTION_ID(STAGE_PORTS, 01))
    action workload(bit<32> endpoint, bit<8> flags, bit<32> host_endpoint, bit<32> incarnation) {
        meta.from = KIND_WORKLOAD;
        meta.src_endpoint = endpoint;
        meta.flags = flags;
        meta.src_incarnation = incarnation;
        meta.in_endpoint = host_endpoint;
    }

    @id(ACTION_ID(STAGE_PORTS, 02))
    action workload_closed(bit<32> endpoint, bit<8> reason) {
        meta.from = KIND_WORKLOAD;
        meta.src_endpoint = endpoint;
        meta.state = STATE_DROP;
        meta.reason = reason;
    }

    @id(ACTION_ID(STAGE_PORTS, 03))
    action host() {
        meta.from = KIND_HOST;
    }

    @id(ACTION_ID(STAGE_PORTS, 04))
    action uplink(bit<32> host_endpoint) {
        meta.from = KIND_UPLINK;
        meta.in_endpoint = host_endpoint;
    }

    @id(ACTION_ID(STAGE_PORTS, 06))
    action tunnel_device(bit<32> host_endpoint) {
        meta.from = KIND_UPLINK;
        meta.in_endpoint = host_endpoint;
        if (meta.peer == 0) {
            meta.state = STATE_DROP;
            meta.reason = REASON_UNKNOWN_PORT;
        }
    }

    @id(ACTION_ID(STAGE_PORTS, 05))
    action unknown_port() {
        meta.state = STATE_DROP;
        meta.reason = REASON_UNKNOWN_PORT;
    }

    @id(TABLE_ID(STAGE_PORTS, 01))
    table port {
        key = { meta.ingress_port: exact @name("ingress_port"); }
        actions = { workload; workload_closed; host; uplink; tunnel_device; @defaultonly unknown_port; }
        const default_action = unknown_port();
        size = SIZE_PORT;
    }

    apply {
        port.apply();
    }
}

#endif
