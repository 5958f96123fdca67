// What differs between architectures, for v1model as BMv2's simple_switch_grpc runs it. Nothing learns there: a packet that
// would have something learned, or a timeout changed, goes to the driver (main_v1model.p4), which writes
// the entries and sends the packet into the pipeline again.

#ifndef ARCH_V1MODEL_SHIM_P4
#define ARCH_V1MODEL_SHIM_P4

#include <core.p4>
#include <v1model.p4>

// The main sees to both when the pipeline is through.
#define SET_EGRESS_PORT(port) meta.egress_port = port;
#define GO_AROUND()
#define DROP_PACKET()
// What outlives the way round.
#define KEPT @field_list(1)
// tell: 1 if the driver has something to write; again: 1 for what it sent back.
#define ARCH_METADATA                   \
    bit<32> egress_port;                \
    bit<8>  tell;                       \
    KEPT bit<8> again;                  \
    KEPT bit<32> came_by;
// A found entry is prolonged by being found; its timeout is a parameter, so that a packet can ask for another.
#define LEARNS support_timeout = true;
#define LEARN(action_name, params, timeout_of) meta.tell = 1;
#define LEARNED_ONLY bit<8> timeout
#define LEARNED_TOO , bit<8> timeout
#define RESTART_TIMEOUT()
#define SET_TIMEOUT(wanted) if (timeout != wanted) { meta.tell = 1; }
// The standard polynomial, where DPDK has Castagnoli's: other buckets, other ports of masquerade.
#define HASH32(name) bit<32> name
#define HASH(result, name, ...)                                                             \
    hash(name, HashAlgorithm.crc32, (bit<32>) 0, __VA_ARGS__, (bit<64>) 0x100000000);       \
    result = name;
#define MIX_HASH(result, name, ...)                                                         \
    hash(name, HashAlgorithm.crc32, (bit<32>) 0, __VA_ARGS__, (bit<64>) 0x100000000);       \
    result = result ^ name;
#define COUNTER(name, size) counter(size, CounterType.packets) name
// What goes to the driver is judged before, and asks whether its entries are there when it comes back: until then it is
// counted as if they will be.
#define COUNT(name, index) name.count(index);
#define COUNT_ONCE(name, index) if (meta.again == 0) { name.count(index); }
#define LEARNED_BY_THEN(refused) if (meta.again == 0) { refused = 0; }
#define COUNT_LEARNED(name, index) if (meta.again == 1) { name.count(index); }
// 0 green, 1 yellow, 2 red. Bytes are those of the packet as it came, whatever length is said.
#define COLOUR_T bit<8>
#define PACKET_METER(name, size) meter(size, MeterType.packets) name
#define BYTE_METER(name, size) meter(size, MeterType.bytes) name
#define METER(colour, name, index, length)                                                  \
    colour = 0;                                                                             \
    if (meta.again == 0) {                                                                  \
        name.execute_meter(index, colour);                                                  \
    }
#define IS_OVER(colour) colour != 0

#endif
