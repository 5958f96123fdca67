// identity: one number for the class of addresses that the packet's source, or destination,
// belongs to. A template: pipeline.p4 includes it once for each side, with
//   IDENTITY_CONTROL   name of the control      IDENTITY_SIDE    src, dst or pre_dst
//   IDENTITY_STAGE     stage number (ids.p4)    IDENTITY_FIELD   metadata field written
//   IDENTITY_ADDRESS   src or dst: the address of the packet
//   IDENTITY_HOSTS     size of the tables of addresses
// because a control instantiated twice would give the ids of its tables twice.
//
//   SIDE_identity_host_v4/v6 (exact address)   an address that is in some group
//   SIDE_identity_net_v4/v6  (prefix)          a prefix that is; a host row outranks it
//
// pre_dst is the destination before any translation, in the groups of untracked and pre-DNAT policy
// only: those stages stand before the translation, all others after it.
//
// No row in either: identity 0, in no group. Policy, not this table, decides what that means.

#define IDENTITY_PASTE(side, name) side##_identity_##name
#define IDENTITY_NAME(side, name) IDENTITY_PASTE(side, name)

control IDENTITY_CONTROL(in headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(IDENTITY_STAGE, 01))
    action set_identity(bit<32> identity) {
        meta.IDENTITY_FIELD = identity;
    }

    @id(ACTION_ID(IDENTITY_STAGE, 02))
    action ask_nets() {
    }

    @id(ACTION_ID(IDENTITY_STAGE, 03))
    action no_identity() {
    }

    @id(TABLE_ID(IDENTITY_STAGE, 01))
    table IDENTITY_NAME(IDENTITY_SIDE, host_v4) {
        key = { hdr.ipv4.IDENTITY_ADDRESS: exact @name("address"); }
        actions = { set_identity; @defaultonly ask_nets; }
        const default_action = ask_nets();
        size = IDENTITY_HOSTS;
    }

    @id(TABLE_ID(IDENTITY_STAGE, 02))
    table IDENTITY_NAME(IDENTITY_SIDE, net_v4) {
        key = { hdr.ipv4.IDENTITY_ADDRESS: lpm @name("prefix"); }
        actions = { set_identity; @defaultonly no_identity; }
        const default_action = no_identity();
        size = SIZE_IDENTITY_NET;
    }

    @id(TABLE_ID(IDENTITY_STAGE, 03))
    table IDENTITY_NAME(IDENTITY_SIDE, host_v6) {
        key = { hdr.ipv6.IDENTITY_ADDRESS: exact @name("address"); }
        actions = { set_identity; @defaultonly ask_nets; }
        const default_action = ask_nets();
        size = IDENTITY_HOSTS;
    }

    @id(TABLE_ID(IDENTITY_STAGE, 04))
    table IDENTITY_NAME(IDENTITY_SIDE, net_v6) {
        key = { hdr.ipv6.IDENTITY_ADDRESS: lpm @name("prefix"); }
        actions = { set_identity; @defaultonly no_identity; }
        const default_action = no_identity();
        size = SIZE_IDENTITY_NET;
    }

    apply {
        if (meta.ip_version == 4) {
            if (IDENTITY_NAME(IDENTITY_SIDE, host_v4).apply().miss) {
                IDENTITY_NAME(IDENTITY_SIDE, net_v4).apply();
            }
        } else {
            if (IDENTITY_NAME(IDENTITY_SIDE, host_v6).apply().miss) {
                IDENTITY_NAME(IDENTITY_SIDE, net_v6).apply();
            }
        }
    }
}

#undef IDENTITY_PASTE
#undef IDENTITY_NAME
#undef IDENTITY_CONTROL
#undef IDENTITY_SIDE
#undef IDENTITY_STAGE
#undef IDENTITY_FIELD
#undef IDENTITY_ADDRESS
#undef IDENTITY_HOSTS
