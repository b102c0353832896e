// SPDX-License-Identifier: MIT OR GPL-2.0
/* The host drops a packet of its own: its filter refuses it, a queue is full. */

SEC("tp_btf/kfree_skb")
int BPF_PROG(dropped, const struct sk_buff *skb)
{
	struct sock *sk = full_socket(skb);
	struct socket_state *s = sk ? socket_find(sk) : NULL;
	struct range range;

	if (!s) {
		count_filtered(TS_FILTER_UNTRACED);
		return 0;
	}
	/* Of a packet that came to the socket the header's ports are the other way round: none. */
	range = packet_range(sk, skb);
	if (!s->open || range.seq == range.end_seq) {
		count_filtered(TS_FILTER_PURE_ACK);
		return 0;
	}
	if (before(range.seq, s->sent_seq)) {
		count_filtered(TS_FILTER_SENT_AGAIN);
		return 0;
	}
	struct ts_dropped r = {
		.cookie = s->cookie,
		.seq = range.seq,
		.end_seq = range.end_seq,
	};
	TELL(sk, s, TS_PROGRAM_DROPPED, TS_KIND_DROPPED, &r, range, true);
	return 0;
}
