// k8s.p4 for PNA as p4c-dpdk understands it (its pna.p4: a package of four blocks).
// The pipeline itself is in core/; here is only what the architecture asks for.

#include "arch/pna/shim.p4"
#include "core/pipeline.p4"
#include "core/deparse.p4"

parser MainParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                  in pna_main_parser_input_metadata_t istd) {
    PacketParser() parse;

    state start {
        meta.round = (bit<8>) (PassNumberUint_t) istd.pass;
        parse.apply(packet, hdr, meta);
        transition accept;
    }
}

control PreControl(in headers_t hdr, inout metadata_t meta, in pna_pre_input_metadata_t istd,
                   inout pna_pre_output_metadata_t ostd) {
    apply {
    }
}

control MainControl(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t istd,
                    inout pna_main_output_metadata_t ostd) {
    Pipeline() pipeline;

    apply {
        // What goes round came in by the port that the round before has chosen.
        if (meta.round == 0) {
            meta.ingress_port = (bit<32>) istd.input_port;
        }
        pipeline.apply(hdr, meta);
    }
}

control MainDeparser(packet_out packet, in headers_t hdr, in metadata_t meta,
                     in pna_main_output_metadata_t ostd) {
    PacketDeparser() deparse;

    apply {
        deparse.apply(packet, hdr);
    }
}

PNA_NIC(MainParser(), PreControl(), MainControl(), MainDeparser()) main;
