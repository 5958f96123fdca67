/* The DPDK engine: a pipeline of DPDK's SWX library in this process, frames in and out of memory.
 *
 * Compiled on the user's machine against the libdpdk that is installed, which is used as it is packaged: the program is given to it by its
 * public interface, and its interpreter executes it. One internal header says where a packet's metadata lie. Four things are added, none of
 * them to how a packet is processed:
 *
 * - Ports in memory: any number of them, behind the one input port and the one output port that the library is told of.
 * - The caller's time, on request, in place of the CPU's clock, which traps meanwhile: 2^36 ticks a second. Expiry is kept in units of 2^32
 *   ticks, so its grain is 1/16 s; by the CPU's clock it is some 2 s.
 * - What has been learned can be listed, forgotten and put back.
 * - Poison, on request: metadata and headers hold a pattern when a packet begins, instead of an earlier packet's bytes.
 *
 * One thread may use an engine at a time; nothing here locks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "rte_swx_pipeline_internal.h"

#define HEADROOM 1024
#define ROOM 65536
#define PATTERN 0xA5
#define FIRST_TICK (1ULL << 40)
#define LAST_TICK 0xE000000000000000ULL
#define SECOND_BITS 36
#define METADATA_MAX 65536
#define STEPS 256
#define STEPS_MAX 4000000 /* of a packet, with those of the library's other threads, which have nothing to do */

enum outcome { NONE = 0, SENT = 1, DROPPED = 2, SHORT_FRAME = 3 };

/* What the caller reads after a packet: where `metadata` are, each scratch header follows. */
struct result {
	uint32_t outcome;
	uint32_t length;
	uint32_t passes;
	uint8_t *frame;
	uint8_t *metadata;
};

struct engine {
	struct rte_swx_pipeline *p;
	struct rte_swx_ctl_pipeline *ctl;
	uint32_t port_in;
	uint64_t epoch; /* what time counts from, in ticks */
	bool waiting, poison, real_time;
	char scratch[RTE_SWX_NAME_SIZE]; /* how names of scratch headers begin */
	uint32_t metadata_size, headers_size;
	uint8_t *end; /* of the frame that is under way */
	struct result result;
	uint8_t buffer[HEADROOM + ROOM + HEADROOM];
	uint8_t metadata[METADATA_MAX];
};

static uint64_t now_ticks;
static uint64_t hz, real_hz; /* what the library is told, and what is so */

/* Time: the processor traps where the library reads its clock, and gets ours */

#if defined(__x86_64__)
static struct sigaction before;

static void
trapped(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *code = (const uint8_t *)registers[REG_RIP];
	int length = info->si_code != SI_KERNEL ? 0 : code[0] == 0x0F && code[1] == 0x31 ? 2 : /* rdtsc */
		     code[0] == 0x0F && code[1] == 0x01 && code[2] == 0xF9 ? 3 : 0; /* rdtscp */

	if (!length) { /* a real one: whoever was there before, on return */
		sigaction(SIGSEGV, &before, NULL);
		return;
	}
	registers[REG_RAX] = now_ticks & UINT32_MAX;
	registers[REG_RDX] = now_ticks >> 32;
	registers[REG_RIP] += length;
}

static int
clock_start(void)
{
	struct sigaction ours = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};

	if (prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0))
		return -errno;
	return sigaction(SIGSEGV, &ours, &before) ? -errno : 0;
}

static void
clock_ours(bool ours)
{
	prctl(PR_SET_TSC, ours ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0);
}
#else
static int
clock_start(void)
{
	return -ENOTSUP;
}

static void
clock_ours(bool ours)
{
}
#endif

/* In place of the library's own, which is found after this one. */
uint64_t
rte_get_tsc_hz(void)
{
	return hz;
}

static uint64_t
rate(struct engine *e)
{
	return e->real_time ? real_hz : 1ULL << SECOND_BITS;
}

static uint64_t
ticks(struct engine *e, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * rate(e) / 1000000000);
}

static uint64_t
nanoseconds(struct engine *e, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * 1000000000 / rate(e));
}

static void
set_time(struct engine *e, uint64_t ns)
{
	hz = rate(e);
	now_ticks = e->real_time ? rte_rdtsc() : e->epoch + ticks(e, ns);
}

/* Start */

