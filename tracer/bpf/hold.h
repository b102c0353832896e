/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Records on requests that are not decided on, where requests are sampled: they wait at
 * their socket. What happens on one socket happens one after the other, but for a segment
 * that comes in the middle of a call: who finds the hold busy goes on without it.
 */
#ifndef TIERSCOPE_HOLD_H
#define TIERSCOPE_HOLD_H

#define HOLD_ROOM 1536
/* What waits is shorter. A power of two. */
#define HOLD_LONGEST 1024
#define HOLD_RECORDS 16

struct hold {
	u32 busy;
	u32 used;
	u32 count;
	u32 seq; /* where the bytes of the first record begin, … */
	u32 own; /* … which this socket sent */
	u32 pad;
	u8 bytes[HOLD_ROOM + HOLD_LONGEST];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hold);
} holds SEC(".maps");

static __always_inline struct talk *talk_of(struct socket_state *s)
{
	/* 6.1 takes no key from where a function that it proves alone was pointed to. */
	struct talk_key key = s->key;

	return bpf_map_lookup_elem(&talks, &key);
}

static __always_inline bool asks(const struct talk *t, const struct socket_state *s)
{
	return t->client == s->end + 1;
}

static __always_inline bool answers(const struct talk *t, const struct socket_state *s)
{
	return t->client == 2 - s->end;
}

/* On bytes that the socket sent (`own`) or got. Not static, as others here: the verifier then proves
 * it once, alone, and not on every path to it. */
__noinline int verdict_on(struct socket_state *s, const struct range *r, int own)
{
	struct talk *t;

	if (!s || !r)
		return KEEP;
	t = talk_of(s);
	if (!t || t->all || !t->client)
		return KEEP;
	return verdict_between(t, *r, !!own == asks(t, s));
}

static __always_inline void skipped_emit(const struct socket_state *s, u64 ts)
{
	struct ts_skipped r = {
		.cookie = s->cookie,
		.seq = s->skipped.seq,
		.end_seq = s->skipped.end_seq,
	};

	emit_at(TS_PROGRAM_SEND_END, &r.head, TS_KIND_SKIPPED, sizeof(r), ts);
}

/* Sequence numbers tell no more apart than 2 GB. */
#define LONGEST_SKIP (1 << 30)

/* Bytes sent that are left out. */
static __always_inline void skip(struct socket_state *s, struct range r)
{
	if (s->skipped.end_seq != r.seq || s->skipped.seq == s->skipped.end_seq)
		s->skipped.seq = r.seq;
	s->skipped.end_seq = r.end_seq;
	if (r.end_seq - s->skipped.seq < LONGEST_SKIP)
		return;
	skipped_emit(s, bpf_ktime_get_ns());
	s->skipped.seq = r.end_seq;
}

/* Before a send that is told: what was left out since the last one. */
static __always_inline void tell_skipped(struct socket_state *s, u32 seq, u64 ts)
{
	if (s->skipped.seq != s->skipped.end_seq && s->skipped.end_seq == seq)
		skipped_emit(s, ts);
	s->skipped.seq = s->skipped.end_seq;
}

/* A held record has its program in `cpu`. */
static __always_inline void hold_release(struct socket_state *s, struct ts_head *head, u32 len, u32 verdict)
{
	struct ts_send *send = (struct ts_send *)head;
	bool is_send = head->kind == TS_KIND_SEND;

	if (verdict == DROP) {
		if (is_send)
			skip(s, (struct range){ send->seq, send->seq + send->sent });
		count_sampled_out();
		return;
	}
	if (is_send)
		tell_skipped(s, send->seq, send->start_ts);
	emit_at(head->cpu, head, head->kind, len, head->ts);
}

