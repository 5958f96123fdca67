// What the stages tell each other. SWX never clears metadata between packets, so every field is
// written before it is read: facts of the parser in its start state, all others by the
// keyless table `init` (an action, because the compiler takes a constant assigned elsewhere for the
// value that a table's action later changes).

#ifndef CORE_METADATA_P4
#define CORE_METADATA_P4

#include "reasons.p4"

// metadata.state
const bit<8> STATE_ON = 0;       // undecided or accepted so far: go on
const bit<8> STATE_DROP = 1;     // dropped; reason says why
const bit<8> STATE_ANSWERED = 2; // the packet became an answer and goes back by its own port
const bit<8> STATE_AROUND = 3;   // goes through the pipeline again: without its outer headers, or as its answer

// metadata.from and metadata.to
const bit<8> KIND_NONE = 0;
const bit<8> KIND_WORKLOAD = 1;
const bit<8> KIND_HOST = 2;
const bit<8> KIND_UPLINK = 3;

// metadata.l4_kind: which of the L4 fields the packet has
const bit<8> L4_NONE = 0;     // no ports by nature, or an ICMP header that was cut short
const bit<8> L4_PORTS = 1;
const bit<8> L4_ICMP = 2;     // ICMP over IPv4, ICMPv6 over IPv6
const bit<8> L4_FRAGMENT = 3; // a fragment after the first: the L4 header is not here

// metadata.excused: what already let the packet past the policy of the host endpoint it came in by
const bit<8> EXCUSED_NOT = 0;
const bit<8> EXCUSED_PRE_DNAT = 1;
const bit<8> EXCUSED_UNTRACKED = 2; // and no flow state is kept

// metadata.tunnel_kind, the key of the tables of tunnels; metadata.strip, what the parser takes off in
// round 1, and metadata.encapsulation: the same, but VXLAN by the family of its outer header
const bit<8> TUNNEL_NONE = 0;
const bit<8> TUNNEL_VXLAN = 1;
const bit<8> TUNNEL_IPIP = 2;
const bit<8> STRIP_VXLAN_V4 = 1;
const bit<8> STRIP_VXLAN_V6 = 3;
// Nothing: it is the switch's own answer to what was denied (reject.p4).
const bit<8> STRIP_ANSWER = 4;
// metadata.nat: what translates the destination of a new flow
const bit<8> NAT_NONE = 0;
const bit<8> NAT_SERVICE = 1;
const bit<8> NAT_FLOATING = 2;

// port.workload flags
const bit<8> FLAG_VXLAN_ALLOWED = 1;
const bit<8> FLAG_IPIP_ALLOWED = 2;

struct metadata_t {
    ARCH_METADATA
    // Read by whoever injects a packet.
    bit<8>  reason;
    KEPT bit<32> untracked_ingress_slot;
    KEPT bit<32> untracked_egress_slot;
    KEPT bit<32> pre_dnat_slot;
    KEPT bit<32> forward_ingress_slot;
    KEPT bit<32> egress_slot;
    KEPT bit<32> ingress_slot;
    KEPT bit<32> forward_egress_slot;
    KEPT bit<32> in_endpoint;   // host endpoint of the interface it came by (ports), 0 for none
    bit<32> out_endpoint;       // and of the one it leaves by (next_hop)

    bit<32> tunnel;             // tunnel it leaves by (routing), 0 for none
    KEPT bit<32> peer;          // node whose tunnel it came by, 0 for none

    // reject (reject.p4)
    KEPT bit<8>  reject;        // what became of the answer to what was denied
    bit<8>  reject_with;
    bit<8>  filtered;           // 1: denied by policy behind routing
    bit<8>  to_group;           // 1: the frame went to several stations; by the parser
    KEPT bit<8>  denied_reason;      // of the packet, while its answer is under way
    KEPT bit<8>  denied_to;
    KEPT bit<32> denied_endpoint;
    KEPT bit<32> denied_out;

    bit<8>  state;
    KEPT bit<32> ingress_port;

    // tunnel (tunnel.p4)
    KEPT bit<8>  round;         // from 1 on: what was in a tunnel, or an answer; by the parser
    KEPT bit<8>  strip;
    bit<8>  outer_ecn;          // of the header that was taken off
    bit<32> arrived_flags;      // of the VXLAN header that was taken off
    bit<32> arrived_vni;
    bit<8>  tunnel_kind;
    bit<32> tunnel_port;        // of the tunnel's device: where it comes in in round 1
    KEPT bit<32> vni;
    bit<32> source_peer;        // node that the inner source is behind
    bit<8>  encapsulation;
    bit<32> tunnel_endpoint;    // host endpoint of the tunnel's device
    bit<16> outer_sum;
    bit<48> inner_src_mac;
    bit<48> inner_dst_mac;
    bit<64> entropy_src;        // what the UDP source port is made of
    bit<64> entropy_dst;
    bit<64> entropy_l4;
    bit<32> entropy;

