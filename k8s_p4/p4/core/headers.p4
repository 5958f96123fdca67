// Headers as on the wire. Fields are whole bytes, because the DPDK pipeline knows no others;
// what is packed tighter (version and header length, flags and fragment offset) is one field.

#ifndef CORE_HEADERS_P4
#define CORE_HEADERS_P4

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<16> ETHERTYPE_ARP = 0x0806;
const bit<16> ETHERTYPE_IPV6 = 0x86dd;

const bit<8> PROTOCOL_HOP_BY_HOP = 0;
const bit<8> PROTOCOL_ICMP = 1;
const bit<8> PROTOCOL_IPIP = 4;
const bit<8> PROTOCOL_TCP = 6;
const bit<8> PROTOCOL_UDP = 17;
const bit<8> PROTOCOL_ROUTING = 43;
const bit<8> PROTOCOL_FRAGMENT = 44;
const bit<8> PROTOCOL_ICMPV6 = 58;
const bit<8> PROTOCOL_DESTINATION_OPTIONS = 60;
const bit<8> PROTOCOL_SCTP = 132;
const bit<8> PROTOCOL_UDPLITE = 136;

const bit<16> ARP_REQUEST = 1;
const bit<16> ARP_REPLY = 2;

const bit<8> ICMP_ECHO_REQUEST = 8;
const bit<8> ICMP_ECHO_REPLY = 0;
const bit<8> ICMP_UNREACHABLE = 3;
const bit<8> ICMP_SOURCE_QUENCH = 4;
const bit<8> ICMP_REDIRECT = 5;
const bit<8> ICMP_TIME_EXCEEDED = 11;
const bit<8> ICMP_PARAMETER_PROBLEM = 12;
// The highest type that is neither experimental nor unassigned (address mask reply).
const bit<8> ICMP_LAST_KNOWN = 18;
const bit<8> ICMPV6_UNREACHABLE = 1;
const bit<8> ICMPV6_TOO_BIG = 2;
const bit<8> ICMPV6_TIME_EXCEEDED = 3;
const bit<8> ICMPV6_PARAMETER_PROBLEM = 4;
const bit<8> ICMPV6_ECHO_REQUEST = 128;
const bit<8> ICMPV6_ECHO_REPLY = 129;
const bit<8> ICMPV6_NEIGHBOUR_SOLICITATION = 135;
const bit<8> ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136;
const bit<8> ND_SOURCE_LINK_LAYER = 1;
const bit<8> ND_TARGET_LINK_LAYER = 2;
// Router, solicited, override (RFC 4861 4.4).
const bit<32> ND_ADVERTISEMENT_FLAGS = 0xe0000000;

// What Felix calls VXLANPort has this value unless configured; a parser constant here.
const bit<16> VXLAN_PORT = 4789;

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header arp_t {
    bit<16> hardware_type;
    bit<16> protocol_type;
    bit<16> lengths;            // hardware length, protocol length
    bit<16> operation;
    bit<48> sender_mac;
    bit<32> sender_ip;
    bit<48> target_mac;
    bit<32> target_ip;
}

