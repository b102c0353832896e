// SPDX-License-Identifier: MIT OR GPL-2.0
/* A segment is sent again. */

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit, const struct sock *sk, const struct sk_buff *skb, int err)
{
	struct socket_state *s = socket_find(sk);
	struct range range;

	if (!s)
		return 0;
	if (err) {
		count_filtered(TS_FILTER_RETRANSMIT_FAILED);
		return 0;
	}
	range = segment_range(skb);
	/* A SYN, while the connection is still being made, carries none either. */
	if (!s->open || range.seq == range.end_seq) {
		count_filtered(TS_FILTER_PURE_ACK);
		return 0;
	}
	struct ts_retransmit r = {
		.cookie = s->cookie,
		.seq = range.seq,
		.end_seq = range.end_seq,
	};
	EMIT(TS_PROGRAM_RETRANSMIT, TS_KIND_RETRANSMIT, &r);
	return 0;
}
