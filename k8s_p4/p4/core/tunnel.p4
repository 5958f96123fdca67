// tunnel: VXLAN (RFC 7348) over IPv4 and IPv6, and IP in IP over IPv4, to and from other nodes.
//
// In. What comes from the network to an address where a tunnel ends is taken out of it if it
// comes from a peer, and goes through the pipeline again as if it had come in by the tunnel's device
// (round 1): the parser takes the outer headers off, so nothing is read as a tunnel's before all
// that makes it one was compared, and a workload's own packets to port 4789 never are.
//
//   tunnel_local_v4/v6  (exact kind, outer destination)   where tunnels of this kind end
//   tunnel_peer_v4/v6   (exact kind, outer source)        who may send: the number of a node
//   tunnel_source_v4/v6 (prefix of the inner source)      the node that address is behind
//
// From somebody else, with options, fragmented, of another VNI: drop, reason encapsulated. An
// inner source that is not behind that peer: spoofed.
//
// Out. A route leads to the number of a tunnel, one for each peer, kind and family:
//
//   tunnel (exact number)
//       vxlan_v4, vxlan_v6, ipip   outer addresses, inner MACs, VNI; next_hop: how the outer packet
//                                  gets to the peer; host_endpoint: of the tunnel's device
//   No row: the tunnel can't be made (yet); drop, reason blackhole. Nothing leaves in the clear.
//
// Outer TTL 64, DSCP 0, ECN as inside; on the way in ECN is combined by RFC 6040 4.2. Don't
// fragment, identification 0 (RFC 6864). The UDP source port comes from a hash of the inner
// tuple. UDP checksum: 0 over IPv4. Over IPv6 it is made of the inner one without looking at
// the payload: what the inner checksum covers adds up to a known number. It is 0 (RFC 6936) where
// no checksum covers all of the inner packet: IPv4, fragments, extension headers, UDP without checksum or with
// bytes behind it (RFC 9868), protocols other than TCP, UDP and ICMPv6.
// On the way in it is not verified; the inner packet has its own.

#ifndef CORE_TUNNEL_P4
#define CORE_TUNNEL_P4

#include "ids.p4"
#include "sizes.p4"
#include "headers.p4"
#include "metadata.p4"

const bit<8> OUTER_TTL = 64;
// UDP, VXLAN and Ethernet header: what the outer UDP counts besides the inner packet.
const bit<16> VXLAN_OVERHEAD = 30;

// Round 0: recognises what a tunnel of ours brings. Sets strip; the packet goes round when what stands
// before has let it pass.
control TunnelIn(in headers_t hdr, inout metadata_t meta) {
    bit<8> whole;

    @hidden
    action refuse() {
        meta.state = STATE_DROP;
        meta.reason = REASON_ENCAPSULATED;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 01))
    action terminate(bit<32> port, bit<32> vni) {
        meta.tunnel_port = port;
        meta.vni = vni << 8;
    }

    // No tunnel of this kind ends there: a packet like any other.
    @id(ACTION_ID(STAGE_TUNNEL, 02))
    action no_tunnel_here() {
        meta.tunnel_kind = TUNNEL_NONE;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 01))
    table tunnel_local_v4 {
        key = {
            meta.tunnel_kind: exact @name("kind");
            hdr.ipv4.dst: exact @name("address");
        }
        actions = { terminate; @defaultonly no_tunnel_here; }
        const default_action = no_tunnel_here();
        size = SIZE_TUNNEL_LOCAL;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 02))
    table tunnel_local_v6 {
        key = {
            meta.tunnel_kind: exact @name("kind");
            hdr.ipv6.dst: exact @name("address");
        }
        actions = { terminate; @defaultonly no_tunnel_here; }
        const default_action = no_tunnel_here();
        size = SIZE_TUNNEL_LOCAL;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 03))
    action from_peer(bit<32> node) {
        meta.peer = node;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 04))
    action stranger() {
        meta.state = STATE_DROP;
        meta.reason = REASON_ENCAPSULATED;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 03))
    table tunnel_peer_v4 {
        key = {
            meta.tunnel_kind: exact @name("kind");
            hdr.ipv4.src: exact @name("address");
        }
        actions = { from_peer; @defaultonly stranger; }
        const default_action = stranger();
        size = SIZE_TUNNEL_PEER;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 04))
    table tunnel_peer_v6 {
        key = {
            meta.tunnel_kind: exact @name("kind");
            hdr.ipv6.src: exact @name("address");
        }
        actions = { from_peer; @defaultonly stranger; }
        const default_action = stranger();
        size = SIZE_TUNNEL_PEER;
    }

    apply {
        if (meta.protocol == PROTOCOL_UDP && meta.l4_kind == L4_PORTS && meta.dst_port == VXLAN_PORT) {
            meta.tunnel_kind = TUNNEL_VXLAN;
        } else if (meta.protocol == PROTOCOL_IPIP && meta.ip_version == 4) {
            meta.tunnel_kind = TUNNEL_IPIP;
        }
        whole = 0;
        if (meta.tunnel_kind != TUNNEL_NONE) {
            if (meta.ip_version == 4) {
                tunnel_local_v4.apply();
                if (hdr.ipv4.flags_fragment & 0x3fff == 0) {
                    if (hdr.ipv4.version_ihl == 0x45) {
                        whole = 1;
                    }
                }
            } else {
                tunnel_local_v6.apply();
                if (meta.header_length == 0) {
                    whole = 1;
                }
            }
        }
        if (meta.tunnel_kind != TUNNEL_NONE) {
            if (meta.tunnel_kind == TUNNEL_VXLAN) {
                if (meta.l4_length < VXLAN_OVERHEAD) {
                    whole = 0;
                }
            }
            if (whole == 0) {
                refuse();
            } else if (meta.ip_version == 4) {
                tunnel_peer_v4.apply();
                meta.strip = meta.tunnel_kind;
            } else {
                tunnel_peer_v6.apply();
                meta.strip = STRIP_VXLAN_V6;
            }
        }
    }
}

