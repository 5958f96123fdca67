/* The DPDK engine: a pipeline of DPDK's SWX library in this process, frames in and out of memory.
 *
 * Compiled on the user's machine together with DPDK's lib/pipeline, from the source package of the libdpdk that is installed, with offsets
 * of operands widened (build.py). Four things are added, none of them to how a packet is processed:
 *
 * - Ports in memory: any number of them, by number, behind the one input port and the one output port that the library is told of.
 *   A port number needs no array, so none can be beyond its end (DPDK 22.11 reads past it; later releases drop).
 * - The caller's time in place of the CPU's clock: 2^36 ticks a second. Expiry is kept in units of 2^32 ticks, so its grain is 1/16 s.
 * - What has been learned can be listed, forgotten and put back.
 * - Poison, on request: metadata and headers hold a pattern when a packet begins, instead of an earlier packet's bytes.
 *
 * One thread may use an engine at a time; nothing here locks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "rte_swx_pipeline_internal.h"

/* Whole, for what it has learned is not to be had otherwise; the pipeline has a struct of that name as well. */
#define table learner_table
#define table_params learner_table_params
#include "rte_swx_table_learner.c"
#undef table
#undef table_params

#define HEADROOM 1024
#define ROOM 65536
#define PATTERN 0xA5
#define FIRST_TICK (1ULL << 40)
#define LAST_TICK 0xE000000000000000ULL
#define SECOND_BITS 36
#define METADATA_MAX 65536
#define DROP_PORT 0xFFFFFFFF
#define TOKEN_PERIOD_MIN 100

enum outcome { NONE = 0, SENT = 1, DROPPED = 2, SHORT_FRAME = 3 };

/* What the caller reads after a packet. */
struct result {
	uint32_t outcome;
	uint32_t port;
	uint32_t length;
	uint32_t passes;
	uint8_t *frame;
	uint8_t *metadata;
};

struct engine {
	struct rte_swx_pipeline *p;
	struct rte_swx_ctl_pipeline *ctl;
	struct port_out_runtime out, dropped;
	uint32_t port_in, port_out;
	uint64_t epoch; /* what virtual time counts from, in ticks */
	bool waiting, poison;
	uint32_t metadata_size, headers_size;
	uint8_t *end; /* of the frame that is under way */
	struct result result;
	uint8_t buffer[HEADROOM + ROOM + HEADROOM];
	uint8_t metadata[METADATA_MAX];
};

static uint64_t now_ticks, meter_ticks;

/* Time, in place of the CPU's time stamp counter and its rate (build.py) */

uint64_t
engine_clock(void)
{
	return now_ticks;
}

/* That of meters, which doesn't leap when what was learned is forgotten. */
uint64_t
engine_meter_clock(void)
{
	return meter_ticks;
}

uint64_t
engine_hz(void)
{
	return 1ULL << SECOND_BITS;
}

/* Start */

/* Once per process. `megabytes` of ordinary memory; returns 0, or a negative number. */
int
engine_init(const char *megabytes)
{
	char *argv[] = {"calico-p4", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", (char *)megabytes,
			"--log-level", "critical", "-l", "0", NULL};
	cpu_set_t mask;
	int status;

	/* DPDK pins the thread that starts it to a core: that stays within its own tables. */
	sched_getaffinity(0, sizeof(mask), &mask);
	status = rte_eal_init(RTE_DIM(argv) - 1, argv);
	sched_setaffinity(0, sizeof(mask), &mask);
	if (status < 0)
		return -rte_errno;
	/* For the one port that the library is told of and that nothing comes from. */
	return rte_pktmbuf_pool_create("frames", 7, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) ? 0 : -rte_errno;
}

