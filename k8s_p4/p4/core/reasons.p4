// Why a packet was dropped (1..31) or let pass (32 and up): one number in metadata, and the
// index of the counter `drops`. k8s_p4/reasons.py mirrors this file; a test compares the two.
// The names are those of the replay contract's field `reason`.

#ifndef CORE_REASONS_P4
#define CORE_REASONS_P4

const bit<8> REASON_NONE = 0;
const bit<8> REASON_PARSE = 1;
const bit<8> REASON_UNKNOWN_PORT = 2;
const bit<8> REASON_SPOOFED = 3;
const bit<8> REASON_ENDPOINT_DOWN = 4;
const bit<8> REASON_DEGRADED = 5;
const bit<8> REASON_NO_ROUTE = 6;
const bit<8> REASON_BLACKHOLE = 7;
const bit<8> REASON_TTL = 8;
const bit<8> REASON_POLICY = 9;
const bit<8> REASON_ENCAPSULATED = 10;
const bit<8> REASON_ENDPOINT_ACTION = 11;
const bit<8> REASON_NEIGHBOUR = 12;
const bit<8> REASON_FRAGMENT = 13;
const bit<8> REASON_RATE = 14;
const bit<8> REASON_CONNECTION_LIMIT = 15;
const bit<8> REASON_SERVICE_LOOP = 16;
const bit<8> REASON_NO_BACKEND = 17;
const bit<8> REASON_SOURCE_RANGE = 18;
const bit<8> REASON_FLOW_CLASH = 19;
const bit<8> REASON_NO_PORT = 20;
const bit<8> REASON_TABLE_FULL = 21;
const bit<8> REASON_NEIGHBOUR_UNKNOWN = 22;
const bit<8> REASON_UNBOUND = 23;

const bit<8> REASON_POLICY_ALLOW = 32;
const bit<8> REASON_NO_POLICY = 33;
const bit<8> REASON_HOST_TO_WORKLOAD = 34;
const bit<8> REASON_ENDPOINT_ACTION_ALLOW = 35;
const bit<8> REASON_ESTABLISHED = 36;
const bit<8> REASON_RELATED = 37;
const bit<8> REASON_UNTRACKED = 38;
const bit<8> REASON_FAILSAFE = 39;

#endif