// Round 1: what came out of the tunnel.
control TunnelArrived(inout headers_t hdr, inout metadata_t meta) {
    bit<8> inner_ecn;
    bit<16> more;

    @hidden
    action refuse() {
        meta.state = STATE_DROP;
        meta.reason = REASON_ENCAPSULATED;
    }

    @hidden
    action spoofed() {
        meta.state = STATE_DROP;
        meta.reason = REASON_SPOOFED;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 05))
    action behind(bit<32> node) {
        meta.source_peer = node;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 06))
    action behind_nobody() {
        meta.source_peer = 0;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 05))
    table tunnel_source_v4 {
        key = { hdr.ipv4.src: lpm @name("prefix"); }
        actions = { behind; @defaultonly behind_nobody; }
        const default_action = behind_nobody();
        size = SIZE_ROUTE;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 06))
    table tunnel_source_v6 {
        key = { hdr.ipv6.src: lpm @name("prefix"); }
        actions = { behind; @defaultonly behind_nobody; }
        const default_action = behind_nobody();
        size = SIZE_ROUTE;
    }

    apply {
        if (meta.strip != TUNNEL_IPIP) {
            if (meta.arrived_vni != meta.vni) {
                refuse();
            }
            if (meta.arrived_flags & 0x08000000 == 0) {
                refuse();
            }
        }
        if (meta.ip_version == 4) {
            tunnel_source_v4.apply();
            if (meta.source_peer != meta.peer) {
                spoofed();
            }
            inner_ecn = hdr.ipv4.tos & 3;
            // By how much the ECN bits grow; congestion told to a sender that can't read it is a loss.
            more = 0;
            if (meta.outer_ecn == 3) {
                if (inner_ecn == 0) {
                    refuse();
                } else {
                    more = 3 - (bit<16>) inner_ecn;
                }
            }
            if (more != 0) {
                hdr.ipv4.tos = hdr.ipv4.tos | 3;
                // The checksum loses what its word gains, with end-around borrow (RFC 1624).
                if (hdr.ipv4.checksum < more) {
                    hdr.ipv4.checksum = hdr.ipv4.checksum - 1;
                }
                hdr.ipv4.checksum = hdr.ipv4.checksum - more;
            } else if (meta.outer_ecn == 1 && inner_ecn == 2) {
                hdr.ipv4.tos = hdr.ipv4.tos - 1;
                if (hdr.ipv4.checksum >= 0xfffe) {
                    hdr.ipv4.checksum = hdr.ipv4.checksum + 1;
                }
                hdr.ipv4.checksum = hdr.ipv4.checksum + 1;
            }
        } else if (meta.ip_version == 6) {
            tunnel_source_v6.apply();
            if (meta.source_peer != meta.peer) {
                spoofed();
            }
            inner_ecn = (bit<8>) (hdr.ipv6.version_class_flow >> 20) & 3;
            if (meta.outer_ecn == 3) {
                if (inner_ecn == 0) {
                    refuse();
                } else {
                    hdr.ipv6.version_class_flow = hdr.ipv6.version_class_flow | 0x00300000;
                }
            } else if (meta.outer_ecn == 1 && inner_ecn == 2) {
                hdr.ipv6.version_class_flow = hdr.ipv6.version_class_flow - 0x00100000;
            }
        }
    }
}

