// connections: no more flows at a time than a workload may begin, or accept (Felix's MaxConnections; translator/qos.py).
//
//   connection_limit (exact owner)        owner: twice the endpoint's number, and 1 more for those it accepts
//       at_most            so many slots, numbered from 0; the mask covers them. No row: no limit
//   connection_slot  (exact owner, slot)  learns; what is there is a flow's
//
// A table that learns does not count, so every flow takes one of the owner's slots, and keeps it as long as it lives: its entries
// say which, and each of its packets starts the slot's timeout anew. FIN and RST give it up soon. A new flow tries
// sixteen slots, by a hash: never more flows than slots, and up to sixteen of them exactly as many; of many slots
// some flows are refused when they are nearly all taken. None free: drop, reason connection_limit.

#ifndef CORE_CONNECTIONS_P4
#define CORE_CONNECTIONS_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"

// Looks one slot up: metadata.slot_owner, slot.
control ConnectionSlot(inout metadata_t meta) {
    @id(ACTION_ID(STAGE_CONNECTIONS, 01))
    action slot_taken(LEARNED_ONLY) {
        meta.slot_found = 1;
        if (meta.timeout_slot == TIMEOUT_KEEP) {
            RESTART_TIMEOUT()
        } else if (meta.timeout_slot != TIMEOUT_LEAVE) {
            SET_TIMEOUT(meta.timeout_slot)
        }
    }

    @id(ACTION_ID(STAGE_CONNECTIONS, 02))
    action take_slot() {
        meta.slot_found = 0;
        if (meta.slot_take == 1) {
            LEARN("slot_taken", {}, meta.timeout)
        }
    }

    @id(TABLE_ID(STAGE_CONNECTIONS, 01))
    @learns
    table connection_slot {
        key = { meta.slot_owner: exact @name("owner"); meta.slot: exact @name("slot"); }
        actions = { @tableonly slot_taken; @defaultonly take_slot; }
        const default_action = take_slot();
        LEARNS
        size = SIZE_CONNECTION_SLOT;
    }

    apply {
        connection_slot.apply();
    }
}

control ConnectionLimit(inout metadata_t meta) {
    @id(ACTION_ID(STAGE_CONNECTIONS, 03))
    action at_most(bit<32> slots, bit<32> mask) {
        meta.slots = slots;
        meta.slot_mask = mask;
    }

    @id(ACTION_ID(STAGE_CONNECTIONS, 04))
    action unlimited() {
        meta.slots = 0;
    }

    @id(TABLE_ID(STAGE_CONNECTIONS, 02))
    table connection_limit {
        key = { meta.slot_owner: exact @name("owner"); }
        actions = { at_most; @defaultonly unlimited; }
        const default_action = unlimited();
        size = SIZE_CONNECTION_LIMIT;
    }

    apply {
        connection_limit.apply();
    }
}

// The next slot to try: below twice the number of slots, so one subtraction brings it among them.
control NextSlot(inout metadata_t meta) {
    apply {
        meta.slot = meta.slot_spread & meta.slot_mask;
        if (meta.slot >= meta.slots) {
            meta.slot = meta.slot - meta.slots;
        }
        meta.slot_spread = meta.slot_spread + meta.slot_step;
    }
}

// What a limited flow hashes to; its own tuple is what was asked for last.
control SlotSpread(inout metadata_t meta) {
    HASH32(flow_hash);
    HASH32(port_hash);

    apply {
        if (meta.ip_version == 4) {
            HASH(meta.slot_spread, flow_hash, { meta.flow_src_port, meta.flow_dst_port,
                                                meta.flow_protocol, meta.flow_src_v4, meta.flow_dst_v4 })
        } else {
            HASH(meta.slot_spread, flow_hash, { meta.flow_src_v6, meta.flow_dst_v6 })
            MIX_HASH(meta.slot_spread, port_hash, { meta.flow_src_port, meta.flow_dst_port, meta.flow_protocol })
        }
        meta.slot_step = (meta.slot_spread >> 16) | 1;
    }
}

#define TRY_SLOT                                                                   \
            if (meta.slot_found == 1) {                                            \
                next_slot.apply(meta);                                             \
                connection_slot.apply(meta);                                       \
            }
#define TRY_FOUR_SLOTS TRY_SLOT TRY_SLOT TRY_SLOT TRY_SLOT

// One end of a flow, metadata.slot_owner. A new one (slot_take 1) takes a slot or is dropped; the slot taken, counted from 1, is in
// metadata.slot_kept. Another keeps the slot that its entry says, in metadata.slot.
control Connections(inout metadata_t meta) {
    ConnectionLimit() limit;
    ConnectionSlot() connection_slot;
    NextSlot() next_slot;

    @hidden
    action limit_reached() {
        meta.state = STATE_DROP;
        meta.reason = REASON_CONNECTION_LIMIT;
    }

    apply {
        if (meta.slot_take == 0) {
            connection_slot.apply(meta);
        } else {
            meta.slot_kept = 0;
            limit.apply(meta);
            if (meta.slots != 0) {
                meta.slot_found = 1;
                TRY_FOUR_SLOTS
                TRY_FOUR_SLOTS
                TRY_FOUR_SLOTS
                TRY_FOUR_SLOTS
                if (meta.slot_found == 1) {
                    limit_reached();
                } else {
                    meta.slot_kept = meta.slot + 1;
                }
            }
        }
    }
}

// How long a flow's packet keeps its slots: as its entries, but not for long when it ends. What is learned anew of it has the same.
control SlotTimeout(inout metadata_t meta) {
    apply {
        meta.timeout_slot = meta.timeout_forth;
        if (meta.finishes == 1) {
            meta.timeout_slot = TIMEOUT_10;
        }
        meta.learn_ingress_slot = meta.found_ingress_slot;
        meta.learn_egress_slot = meta.found_egress_slot;
        // The flow's own ends: an answer comes from who accepted it.
        meta.accepting = meta.dst_endpoint;
        meta.beginning = meta.src_endpoint;
        if (meta.flow == FLOW_BACK) {
            meta.accepting = meta.src_endpoint;
            meta.beginning = meta.dst_endpoint;
        }
    }
}

#endif
