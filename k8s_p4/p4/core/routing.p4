// routing: where the packet goes.
//
//   local_v4/v6 (exact address)   addresses of local endpoints and of the node itself
//       to_workload          an active endpoint
//       to_workload_closed   an endpoint that is down or Degraded: nothing goes to it
//       to_host              the node; from_workload: DefaultEndpointToHostAction, 1 accept
//   route_v4/v6 (prefix)          what is not local
//       to_uplink            by this next hop
//       blackhole            drop, reason blackhole
//
// No row in either: drop, reason no_route.

#ifndef CORE_ROUTING_P4
#define CORE_ROUTING_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control Routing(in headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(STAGE_ROUTING, 01))
    action to_workload(bit<32> endpoint, bit<32> next_hop) {
        meta.to = KIND_WORKLOAD;
        meta.dst_endpoint = endpoint;
        meta.next_hop = next_hop;
    }

    @id(ACTION_ID(STAGE_ROUTING, 02))
    action to_workload_closed(bit<32> endpoint, bit<8> reason) {
        meta.to = KIND_WORKLOAD;
        meta.dst_endpoint = endpoint;
        meta.state = STATE_DROP;
        meta.reason = reason;
    }

    @id(ACTION_ID(STAGE_ROUTING, 03))
    action to_host(bit<32> next_hop, bit<8> from_workload) {
        meta.to = KIND_HOST;
        meta.next_hop = next_hop;
        meta.from_workload = from_workload;
    }

    @id(ACTION_ID(STAGE_ROUTING, 04))
    action to_uplink(bit<32> next_hop) {
        meta.to = KIND_UPLINK;
        meta.next_hop = next_hop;
    }

    @id(ACTION_ID(STAGE_ROUTING, 05))
    action blackhole() {
        meta.state = STATE_DROP;
        meta.reason = REASON_BLACKHOLE;
    }

    // Not local: the routes are asked next.
    @id(ACTION_ID(STAGE_ROUTING, 06))
    action ask_routes() {
    }

    @id(ACTION_ID(STAGE_ROUTING, 07))
    action no_route() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_ROUTE;
    }

    @id(TABLE_ID(STAGE_ROUTING, 01))
    table local_v4 {
        key = { hdr.ipv4.dst: exact @name("address"); }
        actions = { to_workload; to_workload_closed; to_host; @defaultonly ask_routes; }
        const default_action = ask_routes();
        size = SIZE_LOCAL;
    }

    @id(TABLE_ID(STAGE_ROUTING, 02))
    table route_v4 {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { to_uplink; blackhole; @defaultonly no_route; }
        const default_action = no_route();
        size = SIZE_ROUTE;
    }

    @id(TABLE_ID(STAGE_ROUTING, 03))
    table local_v6 {
        key = { hdr.ipv6.dst: exact @name("address"); }
        actions = { to_workload; to_workload_closed; to_host; @defaultonly ask_routes; }
        const default_action = ask_routes();
        size = SIZE_LOCAL;
    }

    @id(TABLE_ID(STAGE_ROUTING, 04))
    table route_v6 {
        key = { hdr.ipv6.dst: lpm @name("prefix"); }
        actions = { to_uplink; blackhole; @defaultonly no_route; }
        const default_action = no_route();
        size = SIZE_ROUTE;
    }

    apply {
        if (meta.ip_version == 4) {
            if (local_v4.apply().miss) {
                route_v4.apply();
            }
        } else {
            if (local_v6.apply().miss) {
                route_v6.apply();
            }
        }
    }
}

#endif