/* Assembly to C. Returns 0, or a negative number with the line and a message. */
int
engine_codegen(const char *assembly, const char *code, uint32_t *line, const char **message)
{
	FILE *in = fopen(assembly, "r"), *out = fopen(code, "w");
	int status = in && out ? rte_swx_pipeline_codegen(in, out, line, message) : -errno;

	if (in)
		fclose(in);
	if (out && fclose(out) && !status)
		status = -errno;
	return status;
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

	/* Where the frame ends never changes, so a start beyond it means that a header was taken from what is no longer the frame. */
	e->result.outcome = &pkt->pkt[pkt->offset] > e->end || (int32_t)pkt->length < 0 || t->ptr > e->end ? SHORT_FRAME : outcome;
	e->result.port = e->port_out;
	e->result.frame = &pkt->pkt[pkt->offset];
	e->result.length = pkt->length;
	e->result.passes = t->recirc_pass_id;
	memcpy(e->metadata, t->metadata, e->metadata_size);
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

/* In place of `&p->out[port_id]` wherever DPDK says that (build.py). */
struct port_out_runtime *
engine_out(struct rte_swx_pipeline *p, uint64_t port_id)
{
	struct engine *e = p->in[0].obj;

	if (port_id == DROP_PORT)
		return &e->dropped;
	e->port_out = port_id;
	return &e->out;
}

/* A pipeline of the compiled program `library`; NULL with *status set if DPDK refuses it. */
struct engine *
engine_open(const char *name, const char *library, const char *io, int poison, int *status)
{
	struct engine *e = calloc(1, sizeof(*e));
	FILE *file = fopen(io, "r");
	struct header *h;

	*status = e && file ? rte_swx_pipeline_build_from_lib(&e->p, name, library, file, 0) : -ENOMEM;
	if (file)
		fclose(file);
	if (!*status && e->p->metadata_st->n_bits / 8 > METADATA_MAX)
		*status = -ENOSPC;
	if (!*status && !(e->ctl = rte_swx_ctl_pipeline_create(e->p)))
		*status = -ENODEV;
	if (*status) {
		if (e && e->p)
			rte_swx_pipeline_free(e->p);
		free(e);
		return NULL;
	}
	e->poison = poison;
	e->epoch = FIRST_TICK;
	e->p->in[0].pkt_rx = rx;
	e->p->in[0].obj = e;
	/* `drop` is sending to the last of the ports: of none, that is DROP_PORT. */
	e->p->n_ports_out = 0;
	e->dropped.pkt_tx = drop;
	e->dropped.obj = e;
	e->out.pkt_tx = tx;
	e->out.obj = e;
	e->metadata_size = e->p->metadata_st ? e->p->metadata_st->n_bits / 8 : 0;
	TAILQ_FOREACH(h, &e->p->headers, node)
		e->headers_size += h->st->n_bits / 8;
	e->result.metadata = e->metadata;
	return e;
}

void
engine_close(struct engine *e)
{
	rte_swx_ctl_pipeline_free(e->ctl);
	rte_swx_pipeline_free(e->p);
	free(e);
}

/* Learned entries. A learner is known by its place among those of the program, an entry by its bucket and place there. */

static struct learner_table *
learner_get(struct engine *e, uint32_t learner)
{
	struct rte_swx_pipeline *p = e->p;

	return p->table_state[p->n_tables + p->n_selectors + learner].obj;
}

static void
set_time(struct engine *e, uint64_t ns)
{
	meter_ticks = FIRST_TICK + (uint64_t)(((unsigned __int128)ns << SECOND_BITS) / 1000000000);
	now_ticks = e->epoch - FIRST_TICK + meter_ticks;
}

/* The first live entry from a position on: its position, -1 if there is none. `left`: ns until it expires. */
int64_t
engine_learned(struct engine *e, uint32_t learner, int64_t from, uint64_t ns, uint8_t *key, uint64_t *action, uint8_t *data, uint64_t *left)
{
	struct learner_table *t = learner_get(e, learner);
	int64_t at, end = t->params.n_buckets * TABLE_KEYS_PER_BUCKET;
	uint64_t now;

	set_time(e, ns);
	now = engine_clock();
	for (at = from; at < end; at++) {
		struct table_bucket *b = table_bucket_get(t, at / TABLE_KEYS_PER_BUCKET);
		size_t i = at % TABLE_KEYS_PER_BUCKET;
		uint64_t *found = table_bucket_data_get(t, b, i), expires = (uint64_t)b->time[i] << 32;

		if (expires <= now)
			continue;
		memcpy(key, table_bucket_key_get(t, b, i), t->params.key_size);
		*action = found[0];
		memcpy(data, &found[1], t->params.action_data_size);
		*left = (uint64_t)((unsigned __int128)(expires - now) * 1000000000 / engine_hz());
		return at;
	}
	return -1;
}

void
engine_unlearn(struct engine *e, uint32_t learner, int64_t at)
{
	struct learner_table *t = learner_get(e, learner);

	table_bucket_get(t, at / TABLE_KEYS_PER_BUCKET)->time[at % TABLE_KEYS_PER_BUCKET] = 0;
}

/* Learn what was learned elsewhere and has `left` ns. Returns 0, or 1 if the bucket is full. The key may move by a look-up's offset. */
int
engine_learn(struct engine *e, uint32_t learner, uint64_t ns, const uint8_t *key, uint64_t action, uint8_t *data, uint64_t left)
{
	struct learner_table *t = learner_get(e, learner);
	struct mailbox m = {0};
	uint8_t *from = (uint8_t *)key - t->params.key_offset, *found;
	uint64_t found_action;
	size_t id;
	int hit;

	set_time(e, ns);
	while (!rte_swx_table_learner_lookup(t, &m, engine_clock(), &from, &found_action, &found, &id, &hit))
		;
	if (rte_swx_table_learner_add(t, &m, engine_clock(), action, data, 0))
		return 1;
	set_time(e, ns + left);
	m.bucket->time[m.bucket_key_pos] = engine_clock() >> 32;
	return 0;
}

/* Forget everything learned. */
void
engine_forget(struct engine *e)
{
	uint32_t i;

	/* It is enough that a day passes; the clock has room for some 2,000 of them. */
	if (e->epoch < LAST_TICK) {
		e->epoch += 100000ULL << SECOND_BITS;
		return;
	}
	e->epoch = FIRST_TICK;
	for (i = 0; i < e->p->n_learners; i++) {
		struct learner_table *t = learner_get(e, i);

		memset(t->buckets, 0, t->params.n_buckets << t->params.bucket_size_log2);
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

/* As rte_meter's own (lib/meter/rte_meter.c), whose ticks are the CPU's. */
static void
tokens(uint64_t rate, uint64_t *period, uint64_t *units)
{
	double ticks = (double)engine_hz() / rate;

	*units = ticks < TOKEN_PERIOD_MIN ? (uint64_t)ceil(TOKEN_PERIOD_MIN / ticks) : 1;
	*period = ticks < TOKEN_PERIOD_MIN ? engine_hz() * *units / rate : (uint64_t)ticks;
}

static struct meter_profile *
profile_get(struct engine *e, const char *name, struct rte_meter_trtcm_params *params)
{
	struct meter_profile *p;

	if (rte_swx_ctl_meter_profile_add(e->p, name, params))
		return NULL;
	p = TAILQ_LAST(&e->p->meter_profiles, meter_profile_tailq);
	tokens(params->cir, &p->profile.cir_period, &p->profile.cir_bytes_per_period);
	tokens(params->pir, &p->profile.pir_period, &p->profile.pir_bytes_per_period);
	return p;
}

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
	if (!profile_get(e, name, &params))
		return -EINVAL;
	rte_swx_ctl_meter_set(e->p, array, index, name);
	set_time(e, ns);
	m->m.time_tc = m->m.time_tp = engine_meter_clock();
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

/* One frame of at most ROOM bytes through the pipeline. `ns`: virtual time. Returns what became of it, NULL if it never ended. */
struct result *
engine_run(struct engine *e, uint32_t port, const uint8_t *frame, uint32_t length, uint64_t ns)
{
	unsigned rounds;

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
	for (rounds = 0; rounds < 100000 && e->result.outcome == NONE; rounds++)
		rte_swx_pipeline_run(e->p, 1);
	return e->result.outcome == NONE ? NULL : &e->result;
}