/* Once per process. `megabytes` of ordinary memory; returns 0, or a negative number. */
int
engine_init(const char *megabytes)
{
	char *argv[] = {"calico-p4", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", (char *)megabytes,
			"--log-level", "critical", "-l", "0", NULL};
	cpu_set_t mask;
	uint64_t (*own)(void) = dlsym(RTLD_NEXT, "rte_get_tsc_hz");
	int status;

	/* DPDK pins the thread that starts it to a core: that stays within its own tables. */
	sched_getaffinity(0, sizeof(mask), &mask);
	status = rte_eal_init(RTE_DIM(argv) - 1, argv);
	sched_setaffinity(0, sizeof(mask), &mask);
	if (status < 0)
		return -rte_errno;
	hz = real_hz = own();
	return clock_start();
}

/* Ports */

static void *
port_create(void *engine)
{
	return engine;
}

static void
port_free(void *port)
{
}

static void
in_stats(void *port, struct rte_swx_port_in_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
}

static void
out_stats(void *port, struct rte_swx_port_out_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
}

static int
rx(void *port, struct rte_swx_pkt *pkt)
{
	struct engine *e = port;
	struct thread *t = &e->p->threads[e->p->thread_id];
	struct header *h;

	if (!e->waiting)
		return 0;
	e->waiting = false;
	*pkt = (struct rte_swx_pkt){.pkt = e->buffer, .offset = HEADROOM, .length = e->result.length};
	e->p->port_id = e->port_in; /* what the program is told; the library moves on to its first port after */
	if (e->poison) {
		memset(t->metadata, PATTERN, e->metadata_size);
		memset(t->header_storage, PATTERN, e->headers_size);
		TAILQ_FOREACH(h, &e->p->headers, node)
			t->structs[h->struct_id] = t->headers[h->id].ptr0;
	}
	return 1;
}

static void
done(struct engine *e, struct rte_swx_pkt *pkt, enum outcome outcome)
{
	struct thread *t = &e->p->threads[e->p->thread_id];
	uint8_t *to = e->metadata;
	struct header *h;

	/* Where the frame ends never changes, so a start beyond it means that a header was taken from what is no longer the frame. */
	e->result.outcome = &pkt->pkt[pkt->offset] > e->end || (int32_t)pkt->length < 0 || t->ptr > e->end ? SHORT_FRAME : outcome;
	e->result.frame = &pkt->pkt[pkt->offset];
	e->result.length = pkt->length;
	e->result.passes = t->recirc_pass_id;
	memcpy(to, t->metadata, e->metadata_size);
	to += e->metadata_size;
	TAILQ_FOREACH(h, &e->p->headers, node)
		if (!strncmp(h->name, e->scratch, strlen(e->scratch))) {
			memcpy(to, t->headers[h->id].ptr0, h->st->n_bits / 8);
			to += h->st->n_bits / 8;
		}
}

static void
tx(void *port, struct rte_swx_pkt *pkt)
{
	done(port, pkt, SENT);
}

static void
drop(void *port, struct rte_swx_pkt *pkt)
{
	done(port, pkt, DROPPED);
}

static void
no_clone(void *port, struct rte_swx_pkt *pkt)
{
}

static void
no_cut_clone(void *port, struct rte_swx_pkt *pkt, uint32_t length)
{
}

static void
no_flush(void *port)
{
}

/* Programs: what is declared of one, in the library's own terms. Each returns 0 or a negative number. */

void
engine_close(struct engine *e)
{
	if (e->ctl)
		rte_swx_ctl_pipeline_free(e->ctl);
	if (e->p)
		rte_swx_pipeline_free(e->p);
	free(e);
}

/* Begin a program; NULL if there is no room. `scratch`: how names of scratch headers begin. */
struct engine *
engine_new(const char *name, const char *scratch, int poison, int real_time)
{
	static struct rte_swx_port_in_ops in = {port_create, port_free, rx, in_stats};
	static struct rte_swx_port_out_ops out = {port_create, port_free, tx, no_clone, no_cut_clone, no_flush, out_stats};
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->poison = poison;
	e->real_time = real_time;
	e->epoch = FIRST_TICK;
	e->result.metadata = e->metadata;
	snprintf(e->scratch, sizeof(e->scratch), "%s", scratch);
	if (!rte_swx_pipeline_config(&e->p, name, 0) && !rte_swx_pipeline_port_in_type_register(e->p, "memory", &in) &&
	    !rte_swx_pipeline_port_out_type_register(e->p, "memory", &out) && !rte_swx_pipeline_port_in_config(e->p, 0, "memory", e) &&
	    !rte_swx_pipeline_port_out_config(e->p, 0, "memory", e))
		return e;
	engine_close(e);
	return NULL;
}

