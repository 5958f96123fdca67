// P4Info ids. The first byte is the kind that P4Runtime gives (0x01 action, 0x02 table,
// 0x12 counter, 0x14 meter), the second the stage, the last the object in that stage. An id that is no
// longer used stays reserved: write it down here.
//
// stage  file                stage  file
// 01     ports.p4            10     policy.p4 as egress
// 02     neighbour.p4        11     policy.p4 as ingress
// 03     source_guard.p4     12     policy.p4 as untracked_ingress
// 04     routing.p4          13     policy.p4 as untracked_egress
// 05     identity.p4 (src)   14     policy.p4 as pre_dnat
// 06     identity.p4 (dst)   15     policy.p4 as forward_ingress
// 07     next_hop.p4         16     policy.p4 as forward_egress
// 08     identity.p4         20     pipeline.p4
//        (pre_dst)           21     flow.p4
// 09     host_rules.p4       22     nat.p4
//                            23     masquerade.p4
//                            24     qos.p4
//                            25     connections.p4
//                            26     tunnel.p4
//                            27     dscp.p4
//                            28     service_loop.p4
//                            29     reject.p4
// Next free stage: 2a. Hidden tables (no row, no P4Info entry) have no id.

#ifndef CORE_IDS_P4
#define CORE_IDS_P4

#define PASTE_ID(kind, stage, number) 0x##kind##stage##00##number
#define MAKE_ID(kind, stage, number) PASTE_ID(kind, stage, number)

#define ACTION_ID(stage, number) MAKE_ID(01, stage, number)
#define TABLE_ID(stage, number) MAKE_ID(02, stage, number)
#define COUNTER_ID(stage, number) MAKE_ID(12, stage, number)
#define METER_ID(stage, number) MAKE_ID(14, stage, number)

#define STAGE_PORTS 01
#define STAGE_NEIGHBOUR 02
#define STAGE_SOURCE_GUARD 03
#define STAGE_ROUTING 04
#define STAGE_SRC_IDENTITY 05
#define STAGE_DST_IDENTITY 06
#define STAGE_NEXT_HOP 07
#define STAGE_PRE_DST_IDENTITY 08
#define STAGE_HOST_RULES 09
#define STAGE_EGRESS 10
#define STAGE_INGRESS 11
#define STAGE_UNTRACKED_INGRESS 12
#define STAGE_UNTRACKED_EGRESS 13
#define STAGE_PRE_DNAT 14
#define STAGE_FORWARD_INGRESS 15
#define STAGE_FORWARD_EGRESS 16
#define STAGE_PIPELINE 20
#define STAGE_FLOW 21
#define STAGE_NAT 22
#define STAGE_MASQUERADE 23
#define STAGE_QOS 24
#define STAGE_CONNECTIONS 25
#define STAGE_TUNNEL 26
#define STAGE_DSCP 27
#define STAGE_SERVICE_LOOP 28
#define STAGE_REJECT 29

#endif
