/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is kept for each traced thread: in one place, for every look-up touches memory that is cold by then. */
#ifndef TIERSCOPE_THREAD_H
#define TIERSCOPE_THREAD_H

/* For whom it works, where requests are sampled: see worker.h. */
struct worker {
	u8 poll;         /* verdict on the query that the poll is about to send; UNDECIDED: there is none */
	u8 kept;         /* what it did last was for a request that is kept */
	u8 whole;        /* no return since the last one told was left out, but for `left_out` */
	u8 has_left_out;
	u32 pad;
	u64 poll_cookie; /* the first socket that the poll wrote to; 0: none yet */
};

/* Its call on a file under way: see file.h. */
struct file_call {
	u64 start_ts; /* 0: none, or not on a file that is told of */
	u64 ino;
	s64 offset;
	struct file *file; /* NULL: its descriptor is still to come */
	u32 dev;
	u32 stack;
	u8 op;
	u8 appends; /* where it writes is known by its return */
};

/* What every switch needs lies in the first 56 bytes, which are one line of the cache with the storage's own. */
struct thread {
	u64 off_ts;     /* 0: on a CPU, or new */
	u64 wake_ts;
	u32 syscall;
	u32 event;      /* PostgreSQL's */
	u8 off;
	u8 throttled;   /* as ts_switch.throttled */
	u8 unseen;      /* as ts_switch.unseen */
	u8 pad[5];
	struct worker worker;
	struct ts_traced process; /* a copy: only another program in the process changes it */
	struct file_call call;
	struct ts_switch left_out; /* its latest return to a CPU */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* A thread's process; NULL: not traced. */
static __always_inline struct ts_traced *traced_of(struct task_struct *task)
{
	u32 tgid = task->tgid;

	return bpf_map_lookup_elem(&traced, &tgid);
}

/* What is kept of a thread that was seen before; NULL: it was not. */
static __always_inline struct thread *thread_seen(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, NULL, 0);
}

/* The state of a traced thread; NULL: not traced, or no room. */
static __always_inline struct thread *thread_of(struct task_struct *task, u32 program)
{
	struct thread *thread = thread_seen(task);
	struct ts_traced *process;

	if (thread)
		return thread;
	process = traced_of(task);
	if (!process)
		return NULL;
	thread = bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (thread)
		thread->process = *process;
	else
		lose(program);
	return thread;
}

/* The calling thread's process, or NULL: it is not traced. */
static __always_inline struct ts_traced *current_traced(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *thread = thread_seen(task);

	return thread ? &thread->process : traced_of(task);
}

#endif