int
engine_struct(struct engine *e, const char *name, uint32_t n, const char **names, const uint32_t *bits, int last_varies)
{
	struct rte_swx_field_params fields[n];
	uint32_t i;

	for (i = 0; i < n; i++)
		fields[i] = (struct rte_swx_field_params){names[i], bits[i]};
	return rte_swx_pipeline_struct_type_register(e->p, name, fields, n, last_varies);
}

int
engine_header(struct engine *e, const char *name, const char *of)
{
	return rte_swx_pipeline_packet_header_register(e->p, name, of);
}

int
engine_metadata(struct engine *e, const char *of)
{
	return rte_swx_pipeline_packet_metadata_register(e->p, of);
}

int
engine_routine(struct engine *e, const char *name, const char *arguments, uint32_t n, const char **instructions)
{
	return rte_swx_pipeline_action_config(e->p, name, arguments, instructions, n);
}

int
engine_apply(struct engine *e, uint32_t n, const char **instructions)
{
	return rte_swx_pipeline_instructions_config(e->p, instructions, n);
}

/* A table's actions: which there are, which of them entries and the default may have, and the default. */
struct actions {
	uint32_t n;
	const char **names;
	int *in_entries, *as_default;
	const char *fallback, *arguments;
	int fixed;
};

/* `matches`: "exact", "lpm" or "wildcard" of each key. */
int
engine_table(struct engine *e, const char *name, uint32_t n, const char **keys, const char **matches, struct actions *a, uint32_t size)
{
	struct rte_swx_match_field_params fields[n + 1];
	struct rte_swx_pipeline_table_params params = {
		n ? fields : NULL, n, a->names, a->in_entries, a->as_default, a->n, a->fallback, a->arguments, a->fixed, NULL};
	uint32_t i;

	for (i = 0; i < n; i++) {
		fields[i].name = keys[i];
		fields[i].match_type = matches[i][0] == 'w' ? RTE_SWX_TABLE_MATCH_WILDCARD :
				       matches[i][0] == 'l' ? RTE_SWX_TABLE_MATCH_LPM : RTE_SWX_TABLE_MATCH_EXACT;
	}
	return rte_swx_pipeline_table_config(e->p, name, &params, NULL, NULL, size);
}

int
engine_learner(struct engine *e, const char *name, uint32_t n, const char **keys, struct actions *a, uint32_t size, uint32_t n_timeouts,
	       uint32_t *timeouts)
{
	struct rte_swx_pipeline_learner_params params = {
		keys, n, a->names, a->in_entries, a->as_default, a->n, a->fallback, a->arguments, a->fixed, NULL};

	return rte_swx_pipeline_learner_config(e->p, name, &params, size, timeouts, n_timeouts);
}

int
engine_registers(struct engine *e, const char *name, uint32_t size, uint64_t initial)
{
	return rte_swx_pipeline_regarray_config(e->p, name, size, initial);
}

int
engine_meters(struct engine *e, const char *name, uint32_t size)
{
	return rte_swx_pipeline_metarray_config(e->p, name, size);
}

/* The program is complete. */
int
engine_build(struct engine *e)
{
	struct header *h;
	int status;

	set_time(e, 0);
	status = rte_swx_pipeline_build(e->p);
	if (status)
		return status;
	e->ctl = rte_swx_ctl_pipeline_create(e->p);
	if (!e->ctl)
		return -ENODEV;
	/* The port that `drop` sends to is the last one, which the library adds. */
	e->p->out[e->p->n_ports_out - 1].pkt_tx = drop;
	e->p->out[e->p->n_ports_out - 1].obj = e;
	e->metadata_size = e->p->metadata_st->n_bits / 8;
	TAILQ_FOREACH(h, &e->p->headers, node)
		e->headers_size += h->st->n_bits / 8;
	return e->metadata_size + e->headers_size > METADATA_MAX ? -ENOSPC : 0;
}

/* Learned entries. A learner is known by its place among those of the program, an entry by its bucket and place there.
 *
 * How the library keeps them stands in no header: first these numbers, then, a cache line later than they end, buckets of four entries. A
 * bucket begins with four times of expiry, in units of 2^32 ticks; a cache line on come four keys, then four data, an action's number first.
 */
