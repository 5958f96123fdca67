// masquerade: the source under which the first packet of a flow leaves, chosen when every stage accepted it.
//
//   masquerade_v4/v6         (prefix)   pools of addresses
//       pool                 flags: 1 sources in it are masqueraded, 2 destinations in it are inside
//   masquerade_address_v4/v6 (exact to, candidate)   under which address, by where the packet goes
//       masquerade_as        the port is first_port plus a hash of the flow, masked. No row: no candidate.
//                            Candidates 0 and 1 take turns, each time with another hash
//
// Masqueraded are flows that their service says so of, those of a pod through a service to itself, and those
// from a pool that says so to where no pool is, but not to the node. One through a floating address
// back to its owner comes from a floating address of its own.
//
// A candidate is taken if the tuple of the answer is free, or this flow's already; eight are tried. All taken: drop,
// reason no_port. The source port of SCTP is kept (its checksum covers it): only the addresses differ.

#ifndef CORE_MASQUERADE_P4
#define CORE_MASQUERADE_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"
#include "flow.p4"
#include "nat.p4"

const bit<8> POOL_MASQUERADED = 1;
const bit<8> POOL_INSIDE = 2;
// metadata.masquerade_to: where the packet goes, metadata.to, or this
const bit<8> MASQUERADE_TO_TUNNEL = 4;

// Whether: sets metadata.masquerade, or the source for a floating address.
control AskMasquerade(inout metadata_t meta) {
    bit<8> hairpin;

    @id(ACTION_ID(STAGE_MASQUERADE, 01))
    action pool(bit<8> flags) {
        meta.pool = flags;
    }

    @id(ACTION_ID(STAGE_MASQUERADE, 02))
    action no_pool() {
        meta.pool = 0;
    }

    @id(TABLE_ID(STAGE_MASQUERADE, 01))
    table masquerade_v4 {
        key = { meta.ask_v4: lpm @name("prefix"); }
        actions = { pool; @defaultonly no_pool; }
        const default_action = no_pool();
        size = SIZE_POOL;
    }

    @id(TABLE_ID(STAGE_MASQUERADE, 02))
    table masquerade_v6 {
        key = { meta.ask_v6: lpm @name("prefix"); }
        actions = { pool; @defaultonly no_pool; }
        const default_action = no_pool();
        size = SIZE_POOL;
    }

    apply {
        if (meta.nat != NAT_NONE) {
            hairpin = 0;
            if (meta.ip_version == 4) {
                if (meta.new_dst_v4 == meta.src_v4) {
                    hairpin = 1;
                }
            } else {
                if (meta.new_dst_high == meta.src_high && meta.new_dst_low == meta.src_low) {
                    hairpin = 1;
                }
            }
            if (hairpin == 1) {
                if (meta.nat == NAT_SERVICE) {
                    meta.masquerade = 1;
                } else if (meta.ip_version == 4) {
                    meta.new_src_v4 = meta.hairpin_v4;
                } else {
                    meta.new_src_v6 = meta.hairpin_v6;
                    meta.new_src_high = meta.hairpin_high;
                    meta.new_src_low = meta.hairpin_low;
                }
            }
        }
        if (meta.masquerade == 0 && meta.to != KIND_HOST) {
            if (meta.ip_version == 4) {
                meta.ask_v4 = meta.src_v4;
                masquerade_v4.apply();
            } else {
                meta.ask_v6 = meta.src_v6;
                masquerade_v6.apply();
            }
            if (meta.pool & POOL_MASQUERADED != 0) {
                if (meta.ip_version == 4) {
                    meta.ask_v4 = meta.new_dst_v4;
                    masquerade_v4.apply();
                } else {
                    meta.ask_v6 = meta.new_dst_v6;
                    masquerade_v6.apply();
                }
                if (meta.pool & POOL_INSIDE == 0) {
                    meta.masquerade = 1;
                }
            }
        }
    }
}

// One candidate: its address and port, in metadata.new_src.
control MasqueradeCandidate(inout metadata_t meta) {
    @id(ACTION_ID(STAGE_MASQUERADE, 03))
    action masquerade_as_v4(bit<32> address, bit<16> first_port, bit<16> mask) {
        meta.candidate_is = 1;
        meta.new_src_v4 = address;
        meta.first_port = first_port;
        meta.port_mask = mask;
    }

    @id(ACTION_ID(STAGE_MASQUERADE, 04))
    action masquerade_as_v6(bit<128> address, bit<64> high, bit<64> low, bit<16> first_port, bit<16> mask) {
        meta.candidate_is = 1;
        meta.new_src_v6 = address;
        meta.new_src_high = high;
        meta.new_src_low = low;
        meta.first_port = first_port;
        meta.port_mask = mask;
    }

    @id(ACTION_ID(STAGE_MASQUERADE, 05))
    action no_candidate() {
        meta.candidate_is = 0;
    }

    @id(TABLE_ID(STAGE_MASQUERADE, 03))
    table masquerade_address_v4 {
        key = { meta.masquerade_to: exact @name("to"); meta.candidate: exact @name("candidate"); }
        actions = { masquerade_as_v4; @defaultonly no_candidate; }
        const default_action = no_candidate();
        size = SIZE_MASQUERADE_ADDRESS;
    }

    @id(TABLE_ID(STAGE_MASQUERADE, 04))
    table masquerade_address_v6 {
        key = { meta.masquerade_to: exact @name("to"); meta.candidate: exact @name("candidate"); }
        actions = { masquerade_as_v6; @defaultonly no_candidate; }
        const default_action = no_candidate();
        size = SIZE_MASQUERADE_ADDRESS;
    }

    apply {
        if (meta.ip_version == 4) {
            masquerade_address_v4.apply();
        } else {
            masquerade_address_v6.apply();
        }
        if (meta.candidate_is == 1) {
            if (meta.protocol == PROTOCOL_SCTP) {
                meta.new_src_port = meta.own_src_port;
            } else {
                meta.new_src_port = meta.first_port + ((bit<16>) meta.spread & meta.port_mask);
            }
            // Double hashing: flows that meet once go separate ways.
            meta.spread = meta.spread + meta.step;
        }
    }
}

// The first place to try, and how far it is to the next; its own tuple is what the last look-up but those of candidates asked for.
control MasqueradeSpread(inout metadata_t meta) {
    HASH32(flow_hash);
    HASH32(port_hash);

    apply {
        if (meta.ip_version == 4) {
            HASH(meta.spread, flow_hash, { meta.flow_src_port, meta.flow_dst_port,
                                           meta.flow_protocol, meta.flow_src_v4, meta.flow_dst_v4 })
        } else {
            HASH(meta.spread, flow_hash, { meta.flow_src_v6, meta.flow_dst_v6 })
            MIX_HASH(meta.spread, port_hash, { meta.flow_src_port, meta.flow_dst_port, meta.flow_protocol })
        }
        meta.masquerade_to = meta.to;
        if (meta.to == KIND_UPLINK && meta.tunnel != 0) {
            meta.masquerade_to = MASQUERADE_TO_TUNNEL;
        }
        meta.step = (meta.spread >> 16) | 1;
    }
}

#endif
