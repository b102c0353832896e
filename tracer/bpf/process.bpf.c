// SPDX-License-Identifier: MIT OR GPL-2.0
/* Traced processes: a child is traced with its parent, until its last thread ends. */

static __always_inline void process_emit(struct task_struct *task, u32 parent, u32 service, u8 change)
{
	struct ts_process r = {
		.pid = task->tgid,
		.parent = parent,
		.service = service,
		.change = change,
	};

	bpf_core_read_str(r.comm, sizeof(r.comm), &task->comm);
	EMIT(TS_PROGRAM_PROCESS, TS_KIND_PROCESS, &r);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 from = parent->tgid, to = child->tgid;
	struct ts_traced *found = bpf_map_lookup_elem(&traced, &from);
	struct ts_traced of;

	/* A thread has its process's tgid. */
	if (!found || from == to)
		return 0;
	of = *found;
	if (bpf_map_update_elem(&traced, &to, &of, BPF_ANY))
		lose(TS_PROGRAM_PROCESS);
	else
		process_emit(child, from, of.service, TS_PROCESS_FORK);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	u32 tgid = task->tgid;
	struct ts_traced *found = bpf_map_lookup_elem(&traced, &tgid);
	u32 service;

	if (!found || task->signal->live.counter)
		return 0;
	service = found->service;
	/* Two threads may both be the last: one of them finds the entry. */
	if (!bpf_map_delete_elem(&traced, &tgid))
		process_emit(task, 0, service, TS_PROCESS_EXIT);
	return 0;
}

/* Another program runs in the process: nothing is known of its memory. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	struct thread *thread = thread_seen(task);
	u32 tgid = task->tgid;
	struct ts_traced *found = bpf_map_lookup_elem(&traced, &tgid);

	if (found) {
		found->wait_event = 0;
		found->buffer_usage = 0;
		found->query = 0;
	}
	if (thread) {
		thread->process.wait_event = 0;
		thread->process.buffer_usage = 0;
		thread->process.query = 0;
	}
	return 0;
}