#define IN_BUCKET 4

struct learner_table {
	size_t key_size, key_room, key_room_log2, key_at, data_size, data_room, data_room_log2, n_buckets, bucket_mask, keys_room, bucket_size,
		bucket_size_log2;
	void *functions[2];
	uint64_t timeouts[RTE_SWX_TABLE_LEARNER_N_KEY_TIMEOUTS_MAX];
	uint32_t n_timeouts;
	size_t total_size;
} __rte_cache_aligned;

static struct learner_table *
learner_get(struct engine *e, uint32_t learner)
{
	struct rte_swx_pipeline *p = e->p;

	return p->table_state[p->n_tables + p->n_selectors + learner].obj;
}

/* 0 if the library keeps a learner as said above. */
int
engine_learner_check(struct engine *e, uint32_t learner, uint32_t key_size)
{
	struct learner_table *t = learner_get(e, learner);

	return t->key_size == key_size && t->key_room == 1ULL << t->key_room_log2 && t->bucket_size == 1ULL << t->bucket_size_log2 &&
	       t->keys_room == IN_BUCKET * t->key_room && t->bucket_mask == t->n_buckets - 1 &&
	       t->bucket_size >= RTE_CACHE_LINE_SIZE + t->keys_room + IN_BUCKET * t->data_room &&
	       t->total_size == sizeof(*t) + t->n_buckets * t->bucket_size ? 0 : -EINVAL;
}

static uint8_t *
bucket_get(struct learner_table *t, int64_t at)
{
	return (uint8_t *)(t + 1) + (at / IN_BUCKET << t->bucket_size_log2);
}

static uint32_t *
expiry_get(struct learner_table *t, int64_t at)
{
	return &((uint32_t *)bucket_get(t, at))[at % IN_BUCKET];
}

static uint8_t *
key_get(struct learner_table *t, uint8_t *bucket, int64_t at)
{
	return bucket + RTE_CACHE_LINE_SIZE + (at % IN_BUCKET << t->key_room_log2);
}

/* The first live entry from a position on: its position, -1 if there is none. `left`: ns until it expires. */
int64_t
engine_learned(struct engine *e, uint32_t learner, int64_t from, uint64_t ns, uint8_t *key, uint64_t *action, uint8_t *data, uint64_t *left)
{
	struct learner_table *t = learner_get(e, learner);
	int64_t at, end = t->n_buckets * IN_BUCKET;

	set_time(e, ns);
	for (at = from; at < end; at++) {
		uint64_t expires = (uint64_t)*expiry_get(t, at) << 32;
		uint8_t *bucket = bucket_get(t, at);
		uint64_t *found = (uint64_t *)(bucket + RTE_CACHE_LINE_SIZE + t->keys_room + (at % IN_BUCKET << t->data_room_log2));

		if (expires <= now_ticks)
			continue;
		memcpy(key, key_get(t, bucket, at), t->key_size);
		*action = found[0];
		memcpy(data, &found[1], t->data_size);
		*left = nanoseconds(e, expires - now_ticks);
		return at;
	}
	return -1;
}

void
engine_unlearn(struct engine *e, uint32_t learner, int64_t at)
{
	*expiry_get(learner_get(e, learner), at) = 0;
}

/* Learn what was learned elsewhere and has `left` ns. Returns 0, or 1 if the bucket is full. */
int
engine_learn(struct engine *e, uint32_t learner, uint64_t ns, const uint8_t *key, uint64_t action, uint8_t *data, uint64_t left)
{
	struct learner_table *t = learner_get(e, learner);
	uint8_t mailbox[256] = {0}, *from = (uint8_t *)key - t->key_at, *found, *bucket;
	uint64_t found_action;
	size_t id;
	int hit, i;

	if (rte_swx_table_learner_mailbox_size_get() > sizeof(mailbox))
		return -ENOSPC;
	set_time(e, ns);
	while (!rte_swx_table_learner_lookup(t, mailbox, now_ticks, &from, &found_action, &found, &id, &hit))
		;
	if (rte_swx_table_learner_add(t, mailbox, now_ticks, action, data, 0))
		return 1;
	memcpy(&bucket, mailbox, sizeof(bucket)); /* what a look-up notes first is where it found the bucket */
	now_ticks += ticks(e, left);
	for (i = 0; i < IN_BUCKET; i++)
		if (((uint32_t *)bucket)[i] && !memcmp(key_get(t, bucket, i), key, t->key_size))
			((uint32_t *)bucket)[i] = now_ticks >> 32;
	return 0;
}

