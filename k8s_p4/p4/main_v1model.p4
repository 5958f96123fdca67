// k8s.p4 for v1model. The pipeline itself is in core/; here is only what the architecture asks for, and the way to the
// driver and back.
//
// A packet that would have something learned leaves as it came by the CPU port, behind a header with all that the entries are
// made of (packet_in_t). The driver writes them and sends it back with the port it came by (packet_out_t): it then goes through the
// pipeline again, finds its entries, and is told of no second time.

#include "arch/v1model/shim.p4"

#define CPU_PORT 510
// No port: answers of the switch itself go round by it. (511 drops.)
#define ANSWER_PORT 509

#include "core/pipeline.p4"
#include "core/deparse.p4"

@controller_header("packet_in")
header packet_in_t {
    bit<32>  ingress_port;
    bit<8>   ip_version;
    bit<8>   tracked;
    bit<8>   established;
    bit<8>   rejudged;
    bit<8>   opens;
    bit<8>   answers;
    bit<8>   stale;
    bit<8>   close;             // 1: both tuples are closing, 2: no longer soon
    bit<8>   remember;          // 1: session affinity
    bit<8>   timeout;           // numbers of timeouts (flow.p4): of what is learned
    bit<8>   timeout_forth;     // of what is found
    bit<8>   timeout_back;
    bit<8>   timeout_closing;
    bit<8>   timeout_affinity;
    bit<8>   timeout_slot;
    bit<8>   timeout_judged;
    bit<8>   protocol;          // of the packet's tuple, and of what answers it
    bit<8>   answer_protocol;
    bit<16>  src_port;
    bit<16>  dst_port;
    bit<16>  new_src_port;
    bit<16>  new_dst_port;
    bit<32>  epoch;             // of policy
    bit<32>  src_incarnation;
    bit<32>  dst_incarnation;
    bit<32>  end_incarnation;
    bit<32>  answer_incarnation;
    bit<32>  owner_incarnation; // of who owns the source on the wire
    bit<32>  accepting;         // endpoints whose slots the flow takes, and which, counted from 1
    bit<32>  ingress_slot;
    bit<32>  beginning;
    bit<32>  egress_slot;
    bit<32>  group;             // of the service's backends
    bit<128> src;               // IPv4: in the last 32 bits
    bit<128> dst;
    bit<128> new_src;
    bit<128> new_dst;
}

@controller_header("packet_out")
header packet_out_t {
    bit<32> ingress_port;
}

struct all_headers_t {
    packet_in_t  packet_in;
    packet_out_t packet_out;
    ethernet_t   ethernet;      // in front of what stood between it and an IP in IP's inner packet
    headers_t    of_packet;
}

parser MainParser(packet_in packet, out all_headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t istd) {
    PacketParser() parse;

    // Round 1 is not told the port.
    state start {
        // An answer keeps the port of what it answers, and has no header of the driver's.
        transition select(meta.strip, istd.ingress_port, meta.again) {
            (STRIP_ANSWER, _, _): from_wire;
            (_, CPU_PORT, _): from_driver;
            (_, _, 1): from_driver;
            default: from_wire;
        }
    }

    state from_driver {
        packet.extract(hdr.packet_out);
        meta.again = 1;
        transition from_wire;
    }

    state from_wire {
        parse.apply(packet, hdr.of_packet, meta);
        transition accept;
    }
}

control NoChecksum(inout all_headers_t hdr, inout metadata_t meta) {
    apply {
    }
}

