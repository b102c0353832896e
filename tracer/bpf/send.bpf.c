// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Bytes sent. The first hook sees the call's message and where it will begin,
 * once per loop of a large send; the second sees the result. In between the
 * send belongs to its thread, so it waits in the thread's storage.
 */

struct pending {
	u64 cookie; /* 0: no send under way */
	u64 asked;  /* bytes, of this record */
	u64 earlier; /* bytes of the call in earlier records */
	u32 waits_at; /* trampolines: where the socket wrote next when the call began to wait */
	u64 first_left_ts; /* when the first of its bytes left for the device; 0: none has */
	u8 verdict; /* on its request; UNDECIDED: not known when it began */
	u8 poll;    /* that of the thread's poll */
	struct ts_send record;
	u8 head[2 * TS_HEAD_MAX_PG + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pending);
} sends SEC(".maps");

#include "exchange.h"

static __always_inline void judge_once(struct socket_state *s, struct pending *p, u32 len)
{
	struct opening opening = {};

	/* The verifier of 6.1 forgets a bound with a copy of 32 bits. */
	barrier_var(len);
	if (len > JUDGED_BYTES)
		len = JUDGED_BYTES;
	bpf_probe_read_kernel(&opening, len, p->head);
	s->protocol = judge(&opening);
	s->judged++;
}

/* Up to 2 KB until the protocol is known; then what that protocol is worth. */
static __always_inline u32 capture_head(struct socket_state *s, struct pending *p, struct source *src)
{
	bool judging = s->protocol == TS_PROTOCOL_UNKNOWN && s->judged < MAX_JUDGED;
	bool large = judging || s->protocol == TS_PROTOCOL_PG_FRONTEND;
	u32 want = large ? TS_HEAD_MAX_PG : TS_HEAD_MAX;
	u32 len;

	if (want > src->count)
		want = src->count;
	len = gather(src, 0, want, p->head, TS_HEAD_MAX_PG);
	count_short(src, len, want);
	if (judging)
		judge_once(s, p, len);
	if (s->protocol != TS_PROTOCOL_PG_FRONTEND && len > TS_HEAD_MAX)
		len = TS_HEAD_MAX;
	return len;
}

/* The last bytes, all of them or none. */
static __always_inline u32 capture_tail(struct pending *p, struct source *src)
{
	u32 want = src->count < TS_TAIL_MAX ? src->count : TS_TAIL_MAX;
	u8 tail[2 * TS_TAIL_MAX] = {};
	u32 got = gather(src, src->count - want, want, tail, TS_TAIL_MAX);

	count_short(src, got, want);
	if (got != want)
		return 0;
	__builtin_memcpy(p->record.tail, tail, TS_TAIL_MAX);
	return want;
}

static __always_inline void capture(struct socket_state *s, struct pending *p, const struct msghdr *msg)
{
	struct source src = {};

	if (!source_open(&src, &msg->msg_iter)) {
		count_filtered(TS_FILTER_UNREADABLE);
		return;
	}
	p->record.head_len = capture_head(s, p, &src);
	p->record.protocol = s->protocol;
	if (src.count > p->record.head_len)
		p->record.tail_len = capture_tail(p, &src);
}

/* Takes what the record needs of the bytes. `msg` NULL: they have no address. */
static __always_inline void capture_any(struct socket_state *s, struct pending *p, const struct msghdr *msg)
{
	if (msg)
		capture(s, p, msg);
	else
		count_filtered(TS_FILTER_UNREADABLE);
}

/* The same, where requests are sampled: of one that is left out nothing is needed. */
static __always_inline void capture_sampled(struct socket_state *s, struct pending *p, const struct msghdr *msg)
{
	u32 verdict = foresee(s, p);

	if (verdict != DROP) {
		capture_any(s, p, msg);
		/* What is searched for an id ends here, not with another send's text. */
		p->head[p->record.head_len & (2 * TS_HEAD_MAX_PG - 1)] = 0;
	}
	if (verdict == UNDECIDED)
		verdict = look(s, p);
	p->verdict = verdict;
	worker_does(verdict, TS_PROGRAM_SEND_START);
}

static __always_inline void send_captures(struct socket_state *s, struct pending *p, const struct msghdr *msg)
{
	if (sampling())
		capture_sampled(s, p, msg);
	else
		capture_any(s, p, msg);
}

/* A record of up to `asked` bytes, from where the socket writes next. */
static __always_inline void send_begin(struct socket_state *s, struct pending *p,
				       const struct tcp_sock *tp, u64 asked)
{
	u64 id = bpf_get_current_pid_tgid();

	__builtin_memset(&p->record, 0, sizeof(p->record));
	p->cookie = s->cookie;
	p->asked = asked;
	p->first_left_ts = 0;
	p->record.cookie = s->cookie;
	p->record.start_ts = bpf_ktime_get_ns();
	p->record.pid = id >> 32;
	p->record.tid = id;
	p->record.seq = tp->write_seq;
	p->record.transmit_seq = tp->write_seq;
	p->record.protocol = s->protocol;
}