/* Use only so many buckets of a learner, a power of two of at most those it was made with; what it learned is gone. */
int
engine_shrink(struct engine *e, uint32_t learner, uint32_t buckets)
{
	struct learner_table *t = learner_get(e, learner);
	size_t made = (t->total_size - sizeof(*t)) >> t->bucket_size_log2;

	if (!buckets || buckets > made || (buckets & (buckets - 1)))
		return -EINVAL;
	t->n_buckets = buckets;
	t->bucket_mask = buckets - 1;
	memset(t + 1, 0, made << t->bucket_size_log2);
	return 0;
}

/* Forget everything learned. */
void
engine_forget(struct engine *e)
{
	uint64_t day = 100000ULL << SECOND_BITS;
	uint32_t i;
	struct metarray *a;

	/* It is enough that a day passes; the clock has room for some 2,000 of them. For meters it does not pass. */
	if (!e->real_time && e->epoch < LAST_TICK) {
		e->epoch += day;
		TAILQ_FOREACH(a, &e->p->metarrays, node)
			for (i = 0; i < a->size; i++) {
				e->p->metarray_runtime[a->id].metarray[i].m.time_tc += day;
				e->p->metarray_runtime[a->id].metarray[i].m.time_tp += day;
			}
		return;
	}
	for (i = 0; i < e->p->n_learners; i++) {
		struct learner_table *t = learner_get(e, i);

		memset(t + 1, 0, t->n_buckets << t->bucket_size_log2);
	}
}

/* Entries */

int64_t
engine_action(struct engine *e, const char *name)
{
	struct rte_swx_ctl_action_info info;
	uint32_t i;

	for (i = 0; !rte_swx_ctl_action_info_get(e->p, i, &info); i++)
		if (!strcmp(info.name, name))
			return i;
	return -1;
}

/* Bits of an action's argument, negative if it is kept in network order; 0 if there is none. */
int
engine_argument(struct engine *e, uint32_t action, uint32_t argument)
{
	struct rte_swx_ctl_action_arg_info info;

	if (rte_swx_ctl_action_arg_info_get(e->p, action, argument, &info))
		return 0;
	return info.is_network_byte_order ? -(int)info.n_bits : (int)info.n_bits;
}

int
engine_add(struct engine *e, const char *table, uint8_t *key, uint8_t *mask, uint32_t priority, uint64_t action, uint8_t *data)
{
	struct rte_swx_table_entry entry = {
		.key = key, .key_mask = mask, .key_priority = priority, .action_id = action, .action_data = data};

	return rte_swx_ctl_pipeline_table_entry_add(e->ctl, table, &entry);
}

int
engine_delete(struct engine *e, const char *table, uint8_t *key, uint8_t *mask, uint32_t priority)
{
	struct rte_swx_table_entry entry = {.key = key, .key_mask = mask, .key_priority = priority};

	return rte_swx_ctl_pipeline_table_entry_delete(e->ctl, table, &entry);
}

int
engine_default(struct engine *e, const char *table, uint64_t action, uint8_t *data)
{
	struct rte_swx_table_entry entry = {.action_id = action, .action_data = data};

	return rte_swx_ctl_pipeline_table_default_entry_add(e->ctl, table, &entry);
}

int
engine_commit(struct engine *e)
{
	return rte_swx_ctl_pipeline_commit(e->ctl, 1);
}

int
engine_read(struct engine *e, const char *array, uint32_t index, uint64_t *value)
{
	return rte_swx_ctl_pipeline_regarray_read(e->p, array, index, value);
}

int
engine_write(struct engine *e, const char *array, uint32_t index, uint64_t value)
{
	return rte_swx_ctl_pipeline_regarray_write(e->p, array, index, value);
}

/* Meters */

