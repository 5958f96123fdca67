// untracked: policy of host endpoints before any flow is looked up (Calico contract 3.8). What comes
// from the network meets that of the interface it came by, what comes from the node that of the
// interface it leaves by. Allowed: no flow state, and the same interface's later policy is skipped.
// No verdict: as if the stage were not there.

#ifndef CORE_UNTRACKED_P4
#define CORE_UNTRACKED_P4

control Untracked(inout metadata_t meta) {
    UntrackedIngressPolicy() untracked_ingress;
    UntrackedEgressPolicy() untracked_egress;

    apply {
        if (meta.from == KIND_HOST) {
            if (meta.to == KIND_UPLINK && meta.out_endpoint != 0) {
                untracked_egress.apply(meta, meta.out_endpoint, meta.src_identity, meta.pre_dst_identity);
            }
        } else if (meta.from == KIND_UPLINK && meta.in_endpoint != 0) {
            untracked_ingress.apply(meta, meta.in_endpoint, meta.pre_dst_identity, meta.src_identity);
        }
    }
}

#endif
