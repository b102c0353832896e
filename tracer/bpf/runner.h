/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * What runs on a CPU, and what ran there for long: for those who wait for that CPU. What comes
 * right before them is often a moment of the kernel's own, after the program that they waited for.
 */
#ifndef TIERSCOPE_RUNNER_H
#define TIERSCOPE_RUNNER_H

/* Shorter runs keep nobody waiting. */
#define LONG_RUN_NS 100000

struct run {
	u64 since;
	u64 until;
	u32 pid; /* 0: the CPU was idle */
	u32 tid;
	u64 comm[TS_COMM_LEN / 8];
};

/* A power of two. */
#define LONG_RUNS 4

struct runner {
	u64 since; /* when what runs came there */
	u64 tid; /* of what runs; 0: the CPU is idle */
	struct run longest[LONG_RUNS]; /* of late */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct runner);
} runners SEC(".maps");

static __always_inline u64 length(const struct run *run)
{
	return run->until - run->since;
}

/* How long it ran after `from`. */
static __always_inline u64 length_after(const struct run *run, u64 from)
{
	u64 since = run->since > from ? run->since : from;

	return run->until > since ? run->until - since : 0;
}

static __always_inline void run_of(struct run *run, struct task_struct *task, u64 since, u64 until)
{
	run->since = since;
	run->until = until;
	run->pid = task->tgid;
	run->tid = task->pid;
	run->comm[0] = *(u64 *)&task->comm[0];
	run->comm[1] = *(u64 *)&task->comm[8];
}

/* What a run that ended is still worth telling of: one that is over for longer than it took is not. */
static __always_inline u64 worth(const struct run *run, u64 now)
{
	return now - run->until < length(run) ? length(run) : 0;
}

/* `task` leaves the CPU: it takes the place of what is worth the least, if it ran for longer. */
static __always_inline void note_run(struct runner *runner, struct task_struct *task, u64 now)
{
	u64 ran = now - runner->since, least = ran;
	struct run *place = NULL;

	if (!task->pid || ran < LONG_RUN_NS)
		return;
	for (int i = 0; i < LONG_RUNS; i++) {
		struct run *run = &runner->longest[i];

		if (worth(run, now) >= least)
			continue;
		least = worth(run, now);
		place = run;
	}
	if (place)
		run_of(place, task, runner->since, now);
}

#endif