    bit<32>  hairpin_v4;        // source of what an endpoint sends to itself by a floating address (nat.p4)
    bit<128> hairpin_v6;
    bit<64>  hairpin_high;
    bit<64>  hairpin_low;

    bit<8>  dscp;               // what it leaves with (dscp.p4); 255: as it came

    // Facts of the parser.
    bit<8>  parsed;             // 1: the end of a known parse path was reached
    bit<16> header_length;      // bytes of the IPv4 header, of the IPv6 extension headers
    bit<16> l4_length;          // bytes after them, by the length that the IP header claims
    bit<16> l4_minimum;         // bytes the L4 header needs
    bit<64> sum;                // IPv4: of the header; neighbour solicitation: see parse.p4
    bit<64> src_high;           // IPv6 source in halves
    bit<64> src_low;
    bit<32> dst_first;          // first word of the IPv6 destination
    bit<64> dst_sum;            // sum of the words of the IPv6 destination

    bit<16> inner_room;         // bytes that an ICMP error has for what it quotes, less what was read
    bit<8>  inner;              // 1: an ICMP error quotes a packet of which the tuple was read
    bit<8>  inner_protocol;
    bit<64> inner_src_high;     // IPv6 addresses of that packet in halves
    bit<64> inner_src_low;
    bit<64> inner_dst_high;
    bit<64> inner_dst_low;
    bit<64> dst_high;           // IPv6 destination in halves
    bit<64> dst_low;

    // ports
    KEPT bit<8>  from;
    bit<8>  flags;
    // routing: whose the address asked for is, then where the packet goes
    bit<32>  ask_v4;
    bit<128> ask_v6;
    bit<8>  owner;              // a KIND; KIND_NONE: not local
    bit<8>  owner_reason;       // why it is closed, 0 if it is not
    bit<8>  owner_from_workload;
    bit<32> owner_endpoint;
    bit<32> owner_next_hop;
    bit<32> owner_incarnation;
    bit<8>  to;
    bit<32> dst_endpoint;
    bit<32> next_hop;
    bit<8>  from_workload;      // to_host: what DefaultEndpointToHostAction says, 1 accept
    // identity
    bit<32> src_identity;
    bit<32> dst_identity;
    bit<32> pre_dst_identity;
    // qos
    COLOUR_T colour;
    // connections
    bit<32> slots;              // of one end of a flow, 0 for no limit
    bit<32> slot_mask;
    bit<32> slot_spread;        // a hash
    bit<32> slot_step;
    bit<8>  slot_found;
    bit<8>  slot_take;          // 1: a look-up that finds nothing learns
    bit<8>  timeout_slot;
    bit<32> accepting;          // the endpoints of a flow, by who began it
    bit<32> beginning;
    bit<32> slot_kept;          // of the end that was asked for last, counted from 1
    bit<32> slot_owner;
    bit<32> slot;
    // untracked, pre_dnat
    bit<8>  excused;
    // policy: of the stage that runs
    bit<32> chain;
    bit<32> variant;
    bit<32> passed;             // what was passed on the way to the list
    bit<8>  behind_host_rules;  // 1: host rules come before its lists

    // flow (flow.p4)
    bit<8>   tcp_flags;         // by the parser
    bit<8>   tracked;           // 1: the packet belongs to something that has a flow
    bit<16>  own_src_port;      // its tuple, but for the addresses; of an echo the identifier on one side
    bit<16>  own_dst_port;
    bit<8>   own_protocol;
    bit<8>   answer_protocol;
    bit<32>  src_incarnation;
    bit<32>  dst_incarnation;
    bit<8>   flow;              // what the last look-up found
    bit<8>   closing;           // 1: its key is in closing
    bit<8>   opens;             // 1: it is a SYN that opens a closing flow anew
    bit<8>   finishes;          // 1: FIN or RST
    bit<8>   established;       // 1: policy is passed over
    bit<8>   learn;             // what a look-up that finds nothing learns
    bit<8>   close;             // 1: its keys go into closing, 2: they stay there for a moment only
    bit<8>   timeout;           // of what is learned
    bit<8>   timeout_forth;     // of what is found, by what it is
    bit<8>   timeout_back;
    bit<8>   timeout_closing;
    bit<32>  epoch;             // of policy, 0: accepted once is accepted for good
    bit<8>   judged;            // 1: its key is in judged, under that epoch
    bit<8>   judge;             // 1: a look-up that finds nothing learns
    bit<8>   rejudged;          // 1: of a flow that present policy has not accepted yet
    bit<8>   timeout_judged;
    bit<32>  dst_v4;            // on the wire; by the parser
    bit<128> dst_v6;
    bit<8>   answers;           // 1: of an established flow, the other way than its first packet
    bit<8>   clash;             // 1: what was found is of another flow
    bit<8>   stale;             // 1: what was found leads to an endpoint that is no more
    bit<32>  end_incarnation;   // of who owns the destination, translated
    bit<32>  answer_incarnation; // of who owns the source, translated

