// nat: where the first packet of a flow really goes. Later ones go by the flow's own entry.
//
//   floating_v4/v6   (exact address)   a floating address of a local endpoint
//       to_internal        the endpoint's own address; source: under which it speaks to itself
//   service_v4/v6    (exact address, protocol, port)   a port of a service
//       to_service         two groups of backends, for who is inside (a workload, the node) and outside;
//                          group 0 has none: drop, reason no_backend
//   service_source_v4/v6 (exact group, prefix)   who of outside may, if the service says so
//       source_in_range    no row: drop, reason source_range
//   backend_v4/v6    (exact group, row)   four of its buckets; the bucket is a hash of the flow, masked,
//                                        and its two lowest bits choose among the four
//       to_backends        no row: drop, reason no_backend
//   affinity_v4/v6   (exact group, client address)   the backend a client had; learns
//   affinity_backend_v4/v6 (exact group, address, port)   backends that may be gone back to
//       still_there        no row: the bucket decides anew, by a hash of the client's address
//
// A floating address outranks a service. What is not tracked can't be translated back: a later fragment is
// dropped with reason fragment, anything else (no ports, a RST or echo reply that belongs to nothing) with reason
// no_port; so is SCTP to a backend with another port, because its checksum covers the ports.

#ifndef CORE_NAT_P4
#define CORE_NAT_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"

// to_service flags
const bit<16> SERVICE_MASQUERADE_WORKLOAD = 1;
const bit<16> SERVICE_MASQUERADE_HOST = 2;
const bit<16> SERVICE_MASQUERADE_OUTSIDE = 4;
const bit<16> SERVICE_CHECK_SOURCE = 8;
const bit<16> SERVICE_AFFINITY = 16;
const bit<16> SERVICE_DROP = 32;
// Bits 8 to 10: the number of the timeout of its affinity.

#define ADDRESS_v4(name) bit<32> name
#define ADDRESS_v6(name) bit<128> name, bit<64> high, bit<64> low
#define NEW_DESTINATION_v4(name)                                                       \
        meta.new_dst_v4 = name;
#define NEW_DESTINATION_v6(name)                                                       \
        meta.new_dst_v6 = name;                                                        \
        meta.new_dst_high = high;                                                      \
        meta.new_dst_low = low;
// Under which of its floating addresses an endpoint speaks to itself.
#define HAIRPIN_v4 bit<32> source
#define HAIRPIN_v6 bit<128> source, bit<64> source_high, bit<64> source_low
#define KEEP_HAIRPIN_v4                                                                \
        meta.hairpin_v4 = source;
#define KEEP_HAIRPIN_v6                                                                \
        meta.hairpin_v6 = source;                                                      \
        meta.hairpin_high = source_high;                                               \
        meta.hairpin_low = source_low;
// A bucket of the four that a row of backends holds.
#define BUCKET_v4(number) bit<32> address_##number, bit<16> port_##number
#define BUCKET_v6(number) bit<128> address_##number, bit<64> high_##number, bit<64> low_##number, bit<16> port_##number
#define CHOOSE_v4(number)                                                              \
        if (meta.bucket_place == number) {                                             \
            meta.new_dst_v4 = address_##number;                                        \
            meta.new_dst_port = port_##number;                                         \
        }
#define CHOOSE_v6(number)                                                              \
        if (meta.bucket_place == number) {                                             \
            meta.new_dst_v6 = address_##number;                                        \
            meta.new_dst_high = high_##number;                                         \
            meta.new_dst_low = low_##number;                                           \
            meta.new_dst_port = port_##number;                                         \
        }
#define AFFINITY_LEARNED_v4 { meta.new_dst_port, meta.new_dst_v4 }
#define AFFINITY_LEARNED_v6 { meta.new_dst_port, meta.new_dst_v6, meta.new_dst_high, meta.new_dst_low }
#define AFFINITY_PARAMS_v4 bit<16> port, bit<32> address LEARNED_TOO
#define AFFINITY_PARAMS_v6 bit<16> port, bit<128> address, bit<64> high, bit<64> low LEARNED_TOO

