// SPDX-License-Identifier: MIT OR GPL-2.0
/* Bytes leave for the device: behind the queue, before the wire. */

/* A send's record has one time for all that left during its call, the last one's.
 * What leaves later than this after the first has a record of its own. */
#define FOLDED_NS 100000

struct tcp_start {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack;
	u8 offset; /* of the data, in the high half, by four bytes */
};

/* The socket, if it is one with storage: a connection request, or what is left of a
 * closed one, is too short for that. */
static __always_inline struct sock *full_socket(const struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	u8 state;

	if (!sk)
		return NULL;
	state = sk->__sk_common.skc_state;
	return state == TCP_NEW_SYN_RECV || state == TCP_TIME_WAIT ? NULL : sk;
}

/* The bytes of the stream in a packet, which may be several segments'. By its own
 * header: `cb` belongs to the device here. Empty where that header is another's (a tunnel's). */
static __always_inline struct range packet_range(const struct sock *sk, const struct sk_buff *skb)
{
	const unsigned char *header = skb->head + skb->transport_header;
	u64 before_tcp = (u64)header - (u64)skb->data;
	struct tcp_start tcp;
	struct range r = {};

	/* The compiler would go on with halves of these pointers, which the verifier refuses. */
	barrier_var(before_tcp);

	if (bpf_probe_read_kernel(&tcp, sizeof(tcp), header))
		return r;
	if (tcp.dest != sk->__sk_common.skc_dport || bpf_ntohs(tcp.source) != sk->__sk_common.skc_num)
		return r;
	r.seq = bpf_ntohl(tcp.seq);
	r.end_seq = r.seq + skb->len - before_tcp - (tcp.offset >> 4) * 4;
	return r;
}

/* Takes what the calling thread's send has let go out of `r` and into that send's record. */
static __always_inline void fold(const struct sock *sk, struct socket_state *s, struct pending *p,
				 struct range *r, u64 now)
{
	u32 mark = p->record.transmit_seq;

	/* An earlier send's bytes, which waited for these. */
	if (before(r->seq, mark) && before(mark, r->end_seq)) {
		transmit_emit(sk, s, (struct range){ r->seq, mark }, now);
		r->seq = mark;
	}
	if (r->seq != mark || (p->first_left_ts && now - p->first_left_ts > FOLDED_NS))
		return;
	if (!p->first_left_ts)
		p->first_left_ts = now;
	p->record.transmit_ts = now;
	p->record.transmit_seq = r->end_seq;
	r->seq = r->end_seq;
}

static __always_inline void packet_leaves(const struct sock *sk, struct socket_state *s, struct range r)
{
	struct pending *p = send_pending(0);
	u64 now = bpf_ktime_get_ns();

	if (p && p->cookie == s->cookie)
		fold(sk, s, p, &r, now);
	if (r.seq != r.end_seq)
		transmit_emit(sk, s, r, now);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(transmit, const struct sk_buff *skb, const struct net_device *dev)
{
	struct sock *sk = full_socket(skb);
	struct socket_state *s = sk ? socket_find(sk) : NULL;
	struct range range;

	if (!s) {
		count_filtered(TS_FILTER_UNTRACED);
		return 0;
	}
	/* The connection begins when its first SYN leaves, not when connect(2) looks for a port. */
	if (sk->__sk_common.skc_state == TCP_SYN_SENT && !s->syn_left) {
		s->syn_left = 1;
		s->start_ts = bpf_ktime_get_ns();
	}
	range = packet_range(sk, skb);
	/* A SYN, while the connection is still being made, carries none either. */
	if (!s->open || range.seq == range.end_seq)
		count_filtered(TS_FILTER_PURE_ACK);
	else if (!first_time(s, &range))
		count_filtered(TS_FILTER_SENT_AGAIN);
	else
		packet_leaves(sk, s, range);
	return 0;
}
