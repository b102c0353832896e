/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Buffers that a PostgreSQL backend looked up, by its own counters: a probe per page would cost more than the page. */
#ifndef TIERSCOPE_BUFFERS_H
#define TIERSCOPE_BUFFERS_H

/* How PostgreSQL's struct BufferUsage begins: blocks of shared buffers, since the backend began. */
struct lookups {
	u64 hits;
	u64 reads;
};

/* As last told. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct lookups);
} lookups SEC(".maps");

static __always_inline bool read_lookups(const struct ts_traced *process, struct lookups *now)
{
	return !bpf_probe_read_user(now, sizeof(*now), (void *)process->buffer_usage);
}

/* What the backend looked up before it was first seen belongs to nothing. */
static __always_inline void buffers_begin(const struct ts_traced *process)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct lookups *told;

	if (!process->buffer_usage || bpf_task_storage_get(&lookups, task, NULL, 0))
		return;
	told = bpf_task_storage_get(&lookups, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!told || !read_lookups(process, told))
		lose(TS_PROGRAM_BUFFERS);
}

/* Tells of what the thread `id` looked up since it was last told. */
static __always_inline void buffers_emit(const struct ts_traced *process, u64 id)
{
	struct lookups *told = bpf_task_storage_get(&lookups, bpf_get_current_task_btf(), NULL, 0);
	struct ts_buffers r = {
		.pid = id >> 32,
		.tid = id,
	};
	struct lookups now;

	if (!told || !read_lookups(process, &now))
		return;
	r.hits = now.hits - told->hits;
	r.reads = now.reads - told->reads;
	*told = now;
	if (!(r.hits | r.reads))
		return;
	if (sampling() && !worker_keeps())
		count_sampled_out();
	else
		EMIT(TS_PROGRAM_BUFFERS, TS_KIND_BUFFERS, &r);
}

#endif
