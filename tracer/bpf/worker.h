/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* For whom a thread works, where requests are sampled, and the return to its CPU that led to it. */
#ifndef TIERSCOPE_WORKER_H
#define TIERSCOPE_WORKER_H

/* The calling thread's; NULL: nothing was seen of it yet. */
static __always_inline struct worker *worker_here(void)
{
	struct thread *thread = thread_seen(bpf_get_current_task_btf());

	return thread ? &thread->worker : NULL;
}

/* From here on the thread works for one that is left out, or that is not decided on. */
static __always_inline void turned_emit(u32 program)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ts_turned r = {
		.pid = id >> 32,
		.tid = id,
	};

	EMIT(program, TS_KIND_TURNED, &r);
}

/* The calling thread works for a request on which this is the verdict. */
static __noinline int worker_does(u32 verdict, u32 program)
{
	struct thread *thread = thread_of(bpf_get_current_task_btf(), program);
	struct worker *w;

	if (!thread)
		return 0;
	w = &thread->worker;
	if (verdict != KEEP) {
		if (w->kept)
			turned_emit(program);
		w->kept = 0;
		return 0;
	}
	w->kept = 1;
	if (w->has_left_out) {
		w->has_left_out = 0;
		thread->left_out.gap = !w->whole;
		w->whole = 1;
		emit_at(TS_PROGRAM_SWITCH, &thread->left_out.head, TS_KIND_SWITCH, sizeof(thread->left_out),
			thread->left_out.head.ts);
	}
	return 0;
}

/* Whether what the calling thread does now is for a request that is kept. */
static __always_inline bool worker_keeps(void)
{
	struct worker *w = worker_here();

	return w && w->kept;
}

/* A return to a CPU: told, or kept back until the thread turns to a request that is kept. */
static __always_inline bool return_left_out(struct thread *thread, struct ts_switch *r, u64 now)
{
	struct worker *w = &thread->worker;

	if (w->kept) {
		r->gap = !w->whole;
		w->whole = 1;
		return false;
	}
	if (!w->has_left_out) {
		w->has_left_out = 1;
	} else {
		count_sampled_out();
		w->whole = 0;
	}
	thread->left_out = *r;
	thread->left_out.head.ts = now;
	return true;
}

/* A probe of the application fired; `asks`: what its poll sends next is this request's. */
static __always_inline void poll_begins(u32 verdict, bool asks)
{
	struct worker *w = worker_here();

	if (!w)
		return;
	w->poll = asks ? verdict : UNDECIDED;
	w->poll_cookie = 0;
}

/* The verdict that the thread's poll gives on what it sends to this socket; another socket ends it. */
static __always_inline u32 poll_sends(u64 cookie)
{
	struct worker *w = worker_here();

	if (!w || w->poll == UNDECIDED)
		return UNDECIDED;
	if (!w->poll_cookie)
		w->poll_cookie = cookie;
	else if (w->poll_cookie != cookie)
		w->poll = UNDECIDED;
	return w->poll;
}

/* A read from another socket than the one that the poll wrote to ends it. */
static __always_inline void poll_reads(u64 cookie)
{
	struct worker *w = worker_here();

	if (w && w->poll_cookie != cookie)
		w->poll = UNDECIDED;
}

#endif