#define NAT_TABLES(family, number)                                                     \
    @id(ACTION_ID(STAGE_NAT, number##1))                                               \
    action to_internal_##family(ADDRESS_##family(address), HAIRPIN_##family) {         \
        meta.nat = NAT_FLOATING;                                                       \
        NEW_DESTINATION_##family(address)                                              \
        KEEP_HAIRPIN_##family                                                          \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##1))                                                \
    table floating_##family {                                                          \
        key = { meta.dst_##family: exact @name("address"); }                           \
        actions = { to_internal_##family; @defaultonly not_floating; }                 \
        const default_action = not_floating();                                         \
        size = SIZE_FLOATING;                                                          \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##2))                                                \
    table service_##family {                                                           \
        key = { meta.dst_##family: exact @name("address");                             \
                meta.own_protocol: exact @name("protocol");                            \
                meta.own_dst_port: exact @name("port"); }                              \
        actions = { to_service; @defaultonly no_service; }                             \
        const default_action = no_service();                                           \
        size = SIZE_SERVICE;                                                           \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##3))                                                \
    table service_source_##family {                                                    \
        key = { meta.range_group: exact @name("group");                                \
                meta.range_src_##family: lpm @name("prefix"); }                        \
        actions = { source_in_range; @defaultonly source_out_of_range; }               \
        const default_action = source_out_of_range();                                  \
        size = SIZE_SERVICE_SOURCE;                                                    \
    }                                                                                  \
    @id(ACTION_ID(STAGE_NAT, number##2))                                               \
    action to_backends_##family(BUCKET_##family(0), BUCKET_##family(1),                \
                                BUCKET_##family(2), BUCKET_##family(3)) {              \
        CHOOSE_##family(0)                                                             \
        CHOOSE_##family(1)                                                             \
        CHOOSE_##family(2)                                                             \
        CHOOSE_##family(3)                                                             \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##4))                                                \
    table backend_##family {                                                           \
        key = { meta.group: exact @name("group"); meta.bucket_row: exact @name("row"); } \
        actions = { to_backends_##family; @defaultonly no_backend; }                   \
        const default_action = no_backend();                                           \
        size = SIZE_BACKEND;                                                           \
    }                                                                                  \
    @id(ACTION_ID(STAGE_NAT, number##3))                                               \
    action remembered_##family(AFFINITY_PARAMS_##family) {                             \
        meta.remembered = 1;                                                           \
        if (meta.remember == 0) {                                                      \
            NEW_DESTINATION_##family(address)                                          \
            meta.new_dst_port = port;                                                  \
        } else {                                                                       \
            SET_TIMEOUT(meta.timeout_affinity)                                         \
        }                                                                              \
    }                                                                                  \
    @id(ACTION_ID(STAGE_NAT, number##4))                                               \
    action remember_##family() {                                                       \
        meta.remembered = 0;                                                           \
        if (meta.remember == 1) {                                                      \
            LEARN(QUOTED(remembered_##family), AFFINITY_LEARNED_##family,              \
                  meta.timeout_affinity)                                               \
        }                                                                              \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##5))                                                \
    @learns                                                                            \
    table affinity_##family {                                                          \
        key = { meta.group: exact @name("group"); meta.src_##family: exact @name("client"); } \
        actions = { @tableonly remembered_##family; @defaultonly remember_##family; }  \
        const default_action = remember_##family();                                    \
        LEARNS                                                                         \
        size = SIZE_AFFINITY;                                                          \
    }                                                                                  \
    @id(TABLE_ID(STAGE_NAT, number##6))                                                \
    table affinity_backend_##family {                                                  \
        key = { meta.group: exact @name("group");                                      \
                meta.new_dst_##family: exact @name("address");                         \
                meta.new_dst_port: exact @name("port"); }                              \
        actions = { still_there; @defaultonly gone; }                                  \
        const default_action = gone();                                                 \
        size = SIZE_AFFINITY_BACKEND;                                                  \
    }

// One step of the above, of either family.
#define NAT_APPLY(table)                                                               \
            if (meta.ip_version == 4) {                                                \
                table##_v4.apply();                                                    \
            } else {                                                                   \
                table##_v6.apply();                                                    \
            }

control Nat(in headers_t hdr, inout metadata_t meta) {
    HASH32(flow_hash);
    HASH32(port_hash);

    @id(ACTION_ID(STAGE_NAT, 21))
    action to_service(bit<32> inside, bit<16> inside_mask, bit<32> outside, bit<16> outside_mask, bit<16> flags) {
        meta.nat = NAT_SERVICE;
        meta.service_flags = flags;
        if (meta.from == KIND_UPLINK) {
            meta.group = outside;
            meta.bucket_mask = outside_mask;
        } else {
            meta.group = inside;
            meta.bucket_mask = inside_mask;
        }
    }

    @id(ACTION_ID(STAGE_NAT, 22))
    action not_floating() {
    }

    @id(ACTION_ID(STAGE_NAT, 23))
    action no_service() {
    }

    @id(ACTION_ID(STAGE_NAT, 24))
    action source_in_range() {
    }

    @id(ACTION_ID(STAGE_NAT, 25))
    action source_out_of_range() {
        meta.state = STATE_DROP;
        meta.reason = REASON_SOURCE_RANGE;
    }

    @id(ACTION_ID(STAGE_NAT, 26))
    action no_backend() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_BACKEND;
    }

    @id(ACTION_ID(STAGE_NAT, 27))
    action still_there() {
        meta.remembered = 2;
    }

    @id(ACTION_ID(STAGE_NAT, 28))
    action gone() {
    }

    NAT_TABLES(v4, 0)
    NAT_TABLES(v6, 1)

    @hidden
    action has_no_backend() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_BACKEND;
    }

    @hidden
    action untranslatable_fragment() {
        meta.state = STATE_DROP;
        meta.reason = REASON_FRAGMENT;
    }

    @hidden
    action untranslatable() {
        meta.state = STATE_DROP;
        meta.reason = REASON_NO_PORT;
    }

    apply {
        NAT_APPLY(floating)
        if (meta.nat == NAT_NONE && meta.l4_kind == L4_PORTS) {
            NAT_APPLY(service)
        }
        if (meta.nat != NAT_NONE && meta.tracked == 0) {
            if (meta.l4_kind == L4_FRAGMENT) {
                untranslatable_fragment();
            } else {
                untranslatable();
            }
        }
        if (meta.state == STATE_ON && meta.nat == NAT_SERVICE) {
            if (meta.group == 0) {
                has_no_backend();
            } else if (meta.service_flags & SERVICE_CHECK_SOURCE != 0) {
                meta.range_group = meta.group;
                if (meta.ip_version == 4) {
                    meta.range_src_v4 = meta.src_v4;
                    service_source_v4.apply();
                } else {
                    meta.range_src_v6 = meta.src_v6;
                    service_source_v6.apply();
                }
            }
            if (meta.from == KIND_UPLINK) {
                if (meta.service_flags & SERVICE_MASQUERADE_OUTSIDE != 0) {
                    meta.masquerade = 1;
                }
            } else if (meta.from == KIND_HOST) {
                if (meta.service_flags & SERVICE_MASQUERADE_HOST != 0) {
                    meta.masquerade = 1;
                }
            } else {
                if (meta.service_flags & SERVICE_MASQUERADE_WORKLOAD != 0) {
                    meta.masquerade = 1;
                }
            }
        }
        if (meta.state == STATE_ON && meta.nat == NAT_SERVICE) {
            // Its own tuple is what the last look-up asked for.
            if (meta.service_flags & SERVICE_AFFINITY != 0) {
                NAT_APPLY(affinity)
                if (meta.ip_version == 4) {
                    HASH(meta.spread, flow_hash, { meta.src_v4 })
                } else {
                    HASH(meta.spread, flow_hash, { meta.src_v6 })
                }
                meta.timeout_affinity = (bit<8>) (meta.service_flags >> 8) & 7;
                if (meta.remembered == 1) {
                    NAT_APPLY(affinity_backend)
                    if (meta.remembered == 1) {
                        // It gives way soon: what is learned can't be changed.
                        meta.timeout_affinity = TIMEOUT_10;
                    }
                }
            } else {
                if (meta.ip_version == 4) {
                    HASH(meta.spread, flow_hash, { meta.flow_src_port, meta.flow_dst_port,
                                                   meta.flow_protocol, meta.flow_src_v4, meta.flow_dst_v4 })
                } else {
                    HASH(meta.spread, flow_hash, { meta.flow_src_v6, meta.flow_dst_v6 })
                    MIX_HASH(meta.spread, port_hash, { meta.flow_src_port, meta.flow_dst_port, meta.flow_protocol })
                }
            }
            if (meta.remembered != 2) {
                meta.bucket = (bit<16>) meta.spread & meta.bucket_mask;
                meta.bucket_row = meta.bucket >> 2;
                meta.bucket_place = meta.bucket & 3;
                NAT_APPLY(backend)
            }
            if (meta.service_flags & SERVICE_AFFINITY != 0) {
                meta.remember = 1;
                NAT_APPLY(affinity)
            }
            if (meta.protocol == PROTOCOL_SCTP) {
                if (meta.new_dst_port != meta.own_dst_port) {
                    untranslatable();
                }
            }
        }
    }
}

#endif
