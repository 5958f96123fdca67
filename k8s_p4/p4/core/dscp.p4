// dscp: marks what a workload sends out of the cluster (RFC 2474; Calico contract 3.9).
//
//   dscp             (exact endpoint)                  mark: the DSCP, 0 to 63, of what this workload sends
//   cluster_v4/v6    (prefix of the destination)       in_cluster: a pool, where nothing is marked
//
// The ECN bits stay. Every packet is marked, established or not; the IPv4 header checksum is corrected by difference (RFC 1624).

#ifndef CORE_DSCP_P4
#define CORE_DSCP_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

const bit<8> DSCP_LEAVE = 255;

control Dscp(inout headers_t hdr, inout metadata_t meta) {
    bit<32> sum;

    @id(ACTION_ID(STAGE_DSCP, 01))
    action mark(bit<8> dscp) {
        meta.dscp = dscp;
    }

    @id(ACTION_ID(STAGE_DSCP, 02))
    action unmarked() {
        meta.dscp = DSCP_LEAVE;
    }

    @id(TABLE_ID(STAGE_DSCP, 01))
    table dscp {
        key = { meta.src_endpoint: exact @name("endpoint"); }
        actions = { mark; @defaultonly unmarked; }
        const default_action = unmarked();
        size = SIZE_BINDING;
    }

    @id(ACTION_ID(STAGE_DSCP, 03))
    action in_cluster() {
        meta.dscp = DSCP_LEAVE;
    }

    @id(ACTION_ID(STAGE_DSCP, 04))
    action outside_cluster() {
    }

    @id(TABLE_ID(STAGE_DSCP, 02))
    table cluster_v4 {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { in_cluster; @defaultonly outside_cluster; }
        const default_action = outside_cluster();
        size = SIZE_POOL;
    }

    @id(TABLE_ID(STAGE_DSCP, 03))
    table cluster_v6 {
        key = { hdr.ipv6.dst: lpm @name("prefix"); }
        actions = { in_cluster; @defaultonly outside_cluster; }
        const default_action = outside_cluster();
        size = SIZE_POOL;
    }

    apply {
        dscp.apply();
        if (meta.dscp != DSCP_LEAVE) {
            if (meta.ip_version == 4) {
                cluster_v4.apply();
            } else {
                cluster_v6.apply();
            }
        }
        if (meta.dscp != DSCP_LEAVE) {
            if (meta.ip_version == 4) {
                sum = (bit<32>) hdr.ipv4.checksum + 0xffff + ((bit<32>) hdr.ipv4.tos & 0xfc) - ((bit<32>) meta.dscp << 2);
                hdr.ipv4.tos = (hdr.ipv4.tos & 3) | (meta.dscp << 2);
                if (sum > 0xffff) {
                    sum = (sum & 0xffff) + (sum >> 16);
                }
                if (sum > 0xffff) {
                    sum = (sum & 0xffff) + (sum >> 16);
                }
                if (sum == 0xffff) {
                    hdr.ipv4.checksum = 0;
                } else {
                    hdr.ipv4.checksum = (bit<16>) sum;
                }
            } else {
                hdr.ipv6.version_class_flow = (hdr.ipv6.version_class_flow & 0xf03fffff) | ((bit<32>) meta.dscp << 22);
            }
        }
    }
}

#endif
