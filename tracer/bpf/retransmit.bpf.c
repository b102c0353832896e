// SPDX-License-Identifier: MIT OR GPL-2.0
/* A segment is sent again. */

static __always_inline void sent_again(const struct sock *sk, const struct sk_buff *skb, int err)
{
	struct socket_state *s = socket_find(sk);
	struct range range;

	if (!s)
		return;
	if (err) {
		count_filtered(TS_FILTER_RETRANSMIT_FAILED);
		return;
	}
	range = segment_range(skb);
	/* While the connection is still being made it is a SYN. A FIN alone counts as a segment that is sent again. */
	if (!s->open || (range.seq == range.end_seq && !is_fin(skb))) {
		count_filtered(TS_FILTER_PURE_ACK);
		return;
	}
	struct ts_retransmit r = {
		.cookie = s->cookie,
		.seq = range.seq,
		.end_seq = range.end_seq,
		.segments = segments_of(skb),
	};
	TELL(sk, s, TS_PROGRAM_RETRANSMIT, TS_KIND_RETRANSMIT, &r, range, true);
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit, const struct sock *sk, const struct sk_buff *skb, int err)
{
	sent_again(sk, skb, err);
	return 0;
}

/* Before the error came along: the event was only for what was sent. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit_sent, const struct sock *sk, const struct sk_buff *skb)
{
	sent_again(sk, skb, 0);
	return 0;
}
