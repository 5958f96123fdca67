// pre-DNAT: policy of the host endpoint by whose interface the packet came, on the destination as it
// was sent to, before any service is translated (Calico contract 3.8). The endpoint of all interfaces
// ("*") reaches what workloads send, too. Allowed: that host endpoint's later policy is skipped, but
// no other's. No verdict: as if the stage were not there.

#ifndef CORE_PRE_DNAT_P4
#define CORE_PRE_DNAT_P4

control PreDnat(inout metadata_t meta) {
    PreDnatPolicy() pre_dnat;

    apply {
        pre_dnat.apply(meta, meta.in_endpoint, meta.pre_dst_identity, meta.src_identity);
    }
}

#endif
