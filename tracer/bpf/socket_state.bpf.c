// SPDX-License-Identifier: MIT OR GPL-2.0
/* Connections: which sockets are traced, when they are established, when they are gone. */

/* A traced process connects or listens: `current` is the caller. At SYN_SENT
 * the local port is not chosen yet, so the record waits for ESTABLISHED. */
static __always_inline void mark_own(const struct sock *sk, int state)
{
	struct socket_state *s;

	if (!current_traced() || !bpf_skc_to_tcp_sock((void *)sk))
		return;
	s = socket_mark(sk, TS_PROGRAM_SOCKET_STATE, state == TCP_SYN_SENT ? TS_ROLE_CONNECT : 0);
	if (!s || state == TCP_LISTEN)
		return;
	s->start_ts = bpf_ktime_get_ns();
	s->pid = bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void established(const struct sock *sk)
{
	struct socket_state *s = socket_find(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
	u64 cookie;

	if (!s || !tp)
		return;
	/* A child still has its listener's cookie; this runs in softirq, so who will accept it is not known. */
	cookie = bpf_get_socket_cookie((void *)sk);
	if (s->cookie != cookie) {
		s->cookie = cookie;
		s->role = TS_ROLE_ACCEPT;
	}
	s->recv_seq = tp->copied_seq;
	socket_open(sk, tp, s, TS_PROGRAM_SOCKET_STATE);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int oldstate, int newstate)
{
	if (newstate == TCP_SYN_SENT || newstate == TCP_LISTEN)
		mark_own(sk, newstate);
	else if (newstate == TCP_ESTABLISHED)
		established(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_close, struct sock *sk)
{
	struct socket_state *s = socket_find(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	/* Listeners and refused connections never carried a byte. */
	if (!s || !tp || !s->open)
		return 0;
	struct arrival unread = arrivals_take(sk, s, tp->rcv_nxt + 1);

	if (unread.ts)
		arrival_emit(sk, s, &unread);
	if (sampling()) {
		hold_settle(sk, s, true);
		talk_close(&s->key, s->end);
	}
	struct ts_close r = {
		.cookie = s->cookie,
		.bytes_sent = tp->bytes_sent,
		.bytes_retrans = tp->bytes_retrans,
		.bytes_received = tp->bytes_received,
		.total_retrans = tp->total_retrans,
	};
	EMIT(TS_PROGRAM_CLOSE, TS_KIND_CLOSE, &r);
	return 0;
}
