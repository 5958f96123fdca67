// What differs between architectures, named by capability. The core uses these and nothing else
// of an architecture.

#ifndef ARCH_PNA_SHIM_P4
#define ARCH_PNA_SHIM_P4

#include <core.p4>
#include <dpdk/pna.p4>

// Must stand in an action of a table: the compiler accepts a port known at run time only there.
#define SET_EGRESS_PORT(port) send_to_port((PortId_t) (port));
#define DROP_PACKET() drop_packet();
#define COUNTER(name, size) Counter<bit<64>, bit<32>>(size, PNA_CounterType_t.PACKETS) name
#define COUNT(name, index) name.count(index);

#endif
