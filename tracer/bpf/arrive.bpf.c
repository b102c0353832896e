// SPDX-License-Identifier: MIT OR GPL-2.0
/* A segment arrives at its socket, before it is queued. */

SEC("tp_btf/tcp_probe")
int BPF_PROG(arrive, struct sock *sk, const struct sk_buff *skb)
{
	struct socket_state *s = socket_find(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct range range;

	if (!s || !tp || !s->open)
		return 0;
	range = segment_range(skb);
	if (range.seq == range.end_seq) {
		count_filtered(TS_FILTER_PURE_ACK);
		return 0;
	}
	struct ts_arrive r = {
		.cookie = s->cookie,
		.arrive_ts = bpf_ktime_get_ns(),
		.seq = range.seq,
		.end_seq = range.end_seq,
		.rcv_nxt = tp->rcv_nxt,
		/* In the reader's hands it waited in the backlog, and is seen at release only. */
		.late = sk->sk_lock.owned != 0,
	};
	EMIT(TS_PROGRAM_ARRIVE, TS_KIND_ARRIVE, &r);
	return 0;
}