header ipv4_t {
    bit<8>  version_ihl;
    bit<8>  tos;
    bit<16> total_length;       // bytes, header included
    bit<16> identification;
    bit<16> flags_fragment;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

// One 32-bit word of IPv4 options, in the halves that the checksum adds.
header ipv4_option_t {
    bit<16> high;
    bit<16> low;
}

header ipv6_t {
    bit<32>  version_class_flow;
    bit<16>  payload_length;    // bytes, extension headers included
    bit<8>   next_header;
    bit<8>   hop_limit;
    bit<128> src;
    bit<128> dst;
}

// The same bytes read ahead in pieces that the pipeline can calculate with (at most 64 bits).
header ipv6_pieces_t {
    bit<64> fixed;
    bit<64> src_high;
    bit<64> src_low;
    bit<32> dst0;
    bit<32> dst1;
    bit<32> dst2;
    bit<32> dst3;
}

header ipv6_halves_t {
    bit<64> fixed;
    bit<64> src_high;
    bit<64> src_low;
    bit<64> dst_high;
    bit<64> dst_low;
}

header extension_peek_t {
    bit<8> next_header;
    bit<8> length;              // in units of 8 bytes, the first unit not counted
}

// Hop-by-hop, routing or destination options (RFC 8200 4.3, 4.4, 4.6).
header extension_t {
    bit<8>        next_header;
    bit<8>        length;
    varbit<16368> data;         // 6 bytes, and 8 for each unit of length
}

header fragment_t {
    bit<8>  next_header;
    bit<8>  reserved;
    bit<16> offset_flags;       // offset in the high 13 bits
    bit<32> identification;
}

header ports_t {
    bit<16> src;
    bit<16> dst;
}

header icmp_t {
    bit<8>  type;
    bit<8>  code;
    bit<16> checksum;
}

// What follows the ports, and the fourth and following bytes of an ICMP message.
header tcp_t {
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<8>  offset;
    bit<8>  flags;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent;
}

header udp_t {
    bit<16> length;
    bit<16> checksum;
}

header echo_t {
    bit<16> identifier;
    bit<16> sequence;
}

// Options of the packet that an ICMP error quotes.
header inner_options_t {
    varbit<320> data;
}

// The rest of a neighbour solicitation or advertisement with one link-layer address option.
header neighbour_t {
    bit<32>  flags;
    bit<128> target;
    bit<8>   option_type;
    bit<8>   option_length;     // in units of 8 bytes
    bit<48>  option_mac;
}

header neighbour_pieces_t {
    bit<32> flags;
    bit<32> target0;
    bit<32> target1;
    bit<32> target2;
    bit<32> target3;
    bit<16> option;
    bit<16> mac_high;
    bit<32> mac_low;
}

// VXLAN: flags (0x08: the VNI is valid), and the VNI in the high 24 bits.
header vxlan_t {
    bit<32> flags;
    bit<32> vni;
}

header outer_udp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

// ICMP destination unreachable, either family, in front of the packet it is about (reject.p4).
header unreachable_t {
    bit<16> type_code;
    bit<16> checksum;
    bit<32> unused;
}

// What a tunnel adds in front of the Ethernet frame or, with IP in IP, of the packet inside: read in one
// piece to be left out.
header stripped_vxlan_v4_t {
    bit<112> ethernet;
    bit<8>   version_ihl;
    bit<8>   tos;
    bit<16>  total_length;
    bit<128> rest_of_ip;
    bit<64>  udp;
    bit<32>  flags;
    bit<32>  vni;
}

header stripped_vxlan_v6_t {
    bit<112> ethernet;
    bit<32>  version_class_flow;
    bit<32>  length_next_hop;
    bit<128> src;
    bit<128> dst;
    bit<64>  udp;
    bit<32>  flags;
    bit<32>  vni;
}

header stripped_ipip_t {
    bit<8>   version_ihl;
    bit<8>   tos;
    bit<16>  total_length;
    bit<128> rest_of_ip;
}

struct headers_t {
    // A tunnel's, in front of all others.
    ethernet_t    outer_ethernet;
    ipv4_t        outer_ipv4;
    ipv6_t        outer_ipv6;
    outer_udp_t   outer_udp;
    vxlan_t       vxlan;
    unreachable_t unreachable;
    stripped_vxlan_v4_t stripped_vxlan_v4;
    stripped_vxlan_v6_t stripped_vxlan_v6;
    stripped_ipip_t     stripped_ipip;

    ethernet_t    ethernet;
    arp_t         arp;
    ipv4_t        ipv4;
    ipv4_option_t option10;
    ipv4_option_t option9;
    ipv4_option_t option8;
    ipv4_option_t option7;
    ipv4_option_t option6;
    ipv4_option_t option5;
    ipv4_option_t option4;
    ipv4_option_t option3;
    ipv4_option_t option2;
    ipv4_option_t option1;
    ipv6_t        ipv6;
    extension_t   extension1;
    extension_t   extension2;
    extension_t   extension3;
    fragment_t    fragment;
    extension_t   extension4;
    extension_t   extension5;
    ports_t       ports;
    tcp_t         tcp;
    udp_t         udp;
    icmp_t        icmp;
    echo_t        echo;
    neighbour_t   neighbour;
    // An ICMP error: its second word, and the packet it is about, as far as flows go.
    echo_t        quoting;
    ipv4_t        inner_ipv4;
    inner_options_t inner_options;
    ipv6_t        inner_ipv6;
    ports_t       inner_ports;
    udp_t         inner_udp;
    icmp_t        inner_icmp;
    echo_t        inner_echo;
}

#endif
