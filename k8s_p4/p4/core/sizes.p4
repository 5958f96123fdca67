// How many entries each table takes: guarantees, each with what it is sized for.
// Felix's own scale statements: sets of up to 1,048,576 members, about 100 endpoints a node
// (with room to 250), 262,144 routes, 1,000 interfaces. Exact tables enforce their size on DPDK
// (a full table refuses the entry); LPM and ternary tables take it as a hint there.

#ifndef CORE_SIZES_P4
#define CORE_SIZES_P4

// Interfaces of a node: 1,000 in Felix's interface table, and the next power of two.
#define SIZE_PORT 1024
// Gateway addresses that the switch answers for: one per family today, room for BGP peers.
#define SIZE_NEIGHBOUR 64
// Addresses of local endpoints: 1,000 interfaces with a handful of addresses and floating ones.
#define SIZE_SOURCE_HOST 16384
// Wider nets of etcd endpoints, and prefixes that may be spoofed.
#define SIZE_SOURCE_NET 4096
// Local addresses: those of the endpoints and of the node itself.
#define SIZE_LOCAL 16384
// Felix's route map: 262,144.
#define SIZE_ROUTE 262144
// One per local endpoint, host, uplink, remote node.
#define SIZE_NEXT_HOP 16384
// Addresses at which this node's tunnels end: one a family and kind.
#define SIZE_TUNNEL_LOCAL 16
// Other nodes, and a tunnel to each by kind and family: clusters of 5,000 nodes.
#define SIZE_TUNNEL_PEER 16384
#define SIZE_TUNNEL 16384
// Addresses in any IP set, per family and side: 300,000 guaranteed (the largest recording has
// 197,386 members); 524,288 as the next power of two.
#define SIZE_IDENTITY_HOST 524288
// Prefixes in sets and in rules.
#define SIZE_IDENTITY_NET 65536
// Endpoints of a node.
#define SIZE_BINDING 4096
// (chain, own identity): few, but where every address is an own one each identity may have a row.
#define SIZE_SELF_CLASS 65536
// (variant, peer identity) that differ from the default list.
#define SIZE_PEER_CLASS 262144
// Rule rows of all lists of one direction: 153,800 on the largest recording.
#define SIZE_RULES 262144
// One counter per slot: the first 1,024 for host rules, the others numbered densely and given back.
#define SIZE_SLOTS 262144
// One counter for each way to a list (policy.p4): what 14 bits can say.
#define SIZE_PASSES 16384
// The same for the stages that only host endpoints have: one for each interface of the node at most,
// and whatever an address set holds, its members are mostly of one identity.
#define SIZE_HOOK_BINDING 1024
#define SIZE_HOOK_PEER_CLASS 65536
#define SIZE_HOOK_RULES 262144
#define SIZE_HOOK_SLOTS 65536
// Failsafe ports times their networks; other nodes times the kinds of tunnels: clusters of 5,000 nodes.
#define SIZE_HOST_RULE 16384
// Destinations in untracked and pre-DNAT policy: services and the node's own addresses.
#define SIZE_PRE_DST_HOST 65536
// Learners have as many buckets as this, of four keys each, and two entries a flow. 262,144 flows are
// then one entry a bucket: of 1,000 entries four find their bucket full. Closing: those of the
// last minute, at 1,000 connections/s.
#define SIZE_FLOW 524288
#define SIZE_CLOSING 131072
// IPv4 and IPv6.
#define SIZE_EPOCH 2
// Addresses and ports of services: a hundred thousand. Backends: some sixteen rows of four buckets for each.
#define SIZE_SERVICE 131072
#define SIZE_SERVICE_SOURCE 16384
#define SIZE_BACKEND 1048576
// Floating addresses of local endpoints.
#define SIZE_FLOATING 16384
// Clients of services that keep their backend; and the backends of such services.
#define SIZE_AFFINITY 131072
#define SIZE_AFFINITY_BACKEND 131072
// Address pools; and where packets leave to, times candidates.
#define SIZE_POOL 4096
#define SIZE_MASQUERADE_ADDRESS 256
// Endpoints whose connections are limited, both ways; and slots, as many as flows.
#define SIZE_CONNECTION_LIMIT 8192
#define SIZE_CONNECTION_SLOT 262144
// What became of flows: flow.p4.
#define SIZE_FLOW_EVENTS 8
// Ranges that services get their addresses from, of all kinds.
#define SIZE_SERVICE_LOOP 256
// One counter per reason, and one row where a reason asks for an answer.
#define SIZE_REASONS 64
// What became of answers: rejects.p4. Groups of senders, with a rate each.
#define SIZE_REJECTS 16
#define SIZE_REJECT_GROUPS 64

// The sizes of a policy stage's tables, for POLICY_SIZE.
#define SIZE_OF_ENDPOINTS(table) SIZE_##table
#define SIZE_OF_HOOKS(table) SIZE_HOOK_##table

#endif
