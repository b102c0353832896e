/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Segments that came in order and wait for the read that takes them: the read's
 * record then tells of them too. TCP puts them in, under the socket's lock; reads
 * take them out after it, several threads perhaps at once. So a reader has a
 * slot only once it has moved the tail, and the writer fills none before that.
 */
#ifndef TIERSCOPE_ARRIVALS_H
#define TIERSCOPE_ARRIVALS_H

static __always_inline void arrival_emit(const struct sock *sk, struct socket_state *s, const struct arrival *a)
{
	struct ts_arrive r = {
		.cookie = s->cookie,
		.arrive_ts = a->ts,
		.seq = a->seq,
		.end_seq = a->end_seq,
		.rcv_nxt = a->rcv_nxt,
		.late = a->late,
	};

	TELL(sk, s, TS_PROGRAM_ARRIVE, TS_KIND_ARRIVE, &r, ((struct range){ a->seq, a->end_seq }), false);
}

/* False: the ring is full. */
static __always_inline bool arrival_put(struct arrivals *ring, const struct arrival *a)
{
	u32 head = ring->head;

	if (head - *(volatile u32 *)&ring->tail >= MAX_ARRIVALS)
		return false;
	ring->slots[head & (MAX_ARRIVALS - 1)] = *a;
	__sync_fetch_and_add(&ring->head, 1);
	return true;
}

/* The oldest, if it begins before `end`. */
static __always_inline bool arrival_take(struct arrivals *ring, u32 end, struct arrival *into)
{
	for (int tries = 0; tries < MAX_ARRIVALS; tries++) {
		u32 tail = *(volatile u32 *)&ring->tail;

		/* An addition of nothing: the slot is read after the head. */
		if (tail == __sync_fetch_and_add(&ring->head, 0))
			return false;
		*into = ring->slots[tail & (MAX_ARRIVALS - 1)];
		if (!before(into->seq, end))
			return false;
		if (__sync_val_compare_and_swap(&ring->tail, tail, tail + 1) == tail)
			return true;
	}
	return false;
}

/* All that begin before `end` become records of their own, but the newest: it is handed back; ts 0: none. */
static __always_inline struct arrival arrivals_take(const struct sock *sk, struct socket_state *s, u32 end)
{
	struct arrival newest = {}, next;

	for (int i = 0; i < MAX_ARRIVALS; i++) {
		if (!arrival_take(&s->arrivals, end, &next))
			break;
		if (newest.ts)
			arrival_emit(sk, s, &newest);
		newest = next;
	}
	return newest;
}

#endif
