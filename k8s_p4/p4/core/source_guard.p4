// source guard: a workload sends from its own addresses only (Calico's strict reverse path check).
//
//   source_host_v4/v6 (exact endpoint, exact address)   a /32 or /128 of the endpoint
//   source_net_v4/v6  (exact endpoint, prefix)          wider nets, allow_spoofed_source_prefixes
//
// No row in either: drop, reason spoofed. ICMPv6 from an IPv6 link-local address is excepted.

#ifndef CORE_SOURCE_GUARD_P4
#define CORE_SOURCE_GUARD_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

control SourceGuard(inout metadata_t meta) {
    bit<8> link_local;

    @id(ACTION_ID(STAGE_SOURCE_GUARD, 01))
    action source_ok() {
    }

    // Not an address of its own: the nets are asked next.
    @id(ACTION_ID(STAGE_SOURCE_GUARD, 02))
    action ask_nets() {
    }

    @id(ACTION_ID(STAGE_SOURCE_GUARD, 03))
    action spoofed() {
        meta.state = STATE_DROP;
        meta.reason = REASON_SPOOFED;
    }

    @id(TABLE_ID(STAGE_SOURCE_GUARD, 01))
    table source_host_v4 {
        key = {
            meta.src_endpoint: exact @name("endpoint");
            meta.src_v4: exact @name("address");
        }
        actions = { source_ok; @defaultonly ask_nets; }
        const default_action = ask_nets();
        size = SIZE_SOURCE_HOST;
    }

    @id(TABLE_ID(STAGE_SOURCE_GUARD, 02))
    table source_net_v4 {
        key = {
            meta.src_endpoint: exact @name("endpoint");
            meta.src_v4: lpm @name("prefix");
        }
        actions = { source_ok; @defaultonly spoofed; }
        const default_action = spoofed();
        size = SIZE_SOURCE_NET;
    }

    @id(TABLE_ID(STAGE_SOURCE_GUARD, 03))
    table source_host_v6 {
        key = {
            meta.src_endpoint: exact @name("endpoint");
            meta.src_v6: exact @name("address");
        }
        actions = { source_ok; @defaultonly ask_nets; }
        const default_action = ask_nets();
        size = SIZE_SOURCE_HOST;
    }

    @id(TABLE_ID(STAGE_SOURCE_GUARD, 04))
    table source_net_v6 {
        key = {
            meta.src_endpoint: exact @name("endpoint");
            meta.src_v6: lpm @name("prefix");
        }
        actions = { source_ok; @defaultonly spoofed; }
        const default_action = spoofed();
        size = SIZE_SOURCE_NET;
    }

    apply {
        if (meta.ip_version == 4) {
            if (source_host_v4.apply().miss) {
                source_net_v4.apply();
            }
        } else {
            link_local = 0;
            if (meta.protocol == PROTOCOL_ICMPV6) {
                if (meta.src_high & 0xffc0000000000000 == 0xfe80000000000000) {
                    link_local = 1;
                }
            }
            if (link_local == 0) {
                if (source_host_v6.apply().miss) {
                    source_net_v6.apply();
                }
            }
        }
    }
}

#endif
