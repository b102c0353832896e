// SPDX-License-Identifier: MIT OR GPL-2.0
/* Bytes read. A read's range is [cursor, cursor + ret); the cursor is kept per socket. */

/* A traced process reads from a socket that is not known: taken up before this read, if it is TCP. */
static __always_inline struct socket_state *recv_take_up(struct sock *sk, const struct tcp_sock *tp, int ret)
{
	if (!current_traced()) {
		count_filtered(TS_FILTER_UNTRACED);
		return NULL;
	}
	if (!tp) {
		count_filtered(TS_FILTER_NOT_TCP);
		return NULL;
	}
	return socket_take_up(sk, tp, TS_PROGRAM_RECV, bpf_get_current_pid_tgid() >> 32,
			      read_position(sk, tp) - ret);
}

/* Something else than a traced read took bytes (splice, an urgent byte): follow the kernel. */
static __always_inline void recv_resync(struct socket_state *s, u32 seq)
{
	if (s->recv_seq == seq)
		return;
	count_filtered(TS_FILTER_RESYNC);
	s->recv_seq = seq;
}

static __always_inline void recv_emit(const struct sock *sk, struct socket_state *s, u32 taken)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ts_recv r = {
		.cookie = s->cookie,
		.pid = id >> 32,
		.tid = id,
		.seq = s->recv_seq,
		.taken = taken,
	};
	struct arrival newest;
	u32 verdict = KEEP;

	if (sampling() && taken)
		verdict = reads(sk, s, taken);
	newest = arrivals_take(sk, s, s->recv_seq + taken);
	if (newest.ts) {
		r.arrive_ts = newest.ts;
		r.arrive_seq = newest.seq;
		r.arrive_end_seq = newest.end_seq;
		r.arrive_late = newest.late;
	}
	s->recv_seq += taken;
	/* The end of the stream is no request's. */
	if (verdict == DROP)
		count_sampled_out();
	else if (verdict == UNDECIDED)
		TELL(sk, s, TS_PROGRAM_RECV, TS_KIND_RECV, &r, ((struct range){ r.seq, r.seq + taken }), false);
	else
		EMIT(TS_PROGRAM_RECV, TS_KIND_RECV, &r);
}

static __always_inline void recv_ends(struct sock *sk, int ret, int flags)
{
	struct socket_state *s = socket_find(sk);
	bool took_nothing = flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE);
	struct tcp_sock *tp;

	/* Every second read of an event loop finds nothing. */
	if (ret < 0) {
		if (s)
			count_filtered(TS_FILTER_RECV_ERROR);
		return;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	if (!s && ret > 0 && !took_nothing)
		s = recv_take_up(sk, tp, ret);
	if (!s || !tp)
		return;
	/* Without RCV_SHUTDOWN a 0 is the answer to an empty buffer, not the end. */
	if (ret == 0)
		took_nothing |= s->ended || !(sk->sk_shutdown & RCV_SHUTDOWN);
	if (took_nothing) {
		count_filtered(TS_FILTER_PEEK);
		return;
	}
	s->ended = ret == 0;
	recv_resync(s, read_position(sk, tp) - ret);
	recv_emit(sk, s, ret);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv, struct sock *sk, int ret, int flags)
{
	recv_ends(sk, ret, flags);
	return 0;
}
