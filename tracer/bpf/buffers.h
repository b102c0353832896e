/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Buffers that a PostgreSQL backend looks up: counted where it happens, told once. */
#ifndef TIERSCOPE_BUFFERS_H
#define TIERSCOPE_BUFFERS_H

struct lookups {
	u32 hits;
	u32 reads;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct lookups);
} lookups SEC(".maps");

/* One more of the calling thread's. */
static __always_inline void buffers_count(bool hit)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct lookups *l = bpf_task_storage_get(&lookups, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!l)
		lose(TS_PROGRAM_BUFFERS);
	else if (hit)
		l->hits++;
	else
		l->reads++;
}

/* Tells of what the thread `id` looked up since it was last told. */
static __always_inline void buffers_emit(u64 id)
{
	struct lookups *l = bpf_task_storage_get(&lookups, bpf_get_current_task_btf(), NULL, 0);
	struct ts_buffers r = {
		.pid = id >> 32,
		.tid = id,
	};

	if (!l || !(l->hits | l->reads))
		return;
	r.hits = l->hits;
	r.reads = l->reads;
	l->hits = 0;
	l->reads = 0;
	EMIT(TS_PROGRAM_BUFFERS, TS_KIND_BUFFERS, &r);
}

#endif