/* Tells of all that is held, or of nothing. */
__noinline int hold_empty(struct socket_state *s, struct hold *h, u32 verdict)
{
	u32 at = 0;

	if (!s || !h)
		return 0;
	for (int i = 0; i < HOLD_RECORDS; i++) {
		struct ts_head *head;
		u32 len;

		if (i >= h->count || at > HOLD_ROOM)
			break;
		head = (struct ts_head *)(h->bytes + at);
		if (head->len >= HOLD_LONGEST)
			break;
		len = bounded(head->len, HOLD_LONGEST);
		hold_release(s, head, len, verdict);
		at += len;
	}
	h->used = 0;
	h->count = 0;
	s->holding = 0;
	return 0;
}

/* Lets go of what the socket holds, if it is decided by now. With `last` it is: nothing spoke against it. */
static __noinline int hold_settle(const struct sock *sk, struct socket_state *s, bool last)
{
	struct range first;
	struct hold *h;
	u32 verdict;

	if (!s->holding)
		return 0;
	h = bpf_sk_storage_get(&holds, (void *)sk, NULL, 0);
	if (!h)
		return 0;
	first.seq = first.end_seq = h->seq;
	verdict = verdict_on(s, &first, h->own);
	if (verdict == UNDECIDED && last)
		verdict = KEEP;
	if (verdict == UNDECIDED || __sync_val_compare_and_swap(&h->busy, 0, 1))
		return 0;
	hold_empty(s, h, verdict);
	__sync_val_compare_and_swap(&h->busy, 1, 0);
	return 0;
}

/* False: there is no room. */
static __always_inline bool hold_add(struct hold *h, const struct ts_head *head, u32 len)
{
	u32 used = h->used;

	if (h->count >= HOLD_RECORDS || used > HOLD_ROOM)
		return false;
	if (bpf_probe_read_kernel(h->bytes + used, len, head))
		return false;
	h->used = used + len;
	h->count++;
	return true;
}

/* The request that these bytes belong to is kept, whatever its id. */
static __always_inline void keep_anyway(struct socket_state *s)
{
	struct talk *t = talk_of(s);
	struct mark *m = t ? latest(t) : NULL;

	if (m && m->verdict == UNDECIDED)
		m->verdict = KEEP;
}

/* A record waits for the verdict; false: it cannot, and is told. */
static __noinline bool hold_put(const struct sock *sk, struct socket_state *s, struct ts_head *head, u32 seq,
				bool own)
{
	struct hold *h = bpf_sk_storage_get(&holds, (void *)sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	u32 len = head->len;
	bool held;

	if (!h || len >= HOLD_LONGEST || __sync_val_compare_and_swap(&h->busy, 0, 1))
		return false;
	if (!h->count) {
		h->seq = seq;
		h->own = own;
	}
	held = hold_add(h, head, len);
	s->holding = 1;
	__sync_val_compare_and_swap(&h->busy, 1, 0);
	if (held)
		return true;
	keep_anyway(s);
	hold_settle(sk, s, false);
	return false;
}

static __always_inline void fill_head(struct ts_head *head, u32 program, u16 kind, u32 len, u64 ts)
{
	head->kind = kind;
	head->len = len;
	head->cpu = program;
	head->ts = ts;
}

/* True: the record is not told, or not yet. */
static __noinline bool left_out(const struct sock *sk, struct socket_state *s, struct ts_head *head,
				const struct range *r, bool own)
{
	u32 verdict = verdict_on(s, r, own);

	if (verdict == DROP)
		count_sampled_out();
	return verdict == DROP || (verdict == UNDECIDED && hold_put(sk, s, head, r->seq, own));
}

/* The way out of a record on bytes that the socket sent (`own`) or got. */
static __always_inline void tell_at(const struct sock *sk, struct socket_state *s, u32 program,
				    struct ts_head *head, u16 kind, u32 len, u64 ts, struct range r, bool own)
{
	if (sampling()) {
		fill_head(head, program, kind, len, ts);
		if (left_out(sk, s, head, &r, own))
			return;
	}
	emit_at(program, head, kind, len, ts);
}

#define TELL(sk, s, program, kind, record, range, own) \
	tell_at(sk, s, program, &(record)->head, kind, sizeof(*(record)), bpf_ktime_get_ns(), range, own)

#endif
