/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The one way out: a record is delivered, or its loss is counted. */
#ifndef TIERSCOPE_EMIT_H
#define TIERSCOPE_EMIT_H

/* Per CPU, and still atomic: an interrupt may count in the middle of a count. */
static __always_inline void add_one(u64 *count)
{
	__sync_fetch_and_add(count, 1);
}

static __always_inline void count_filtered(u32 reason)
{
	u64 *count = bpf_map_lookup_elem(&filtered, &reason);

	if (count)
		add_one(count);
}

static __always_inline void count_lost(struct ts_program_counters *c, u64 now)
{
	if (!c->lost)
		c->lost_first_ts = now;
	c->lost_last_ts = now;
	add_one(&c->lost);
}

/* An event that never became a record: a map was full. */
static __always_inline void lose(u32 program)
{
	struct ts_program_counters *c = bpf_map_lookup_elem(&counters, &program);

	if (!c)
		return;
	count_lost(c, bpf_ktime_get_ns());
}

/* Stamps `head` with `ts` and hands its `len` bytes over. The reader comes by the clock
 * (waking it per record costs 40 times as much as the record). */
static __always_inline void emit_at(u32 program, struct ts_head *head, u16 kind, u32 len, u64 ts)
{
	struct ts_program_counters *c = bpf_map_lookup_elem(&counters, &program);

	head->kind = kind;
	head->len = len;
	head->cpu = bpf_get_smp_processor_id();
	head->ts = ts;
	if (!c)
		return;
	if (bpf_ringbuf_output(&events, head, len, BPF_RB_NO_WAKEUP))
		count_lost(c, head->ts);
	else
		add_one(&c->delivered);
}

static __always_inline void emit(u32 program, struct ts_head *head, u16 kind, u32 len)
{
	emit_at(program, head, kind, len, bpf_ktime_get_ns());
}

#define EMIT(program, kind, record) emit(program, &(record)->head, kind, sizeof(*(record)))

#endif