// All that the entries are made of.
control Tell(inout all_headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.packet_in.setValid();
        hdr.packet_in.ip_version = meta.ip_version;
        hdr.packet_in.tracked = meta.tracked;
        hdr.packet_in.established = meta.established;
        hdr.packet_in.rejudged = meta.rejudged;
        hdr.packet_in.opens = meta.opens;
        hdr.packet_in.answers = meta.answers;
        hdr.packet_in.stale = meta.stale;
        hdr.packet_in.close = meta.close;
        hdr.packet_in.remember = meta.remember;
        hdr.packet_in.timeout = meta.timeout;
        hdr.packet_in.timeout_forth = meta.timeout_forth;
        hdr.packet_in.timeout_back = meta.timeout_back;
        hdr.packet_in.timeout_closing = meta.timeout_closing;
        hdr.packet_in.timeout_affinity = meta.timeout_affinity;
        hdr.packet_in.timeout_slot = meta.timeout_slot;
        hdr.packet_in.timeout_judged = meta.timeout_judged;
        hdr.packet_in.epoch = meta.epoch;
        hdr.packet_in.protocol = meta.own_protocol;
        hdr.packet_in.answer_protocol = meta.answer_protocol;
        hdr.packet_in.src_port = meta.own_src_port;
        hdr.packet_in.dst_port = meta.own_dst_port;
        hdr.packet_in.new_src_port = meta.new_src_port;
        hdr.packet_in.new_dst_port = meta.new_dst_port;
        hdr.packet_in.src_incarnation = meta.src_incarnation;
        hdr.packet_in.dst_incarnation = meta.dst_incarnation;
        hdr.packet_in.end_incarnation = meta.end_incarnation;
        hdr.packet_in.answer_incarnation = meta.answer_incarnation;
        hdr.packet_in.owner_incarnation = meta.owner_incarnation;
        hdr.packet_in.accepting = meta.dst_endpoint;
        hdr.packet_in.beginning = meta.src_endpoint;
        hdr.packet_in.ingress_slot = meta.learn_ingress_slot;
        hdr.packet_in.egress_slot = meta.learn_egress_slot;
        if (meta.established == 1 || meta.rejudged == 1 || meta.opens == 1) {
            hdr.packet_in.accepting = meta.accepting;
            hdr.packet_in.beginning = meta.beginning;
        }
        hdr.packet_in.group = meta.group;
        if (meta.ip_version == 4) {
            hdr.packet_in.src = (bit<128>) meta.src_v4;
            hdr.packet_in.dst = (bit<128>) meta.dst_v4;
            hdr.packet_in.new_src = (bit<128>) meta.new_src_v4;
            hdr.packet_in.new_dst = (bit<128>) meta.new_dst_v4;
        } else {
            hdr.packet_in.src = meta.src_v6;
            hdr.packet_in.dst = meta.dst_v6;
            hdr.packet_in.new_src = meta.new_src_v6;
            hdr.packet_in.new_dst = meta.new_dst_v6;
        }
    }
}

control MainControl(inout all_headers_t hdr, inout metadata_t meta, inout standard_metadata_t istd) {
    Pipeline() pipeline;
    Tell() tell;
    headers_t as_it_came;

    apply {
        // What goes round came in by the port that the round before has chosen.
        if (meta.round == 0) {
            meta.ingress_port = (bit<32>) istd.ingress_port;
            if (meta.again == 1) {
                meta.ingress_port = hdr.packet_out.ingress_port;
            }
            meta.came_by = meta.ingress_port;
        }
        hdr.packet_out.setInvalid();
        if (istd.parser_error != error.NoError) {
            meta.parsed = 0;
        }
        meta.tell = 0;
        as_it_came = hdr.of_packet;
        pipeline.apply(hdr.of_packet, meta);
        if (meta.state == STATE_DROP) {
            mark_to_drop(istd);
        } else if (meta.state == STATE_AROUND && meta.strip == STRIP_ANSWER) {
            meta.round = 1;
            istd.egress_spec = ANSWER_PORT;
        } else if (meta.state == STATE_AROUND) {
            meta.round = 1;
            resubmit_preserving_field_list(1);
        } else if (meta.tell == 1 && meta.again == 0) {
            tell.apply(hdr, meta);
            hdr.packet_in.ingress_port = meta.came_by;
            hdr.of_packet = as_it_came;
            if (hdr.of_packet.stripped_ipip.isValid()) {
                hdr.ethernet = hdr.of_packet.ethernet;
                hdr.of_packet.ethernet.setInvalid();
            }
            istd.egress_spec = CPU_PORT;
        } else {
            hdr.of_packet.stripped_vxlan_v4.setInvalid();
            hdr.of_packet.stripped_vxlan_v6.setInvalid();
            hdr.of_packet.stripped_ipip.setInvalid();
            istd.egress_spec = (bit<9>) meta.egress_port;
        }
    }
}

// What was taken out of a tunnel comes to the parser again as it came; an answer, as it was made.
control Answers(inout all_headers_t hdr, inout metadata_t meta, inout standard_metadata_t istd) {
    apply {
        if (istd.egress_port == ANSWER_PORT) {
            hdr.of_packet.stripped_vxlan_v4.setInvalid();
            hdr.of_packet.stripped_vxlan_v6.setInvalid();
            hdr.of_packet.stripped_ipip.setInvalid();
            recirculate_preserving_field_list(1);
        }
    }
}

control MainDeparser(packet_out packet, in all_headers_t hdr) {
    PacketDeparser() deparse;

    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.of_packet.stripped_vxlan_v4);
        packet.emit(hdr.of_packet.stripped_vxlan_v6);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.of_packet.stripped_ipip);
        deparse.apply(packet, hdr.of_packet);
    }
}

V1Switch(MainParser(), NoChecksum(), MainControl(), Answers(), NoChecksum(), MainDeparser()) main;
