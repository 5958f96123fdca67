// deparse: the headers in the order of the wire; invalid ones are left out.

#ifndef CORE_DEPARSE_P4
#define CORE_DEPARSE_P4

#include "headers.p4"

control PacketDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.outer_ethernet);
        packet.emit(hdr.outer_ipv4);
        packet.emit(hdr.outer_ipv6);
        packet.emit(hdr.outer_udp);
        packet.emit(hdr.vxlan);
        packet.emit(hdr.unreachable);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.arp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.option10);
        packet.emit(hdr.option9);
        packet.emit(hdr.option8);
        packet.emit(hdr.option7);
        packet.emit(hdr.option6);
        packet.emit(hdr.option5);
        packet.emit(hdr.option4);
        packet.emit(hdr.option3);
        packet.emit(hdr.option2);
        packet.emit(hdr.option1);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.extension1);
        packet.emit(hdr.extension2);
        packet.emit(hdr.extension3);
        packet.emit(hdr.fragment);
        packet.emit(hdr.extension4);
        packet.emit(hdr.extension5);
        packet.emit(hdr.ports);
        packet.emit(hdr.tcp);
        packet.emit(hdr.udp);
        packet.emit(hdr.icmp);
        packet.emit(hdr.echo);
        packet.emit(hdr.neighbour);
        packet.emit(hdr.quoting);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_options);
        packet.emit(hdr.inner_ipv6);
        packet.emit(hdr.inner_ports);
        packet.emit(hdr.inner_udp);
        packet.emit(hdr.inner_icmp);
        packet.emit(hdr.inner_echo);
    }
}

#endif