/* Configure one meter, from full buckets on; all rates 0: none, so that everything is green. Returns 0, or a negative number. */
int
engine_meter(struct engine *e, const char *array, uint32_t index, uint64_t cir, uint64_t cbs, uint64_t pir, uint64_t pbs, uint64_t ns)
{
	struct rte_meter_trtcm_params params = {.cir = cir, .cbs = cbs, .pir = pir, .pbs = pbs};
	struct metarray *a;
	struct meter *m;
	char name[RTE_SWX_NAME_SIZE];

	TAILQ_FOREACH(a, &e->p->metarrays, node)
		if (!strcmp(a->name, array))
			break;
	if (!a || index >= a->size)
		return -EINVAL;
	m = &e->p->metarray_runtime[a->id].metarray[index];
	snprintf(name, sizeof(name), "%s", m->profile->name);
	rte_swx_ctl_meter_reset(e->p, array, index);
	if (name[0])
		rte_swx_ctl_meter_profile_delete(e->p, name);
	if (!pir)
		return 0;
	snprintf(name, sizeof(name), "%u %u", a->id, index);
	set_time(e, ns);
	if (rte_swx_ctl_meter_profile_add(e->p, name, &params))
		return -EINVAL;
	rte_swx_ctl_meter_set(e->p, array, index, name);
	m->m.time_tc = m->m.time_tp = now_ticks;
	return 0;
}

/* Packets and octets by colour: six numbers. Returns 0, or a negative number. */
int
engine_metered(struct engine *e, const char *array, uint32_t index, uint64_t *counts)
{
	struct rte_swx_ctl_meter_stats stats;
	int status = rte_swx_ctl_meter_stats_read(e->p, array, index, &stats);

	memcpy(counts, stats.n_pkts, 3 * sizeof(*counts));
	memcpy(&counts[3], stats.n_bytes, 3 * sizeof(*counts));
	return status;
}

/* Frames */

/* One frame of at most ROOM bytes through the pipeline. `ns`: the time, where it is the caller's. Returns what became of it, NULL if it never ended. */
struct result *
engine_run(struct engine *e, uint32_t port, const uint8_t *frame, uint32_t length, uint64_t ns)
{
	uint32_t steps;

	if (length > ROOM)
		return NULL;
	set_time(e, ns);
	memcpy(&e->buffer[HEADROOM], frame, length);
	/* Bytes beyond the frame are not those of the last one. */
	memset(&e->buffer[HEADROOM + length], e->poison ? PATTERN : 0, HEADROOM);
	e->end = &e->buffer[HEADROOM + length];
	e->result.length = length;
	e->result.outcome = NONE;
	e->port_in = port;
	e->waiting = true;
	e->p->thread_id = 0; /* one packet at a time: the threads take turns with batches only */
	if (!e->real_time)
		clock_ours(true);
	for (steps = 0; steps < STEPS_MAX && e->result.outcome == NONE; steps += STEPS)
		rte_swx_pipeline_run(e->p, STEPS);
	if (!e->real_time)
		clock_ours(false);
	if (e->result.outcome != NONE)
		return &e->result;
	e->p->threads[0].ip = e->p->instructions;
	e->p->threads[0].recirculate = 0;
	return NULL;
}

/* What a packet may change: arrays, configured meters, learned entries. `back`: from the copy, else to it. Returns its size. */
static size_t
state_move(struct engine *e, uint8_t *copy, bool back)
{
	struct rte_swx_pipeline *p = e->p;
	struct meter_profile *profile;
	uint32_t i, array, index;
	size_t at = 0;

#define MOVE(place, size) do { \
		if (copy) \
			memcpy(back ? (void *)(place) : &copy[at], back ? &copy[at] : (void *)(place), size); \
		at += size; \
	} while (0)
	for (i = 0; i < p->n_regarrays; i++)
		MOVE(p->regarray_runtime[i].regarray, (p->regarray_runtime[i].size_mask + 1) * sizeof(uint64_t));
	TAILQ_FOREACH(profile, &p->meter_profiles, node)
		if (sscanf(profile->name, "%u %u", &array, &index) == 2)
			MOVE(&p->metarray_runtime[array].metarray[index], sizeof(struct meter));
	for (i = 0; i < p->n_learners; i++) {
		struct learner_table *t = learner_get(e, i);

		MOVE(t + 1, t->n_buckets << t->bucket_size_log2);
	}
#undef MOVE
	return at;
}

/* As engine_run, but that it leaves no trace. */
struct result *
engine_try(struct engine *e, uint32_t port, const uint8_t *frame, uint32_t length, uint64_t ns)
{
	uint8_t *copy = malloc(state_move(e, NULL, false));
	struct result *result = NULL;

	if (copy) {
		state_move(e, copy, false);
		result = engine_run(e, port, frame, length, ns);
		state_move(e, copy, true);
		free(copy);
	}
	return result;
}