    // What the packet gets (translate.p4): its tuple when it leaves. IPv6 addresses also in halves.
    bit<8>   moved;             // 1: another destination address than on the wire
    bit<8>   source_moved;      // 1: another source address than on the wire
    bit<128> new_src_v6;
    bit<64>  new_src_high;
    bit<64>  new_src_low;
    bit<32>  new_src_v4;
    bit<16>  new_src_port;
    bit<128> new_dst_v6;
    bit<64>  new_dst_high;
    bit<64>  new_dst_low;
    bit<16>  new_dst_port;
    bit<32>  new_dst_v4;
    bit<64>  difference;        // of the addresses, as checksums add them
    bit<64>  l4_difference;     // of ports and what else an L4 checksum covers
    bit<64>  outer_difference;  // of all that an ICMP error's checksum covers
    bit<64>  check;
    // nat
    bit<8>   nat;               // what translates the destination
    bit<32>  group;
    bit<16>  bucket_mask;
    bit<16>  bucket;
    bit<16>  bucket_row;
    bit<16>  bucket_place;      // which of the four in its row
    bit<16>  service_flags;
    bit<32>  spread;            // a hash
    bit<8>   remembered;        // affinity: 1 found
    bit<8>   remember;          // 1: a look-up that finds nothing learns
    bit<8>   timeout_affinity;
    bit<32>  range_src_v4;
    bit<32>  range_group;
    bit<128> range_src_v6;
    // masquerade
    bit<8>   pool;
    bit<8>   masquerade;        // 1: the source is to be masqueraded
    bit<8>   masquerade_to;
    bit<8>   searching;         // 1: no free port was found yet
    bit<8>   candidate;
    bit<8>   candidate_is;      // 1: there is such a candidate
    bit<16>  first_port;
    bit<16>  port_mask;
    bit<32>  step;

    // What the last look-up of a flow found, and what one that finds nothing learns, side by side.
    bit<128> found_src_v6;
    bit<128> found_dst_v6;
    bit<64>  found_src_high;
    bit<64>  found_src_low;
    bit<64>  found_dst_high;
    bit<64>  found_dst_low;
    bit<16>  found_src_port;
    bit<16>  found_dst_port;
    bit<32>  found_incarnation;
    bit<32>  found_egress_slot; // of the flow's two ends, counted from 1, 0 for none
    bit<32>  found_ingress_slot;
    bit<32>  found_src_v4;
    bit<32>  found_dst_v4;
    bit<128> learn_src_v6;
    bit<128> learn_dst_v6;
    bit<64>  learn_src_high;
    bit<64>  learn_src_low;
    bit<64>  learn_dst_high;
    bit<64>  learn_dst_low;
    bit<16>  learn_src_port;
    bit<16>  learn_dst_port;
    bit<32>  learn_incarnation;
    bit<32>  learn_egress_slot;
    bit<32>  learn_ingress_slot;
    bit<32>  learn_src_v4;
    bit<32>  learn_dst_v4;

    // The keys of the learners, side by side: IPv6 down to the protocol, IPv4 from the incarnations on. The epoch
    // stands at either end, because the keys of flows have none.
    bit<32>  epoch_v6;
    bit<128> flow_src_v6;
    bit<128> flow_dst_v6;
    bit<32>  flow_src_incarnation;
    bit<32>  flow_dst_incarnation;
    bit<16>  flow_src_port;
    bit<16>  flow_dst_port;
    bit<8>   flow_protocol;
    bit<32>  flow_src_v4;
    bit<32>  flow_dst_v4;
    bit<32>  epoch_v4;

    // The key of the rule tables, in order and side by side: the DPDK pipeline compares the whole
    // span of bytes between the first and the last field of a key. All but the list come from
    // the parser.
    bit<32> rule_list;
    bit<8>  ip_version;         // 4, 6; 0 for ARP
    bit<8>  protocol;           // upper-layer protocol
    bit<8>  l4_kind;
    bit<16> src_port;
    bit<16> dst_port;
    bit<8>  icmp_type;
    bit<8>  icmp_code;

    // host rules (host_rules.p4): what was found, and the key, side by side for the same reason.
    bit<32>  host_slot;         // 0: nothing
    bit<8>   host_reason;
    bit<32>  far_v4;
    bit<8>   host_kind;
    bit<8>   host_protocol;
    bit<16>  host_port;
    bit<128> far_v6;

    // The keys of the source guard, side by side for the same reason.
    bit<32>  src_v4;            // by the parser, if IPv4
    bit<32>  src_endpoint;      // by ports
    bit<128> src_v6;            // by the parser, if IPv6
}

#endif