/* The record of a send that took `sent` bytes. */
static __noinline int send_finish(const struct sock *sk, struct pending *p, u32 program, u32 sent)
{
	struct ts_send *r = &p->record;
	u32 len = r->head_len;

	if (len > sent)
		len = sent;
	if (len > TS_HEAD_MAX_PG)
		len = TS_HEAD_MAX_PG;
	r->head_len = len;
	r->sent = sent;
	/* Another thread's bytes, which followed these and left with them. */
	if (before(r->seq + sent, r->transmit_seq)) {
		struct socket_state *s = socket_find(sk);

		if (s)
			transmit_emit(sk, s, (struct range){ r->seq + sent, r->transmit_seq }, r->transmit_ts);
		r->transmit_seq = r->seq + sent;
	}
	/* A send cut short ends elsewhere; a head that holds all needs no tail. */
	if (sent < p->asked || sent == len)
		r->tail_len = 0;
	if (!r->tail_len)
		__builtin_memset(r->tail, 0, sizeof(r->tail));
	__builtin_memset(p->head + len, 0, 8);
	len = (len + 7) & ~7;
	if (!sampling() || send_told(sk, p, program, sizeof(*r) + len))
		emit(program, &r->head, TS_KIND_SEND, sizeof(*r) + len);
	return 0;
}

static __always_inline struct pending *send_pending(u64 flags)
{
	return bpf_task_storage_get(&sends, bpf_get_current_task_btf(), NULL, flags);
}

/* Another thread wrote while this one waited for room: what was taken so far
 * becomes a record, the rest is a range of its own. */
static __always_inline void send_split(const struct sock *sk, struct pending *p, u32 done)
{
	count_filtered(TS_FILTER_SEND_OVERLAP);
	if (done)
		send_finish(sk, p, TS_PROGRAM_SEND_START, done);
	p->earlier += done;
}

/* A later loop of the same call, and its bytes still follow each other? */
static __always_inline bool send_goes_on(const struct sock *sk, struct pending *p, const struct tcp_sock *tp,
					 const struct msghdr *msg)
{
	u32 done = p->asked - msg->msg_iter.count;

	if (tp->write_seq == p->record.seq + done)
		return true;
	send_split(sk, p, done);
	return false;
}

/* The socket of a send, if it is to be recorded; one that a traced process writes to is taken up. */
static __always_inline struct socket_state *send_socket(const struct sock *sk, const struct tcp_sock *tp)
{
	struct socket_state *s = socket_find(sk);

	if (s || !current_traced())
		return s;
	return socket_take_up(sk, tp, TS_PROGRAM_SEND_START, bpf_get_current_pid_tgid() >> 32,
			      read_position(sk, tp));
}

/* Where the calling thread's send waits for its end; `asked` bytes are to come. */
static __always_inline struct pending *send_slot(const struct socket_state *s, u64 asked)
{
	struct pending *p = send_pending(BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!p) {
		lose(TS_PROGRAM_SEND_START);
		return NULL;
	}
	/* A send of which the end was missed. */
	if (p->cookie && (p->cookie != s->cookie || asked > p->asked)) {
		lose(TS_PROGRAM_SEND_END);
		p->cookie = 0;
	}
	if (!p->cookie)
		p->earlier = 0;
	return p;
}

static __always_inline void send_starts(const struct sock *sk, const struct msghdr *msg)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
	struct socket_state *s = tp ? send_socket(sk, tp) : NULL;
	struct pending *p = s ? send_slot(s, msg->msg_iter.count) : NULL;

	if (!p || (p->cookie && send_goes_on(sk, p, tp, msg)))
		return;
	send_begin(s, p, tp, msg->msg_iter.count);
	send_captures(s, p, msg);
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send_start, const struct sock *sk, const struct msghdr *msg)
{
	send_starts(sk, msg);
	return 0;
}

/* The end of a send that was not seen to begin. */
static __always_inline void count_not_sent(struct sock *sk, int ret)
{
	if (socket_find(sk)) {
		if (ret < 0)
			count_filtered(TS_FILTER_SEND_ERROR);
	} else if (!current_traced()) {
		count_filtered(TS_FILTER_UNTRACED);
	} else if (ret > 0 && !bpf_skc_to_tcp_sock(sk)) {
		count_filtered(TS_FILTER_NOT_TCP);
	}
}

static __always_inline void send_ends(struct sock *sk, int ret)
{
	struct pending *p = send_pending(0);
	u64 sent;

	if (!p || !p->cookie) {
		count_not_sent(sk, ret);
		return;
	}
	p->cookie = 0;
	if (ret <= 0) {
		count_filtered(TS_FILTER_SEND_ERROR);
		return;
	}
	sent = ret - p->earlier;
	/* A call that was under way when tracing began: only its rest was seen to begin. */
	if (sent > p->asked)
		sent = p->asked;
	if (sent)
		send_finish(sk, p, TS_PROGRAM_SEND_END, sent);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_end, struct sock *sk, int ret)
{
	send_ends(sk, ret);
	return 0;
}
