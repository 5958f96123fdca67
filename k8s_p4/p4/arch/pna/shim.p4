// What differs between architectures, named by capability. The core uses these and nothing else
// of an architecture.

#ifndef ARCH_PNA_SHIM_P4
#define ARCH_PNA_SHIM_P4

#include <core.p4>
#include <dpdk/pna.p4>

// Must stand in an action of a table: the compiler accepts a port known at run time only there.
#define SET_EGRESS_PORT(port) send_to_port((PortId_t) (port));
// The packet, as the deparser leaves it, comes to the parser again; metadata keeps its values.
#define GO_AROUND() recirculate();
#define KEPT
// Metadata that only the architecture's own main knows.
#define ARCH_METADATA
#define DROP_PACKET() drop_packet();
// A table whose default action learns; its actions may set timeouts. LEARN stands in the default action only.
// The timeouts the compiler gives every such table, by number: 10, 30, 60, 120, 300, 43200, 120, 120 s.
#define LEARNS add_on_miss = true; idle_timeout_with_auto_delete = true;
#define LEARN(action_name, params, timeout) \
    add_entry(action_name, params, (ExpireTimeProfileId_t) (timeout));
// A parameter more of what is learned: which timeout it has, where the pipeline can't change that.
#define LEARNED_ONLY
#define LEARNED_TOO
#define RESTART_TIMEOUT() restart_expire_timer();
#define SET_TIMEOUT(timeout) set_entry_expire_time((ExpireTimeProfileId_t) (timeout));
// A hash by name; it goes into `result`, or is mixed with what is there.
#define HASH32(name) Hash<bit<32>>(PNA_HashAlgorithm_t.CRC32) name
#define HASH(result, name, ...) result = name.get_hash(__VA_ARGS__);
#define MIX_HASH(result, name, ...) result = result ^ name.get_hash(__VA_ARGS__);
#define COUNTER(name, size) Counter<bit<64>, bit<32>>(size, PNA_CounterType_t.PACKETS) name
// Colours: the compiler numbers them red, green, yellow, and hands them to and from the DPDK pipeline as they are, where
// they are green, yellow, red. So its red is green there, which a packet comes with and is if it is
// within its rate.
#define COLOUR_T PNA_MeterColor_t
#define PACKET_METER(name, size) Meter<bit<32>>(size, PNA_MeterType_t.PACKETS) name
#define BYTE_METER(name, size) Meter<bit<32>>(size, PNA_MeterType_t.BYTES) name
#define METER(colour, name, index, length) colour = name.dpdk_execute(index, PNA_MeterColor_t.RED, length);
#define IS_OVER(colour) colour != PNA_MeterColor_t.RED
// COUNT_ONCE: what a packet that comes twice meets both times. COUNT_LEARNED: whether what should be learned is there.
// LEARNED_BY_THEN: what has not been learned yet will be, if somebody else does it.
#define COUNT(name, index) name.count(index);
#define COUNT_ONCE(name, index) COUNT(name, index)
#define LEARNED_BY_THEN(refused)
#define COUNT_LEARNED(name, index) COUNT(name, index)

#endif
