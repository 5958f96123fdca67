// routing: where the packet goes.
//
//   local_v4/v6 (exact address)   addresses of local endpoints and of the node itself
//       to_workload          an active endpoint
//       to_workload_closed   an endpoint that is down or Degraded: nothing goes to it
//       to_host              the node; from_workload: DefaultEndpointToHostAction, 1 accept
//   route_v4/v6 (prefix)          what is not local
//       to_uplink            by this next hop
//       to_tunnel            by this tunnel (tunnel.p4)
//       blackhole            drop, reason blackhole
//
// No row in either: drop, reason no_route.
//
// Flows want to know of several addresses whose they are, so local is a control of its own (Owner) that
// takes the address from metadata; Routing goes by the last answer, which must be that of
// the destination. incarnation: a number that no other endpoint has had, nor this one before it was
// removed and came back.

#ifndef CORE_ROUTING_P4
#define CORE_ROUTING_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control Owner(inout metadata_t meta) {
    @id(ACTION_ID(STAGE_ROUTING, 01))
    action to_workload(bit<32> endpoint, bit<32> next_hop, bit<32> incarnation) {
        meta.owner = KIND_WORKLOAD;
        meta.owner_endpoint = endpoint;
        meta.owner_next_hop = next_hop;
        meta.owner_incarnation = incarnation;
        meta.owner_reason = REASON_NONE;
    }

    @id(ACTION_ID(STAGE_ROUTING, 02))
    action to_workload_closed(bit<32> endpoint, bit<8> reason, bit<32> incarnation) {
        meta.owner = KIND_WORKLOAD;
        meta.owner_endpoint = endpoint;
        meta.owner_incarnation = incarnation;
        meta.owner_reason = reason;
    }

    @id(ACTION_ID(STAGE_ROUTING, 03))
    action to_host(bit<32> next_hop, bit<8> from_workload) {
        meta.owner = KIND_HOST;
        meta.owner_next_hop = next_hop;
        meta.owner_from_workload = from_workload;
        meta.owner_incarnation = 0;
        meta.owner_reason = REASON_NONE;
    }

    // Not local: the routes are asked next.
    @id(ACTION_ID(STAGE_ROUTING, 06))
    action ask_routes() {
        meta.owner = KIND_NONE;
        meta.owner_incarnation = 0;
        meta.owner_reason = REASON_NONE;
    }

    @id(TABLE_ID(STAGE_ROUTING, 01))
    table local_v4 {
        key = { meta.ask_v4: exact @name("address"); }
        actions = { to_workload; to_workload_closed; to_host; @defaultonly ask_routes; }
        const default_action = ask_routes();
        size = SIZE_LOCAL;
    }

    @id(TABLE_ID(STAGE_ROUTING, 03))
    table local_v6 {
        key = { meta.ask_v6: exact @name("address"); }
        actions = { to_workload; to_workload_closed; to_host; @defaultonly ask_routes; }
        const default_action = ask_routes();
        size = SIZE_LOCAL;
    }

    apply {
        if (meta.ip_version == 4) {
            local_v4.apply();
        } else {
            local_v6.apply();
        }
    }
}

// Whose the destination is.
control AskDestination(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.ask_v4 = hdr.ipv4.dst;
        } else {
            meta.ask_v6 = hdr.ipv6.dst;
        }
    }
}

// Whose the source is, on the wire: what answers goes there.
control AskSource(inout metadata_t meta) {
    apply {
        if (meta.ip_version == 4) {
            meta.ask_v4 = meta.src_v4;
        } else {
            meta.ask_v6 = meta.src_v6;
        }
    }
}

control Routing(in headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(STAGE_ROUTING, 04))
    action to_uplink(bit<32> next_hop) {
        meta.to = KIND_UPLINK;
        meta.next_hop = next_hop;
        // What the node sends to a service is routed twice.
        meta.tunnel = 0;
    }

    @id(ACTION_ID(STAGE_ROUTING, 05))
    action blackhole() {
        meta.state = STATE_DROP;
        meta.reason = REASON_BLACKHOLE;
    }

    @id(ACTION_ID(STAGE_ROUTING, 08))
    action to_tunnel(bit<32> tunnel) {
        meta.to = KIND_UPLINK;
        meta.tunnel = tunnel;
    }

    @id(ACTION_ID(STAGE_ROUTING, 07))
    action no_route() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_ROUTE;
    }

    @id(TABLE_ID(STAGE_ROUTING, 02))
    table route_v4 {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { to_uplink; to_tunnel; blackhole; @defaultonly no_route; }
        const default_action = no_route();
        size = SIZE_ROUTE;
    }

    @id(TABLE_ID(STAGE_ROUTING, 04))
    table route_v6 {
        key = { hdr.ipv6.dst: lpm @name("prefix"); }
        actions = { to_uplink; to_tunnel; blackhole; @defaultonly no_route; }
        const default_action = no_route();
        size = SIZE_ROUTE;
    }

    @hidden
    action closed() {
        meta.state = STATE_DROP;
        meta.reason = meta.owner_reason;
    }

    apply {
        if (meta.owner == KIND_NONE) {
            if (meta.ip_version == 4) {
                route_v4.apply();
            } else {
                route_v6.apply();
            }
        } else {
            meta.tunnel = 0;
            meta.to = meta.owner;
            meta.dst_endpoint = meta.owner_endpoint;
            meta.next_hop = meta.owner_next_hop;
            meta.from_workload = meta.owner_from_workload;
            if (meta.owner_reason != REASON_NONE) {
                closed();
            }
        }
    }
}

#endif
