// service loop: what is forwarded to the network and still goes to an address of a service, after any translation, would
// come back by the default route of whoever announces those addresses (Calico contract 4.4).
//
//   service_loop_v4/v6 (prefix of the destination)   the ranges that services get their addresses from
//       loops    drop, reason service_loop
//
// A miss goes on. Not asked of what the node itself sends, nor of what goes to it or to a workload.

#ifndef CORE_SERVICE_LOOP_P4
#define CORE_SERVICE_LOOP_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control ServiceLoop(in headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(STAGE_SERVICE_LOOP, 01))
    action loops() {
        meta.state = STATE_DROP;
        meta.reason = REASON_SERVICE_LOOP;
    }

    @id(ACTION_ID(STAGE_SERVICE_LOOP, 02))
    action no_service_there() {
    }

    @id(TABLE_ID(STAGE_SERVICE_LOOP, 01))
    table service_loop_v4 {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { loops; @defaultonly no_service_there; }
        const default_action = no_service_there();
        size = SIZE_SERVICE_LOOP;
    }

    @id(TABLE_ID(STAGE_SERVICE_LOOP, 02))
    table service_loop_v6 {
        key = { hdr.ipv6.dst: lpm @name("prefix"); }
        actions = { loops; @defaultonly no_service_there; }
        const default_action = no_service_there();
        size = SIZE_SERVICE_LOOP;
    }

    apply {
        if (meta.ip_version == 4) {
            service_loop_v4.apply();
        } else {
            service_loop_v6.apply();
        }
    }
}

#endif
