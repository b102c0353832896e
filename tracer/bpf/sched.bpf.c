// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Where traced threads' time goes: one record at each return to a CPU, which
 * tells the whole time off it.
 *
 * Every hook here runs under the lock of the run queue that the thread is on,
 * so its state needs no care of its own.
 */

/* The idle task and the kernel's own threads are never traced: half of all switches are theirs. */
static __always_inline bool is_kernels(struct task_struct *task)
{
	return task->flags & PF_KTHREAD;
}

/* Its number for a thread that is in one; the kernel sets all bits at interrupts and faults. */
static __always_inline u32 syscall_of(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	return SYSCALL_NUMBER(regs);
}

/* Of the calling process. */
static __always_inline u32 read_wait_event(u64 pointer)
{
	u64 address = 0;
	u32 event = 0;

	if (pointer && !bpf_probe_read_user(&address, sizeof(address), (void *)pointer))
		bpf_probe_read_user(&event, sizeof(event), (void *)address);
	return event;
}

static __always_inline u8 off_of(bool preempt, struct task_struct *task, u32 state)
{
	/* A signal makes a thread that was about to sleep run on: `state` is from before. */
	if (preempt || !state || !task->__state)
		return TS_OFF_PREEMPTED;
	if (state & TASK_INTERRUPTIBLE)
		return TS_OFF_SLEEPING;
	return state & TASK_UNINTERRUPTIBLE ? TS_OFF_BLOCKED : TS_OFF_OTHER;
}

/* Whether the cgroup of a thread that is on a run queue, or one above it, has used its CPU quota up. */
static __always_inline bool is_throttled(struct task_struct *task)
{
	/* Kernels without quotas lack one or the other. */
	if (!bpf_core_field_exists(task->se.cfs_rq) || !bpf_core_field_exists(task->se.cfs_rq->throttle_count))
		return false;
	return task->se.cfs_rq->throttle_count > 0;
}

static __always_inline bool switch_out(struct task_struct *task, u8 off, u64 now)
{
	struct thread *thread = is_kernels(task) ? NULL : thread_of(task, TS_PROGRAM_SWITCH);

	if (!thread)
		return false;
	/* It was off already: a virtual machine's kernel may keep programs from switches of its first process. */
	thread->unseen = thread->off_ts != 0;
	thread->off_ts = now;
	thread->wake_ts = 0;
	thread->off = off;
	thread->throttled = off == TS_OFF_PREEMPTED && is_throttled(task);
	thread->syscall = syscall_of(task);
	/* Waiting for a CPU is no wait of PostgreSQL's. */
	thread->event = off == TS_OFF_PREEMPTED ? 0 : read_wait_event(thread->process.wait_event);
	return true;
}

static __always_inline void tell_run(struct ts_switch *r, const struct run *run, u64 now)
{
	u64 ended = now - run->until;

	r->prev_since_ts = run->since;
	r->prev_ended_ns = ended < (u32)-1 ? ended : (u32)-1;
	r->prev_pid = run->pid;
	r->prev_tid = run->tid;
	((u64 *)r->prev_comm)[0] = run->comm[0];
	((u64 *)r->prev_comm)[1] = run->comm[1];
}

/* What had the CPU for the longest time since `from`: what it had last, or a longer run before. */
static __always_inline void tell_before(struct ts_switch *r, const struct runner *runner,
					struct task_struct *last, u64 from, u64 now)
{
	struct run run;
	u32 longest = LONG_RUNS;
	u64 most;

	run_of(&run, last, runner->since, now);
	most = length_after(&run, from);
	for (u32 i = 0; i < LONG_RUNS; i++) {
		u64 length = length_after(&runner->longest[i], from);

		if (length <= most)
			continue;
		most = length;
		longest = i;
	}
	if (longest == LONG_RUNS)
		tell_run(r, &run, now);
	else
		tell_run(r, &runner->longest[longest & (LONG_RUNS - 1)], now);
}

/* Since when a thread that comes to a CPU has wanted one. */
static __always_inline u64 runnable_since(const struct thread *thread, u64 now)
{
	if (thread && thread->wake_ts)
		return thread->wake_ts;
	return thread && thread->off_ts && thread->off == TS_OFF_PREEMPTED ? thread->off_ts : now;
}

static __always_inline bool switch_in(struct task_struct *task, struct task_struct *last,
				      const struct runner *runner, u64 now)
{
	if (is_kernels(task))
		return false;

	struct thread *thread = thread_seen(task);
	struct ts_switch r = {
		.pid = task->tgid,
		.tid = task->pid,
		.syscall = TS_NO_SYSCALL,
		.off = TS_OFF_OTHER,
	};

	if (!thread && !traced_of(task))
		return false;
	tell_before(&r, runner, last, runnable_since(thread, now), now);
	if (thread) {
		r.wake_ts = thread->wake_ts;
		if (thread->off_ts) {
			r.off_ts = thread->off_ts;
			r.off = thread->off;
			r.syscall = thread->syscall;
			r.wait_event = thread->event;
			r.throttled = thread->throttled;
			r.unseen = thread->unseen;
		}
		thread->off_ts = 0;
		thread->wake_ts = 0;
	}
	if (sampling() && !thread)
		count_sampled_out();
	else if (!sampling() || !return_left_out(thread, &r, now))
		emit_at(TS_PROGRAM_SWITCH, &r.head, TS_KIND_SWITCH, sizeof(r), now);
	return true;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next, u32 state)
{
	u64 now = bpf_ktime_get_ns();
	bool out, in;
	u32 zero = 0;
	struct runner *runner = bpf_map_lookup_elem(&runners, &zero);

	if (!runner)
		return 0;
	/* The first switch seen on this CPU, or the first after one that was not: since when what leaves it ran is
	 * not known. */
	if (!runner->since || runner->tid != (u32)prev->pid)
		runner->since = now;
	out = switch_out(prev, off_of(preempt, prev, state), now);
	in = switch_in(next, prev, runner, now);
	note_run(runner, prev, now);
	runner->since = now;
	runner->tid = (u32)next->pid;
	if (!out && !in)
		count_filtered(TS_FILTER_UNTRACED);
	return 0;
}

/* Whether a thread's storage is found from within another program's look at one: since 6.2, as cgroups' is. */
static __always_inline bool storage_nests(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_cgrp_storage_get);
}

/* Of a thread that is woken. An interrupt may wake it in the middle of another program, where none is made: one
 * that has none has slept since before tracing began, or else that is counted. */
static __always_inline struct thread *woken(struct task_struct *task)
{
	if (is_kernels(task))
		return NULL;
	return storage_nests() ? thread_seen(task) : thread_of(task, TS_PROGRAM_SWITCH);
}

/* `current` is who wakes, or whom an interrupt met. */
SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	struct thread *thread = woken(task);
	bool asleep;

	if (!thread)
		return 0;
	/* One that is runnable, or on a CPU, has nothing to be woken from. Of one not seen off yet only the latter is known. */
	asleep = thread->off_ts ? thread->off != TS_OFF_PREEMPTED : !task->on_cpu;
	if (asleep && !thread->wake_ts) {
		thread->wake_ts = bpf_ktime_get_ns();
		thread->throttled = is_throttled(task);
	}
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(sched_wakeup_new, struct task_struct *task)
{
	struct thread *thread = is_kernels(task) ? NULL : thread_of(task, TS_PROGRAM_SWITCH);

	if (thread)
		thread->wake_ts = bpf_ktime_get_ns();
	return 0;
}