// The tunnel a route leads to. What is the same for all its packets goes into the outer headers here; what
// depends on the packet, at the end (Encapsulate). sum: of the constant words of the outer header or, over
// IPv6, of all the constant words that the UDP checksum covers, folded to 16 bits.
control TunnelOut(inout headers_t hdr, inout metadata_t meta) {
    @id(ACTION_ID(STAGE_TUNNEL, 07))
    action vxlan_v4(bit<32> next_hop, bit<32> host_endpoint, bit<32> src, bit<32> dst, bit<16> sum,
                    bit<32> vni, bit<48> src_mac, bit<48> dst_mac) {
        meta.encapsulation = STRIP_VXLAN_V4;
        meta.next_hop = next_hop;
        meta.tunnel_endpoint = host_endpoint;
        meta.outer_sum = sum;
        meta.inner_src_mac = src_mac;
        meta.inner_dst_mac = dst_mac;
        hdr.outer_ipv4.setValid();
        hdr.outer_ipv4.protocol = PROTOCOL_UDP;
        hdr.outer_ipv4.src = src;
        hdr.outer_ipv4.dst = dst;
        hdr.vxlan.setValid();
        hdr.vxlan.vni = vni << 8;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 08))
    action vxlan_v6(bit<32> next_hop, bit<32> host_endpoint, bit<128> src, bit<128> dst, bit<16> sum,
                    bit<32> vni, bit<48> src_mac, bit<48> dst_mac) {
        meta.encapsulation = STRIP_VXLAN_V6;
        meta.next_hop = next_hop;
        meta.tunnel_endpoint = host_endpoint;
        meta.outer_sum = sum;
        meta.inner_src_mac = src_mac;
        meta.inner_dst_mac = dst_mac;
        hdr.outer_ipv6.setValid();
        hdr.outer_ipv6.src = src;
        hdr.outer_ipv6.dst = dst;
        hdr.vxlan.setValid();
        hdr.vxlan.vni = vni << 8;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 09))
    action ipip(bit<32> next_hop, bit<32> host_endpoint, bit<32> src, bit<32> dst, bit<16> sum) {
        meta.encapsulation = TUNNEL_IPIP;
        meta.next_hop = next_hop;
        meta.tunnel_endpoint = host_endpoint;
        meta.outer_sum = sum;
        hdr.outer_ipv4.setValid();
        hdr.outer_ipv4.protocol = PROTOCOL_IPIP;
        hdr.outer_ipv4.src = src;
        hdr.outer_ipv4.dst = dst;
    }

    @id(ACTION_ID(STAGE_TUNNEL, 0a))
    action not_made() {
        meta.state = STATE_DROP;
        meta.reason = REASON_BLACKHOLE;
    }

    @id(TABLE_ID(STAGE_TUNNEL, 07))
    table tunnel {
        key = { meta.tunnel: exact @name("tunnel"); }
        actions = { vxlan_v4; vxlan_v6; ipip; @defaultonly not_made; }
        const default_action = not_made();
        size = SIZE_TUNNEL;
    }

    apply {
        tunnel.apply();
    }
}

