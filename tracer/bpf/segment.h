/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The bytes of the stream that a segment carries. */
#ifndef TIERSCOPE_SEGMENT_H
#define TIERSCOPE_SEGMENT_H

struct range {
	u32 seq;
	u32 end_seq;
};

/* Numbers wrap. */
static __always_inline bool before(u32 a, u32 b)
{
	return (s32)(a - b) < 0;
}

static __always_inline bool is_fin(const struct sk_buff *skb)
{
	const struct tcp_skb_cb *cb = (const void *)skb->cb;

	return BPF_CORE_READ(cb, tcp_flags) & TCP_FLAG_FIN;
}

/* From TCP's own control block; a FIN takes a number but is no byte. */
static __always_inline struct range segment_range(const struct sk_buff *skb)
{
	const struct tcp_skb_cb *cb = (const void *)skb->cb;
	struct range r = {
		.seq = BPF_CORE_READ(cb, seq),
		.end_seq = BPF_CORE_READ(cb, end_seq) - is_fin(skb),
	};

	return r;
}

#endif
