// SPDX-License-Identifier: MIT OR GPL-2.0
/* A segment arrives at its socket, before it is queued. */

/* One that the next reads will take waits for them; one out of order, or come again, does not. */
static __always_inline void arrive_segment(struct sock *sk, const struct tcp_sock *tp,
					   struct socket_state *s, struct range range)
{
	struct arrival a = {
		.ts = bpf_ktime_get_ns(),
		.seq = range.seq,
		.end_seq = range.end_seq,
		.rcv_nxt = tp->rcv_nxt,
		/* In the reader's hands it waited in the backlog, and is seen at release only. */
		.late = sk->sk_lock.owned != 0,
	};
	bool in_order = !before(a.rcv_nxt, a.seq) && before(a.rcv_nxt, a.end_seq);

	if (!in_order || !arrival_put(&s->arrivals, &a))
		arrival_emit(sk, s, &a);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(arrive, struct sock *sk, const struct sk_buff *skb)
{
	struct socket_state *s = socket_find(sk);
	struct tcp_sock *tp;
	struct range range;

	if (!s) {
		count_filtered(TS_FILTER_UNTRACED);
		return 0;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !s->open)
		return 0;
	range = segment_range(skb);
	if (range.seq == range.end_seq)
		count_filtered(TS_FILTER_PURE_ACK);
	else
		arrive_segment(sk, tp, s, range);
	return 0;
}