// Puts the outer headers before the packet as it leaves; its Ethernet addresses are the next hop's.
control Encapsulate(inout headers_t hdr, inout metadata_t meta) {
    HASH32(entropy_hash);
    bit<16> inner_length;
    bit<16> outer_length;
    bit<8> ecn;
    bit<64> sum;
    bit<8> covered;

    apply {
        covered = 0;
        sum = 0;
        if (meta.ip_version == 4) {
            inner_length = hdr.ipv4.total_length;
            ecn = hdr.ipv4.tos & 3;
            meta.entropy_src = (bit<64>) hdr.ipv4.src;
            meta.entropy_dst = (bit<64>) hdr.ipv4.dst;
        } else {
            inner_length = hdr.ipv6.payload_length + 40;
            ecn = (bit<8>) (hdr.ipv6.version_class_flow >> 20) & 3;
            meta.entropy_src = meta.src_high + meta.src_low;
            meta.entropy_dst = meta.dst_sum;
        }

        hdr.outer_ethernet.setValid();
        hdr.outer_ethernet.dst = hdr.ethernet.dst;
        hdr.outer_ethernet.src = hdr.ethernet.src;

        if (meta.encapsulation == TUNNEL_IPIP) {
            hdr.ethernet.setInvalid();
            outer_length = inner_length + 20;
        } else {
            hdr.ethernet.src = meta.inner_src_mac;
            hdr.ethernet.dst = meta.inner_dst_mac;
            meta.entropy_l4 = ((bit<64>) meta.protocol << 32) + ((bit<64>) meta.src_port << 16)
                + (bit<64>) meta.dst_port;
            HASH(meta.entropy, entropy_hash, { meta.entropy_src, meta.entropy_dst, meta.entropy_l4 })
            hdr.outer_udp.setValid();
            // The dynamic ports (RFC 7348 section 5).
            hdr.outer_udp.src_port = ((bit<16>) meta.entropy & 0x3fff) | 0xc000;
            hdr.outer_udp.dst_port = VXLAN_PORT;
            hdr.outer_udp.length = inner_length + VXLAN_OVERHEAD;
            hdr.outer_udp.checksum = 0;
            hdr.vxlan.flags = 0x08000000;
            outer_length = inner_length + VXLAN_OVERHEAD + 20;
        }

        if (meta.encapsulation != STRIP_VXLAN_V6) {
            hdr.outer_ethernet.ether_type = ETHERTYPE_IPV4;
            hdr.outer_ipv4.version_ihl = 0x45;
            hdr.outer_ipv4.tos = ecn;
            hdr.outer_ipv4.total_length = outer_length;
            hdr.outer_ipv4.identification = 0;
            hdr.outer_ipv4.flags_fragment = 0x4000;
            hdr.outer_ipv4.ttl = OUTER_TTL;
            sum = (bit<64>) meta.outer_sum + (bit<64>) ecn + (bit<64>) outer_length;
        } else {
            hdr.outer_ethernet.ether_type = ETHERTYPE_IPV6;
            hdr.outer_ipv6.version_class_flow = ((bit<32>) ecn << 20) | 0x60000000;
            hdr.outer_ipv6.payload_length = inner_length + VXLAN_OVERHEAD;
            hdr.outer_ipv6.next_header = PROTOCOL_UDP;
            hdr.outer_ipv6.hop_limit = OUTER_TTL;
            if (meta.header_length == 0) {
                if (hdr.ipv6.next_header == PROTOCOL_TCP) {
                    covered = 1;
                } else if (hdr.ipv6.next_header == PROTOCOL_UDP) {
                    if (hdr.udp.checksum != 0) {
                        if (hdr.udp.length == hdr.ipv6.payload_length) {
                            covered = 1;
                        }
                    }
                } else if (hdr.ipv6.next_header == PROTOCOL_ICMPV6) {
                    if (meta.l4_kind == L4_ICMP) {
                        covered = 1;
                    }
                }
            }
            if (covered == 1) {
                // The inner header and what follows it add up to the header's first and second words, less
                // what the inner checksum counts of them besides the addresses: length, protocol.
                sum = (bit<64>) meta.outer_sum + ((bit<64>) hdr.outer_udp.length << 1)
                    + (bit<64>) hdr.outer_udp.src_port + (bit<64>) hdr.ipv6.version_class_flow
                    + ((bit<64>) hdr.ipv6.next_header << 8) - (bit<64>) hdr.ipv6.next_header
                    + (bit<64>) hdr.ipv6.hop_limit;
            }
        }
        // Folded outside of where it is made: within a block the compiler would repeat the whole sum.
        if (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        if (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        if (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        if (meta.encapsulation != STRIP_VXLAN_V6) {
            hdr.outer_ipv4.checksum = (bit<16>) sum ^ 0xffff;
        } else if (covered == 1) {
            if (sum != 0xffff) {
                sum = sum ^ 0xffff;
            }
            hdr.outer_udp.checksum = (bit<16>) sum;
        }
    }
}

#endif
