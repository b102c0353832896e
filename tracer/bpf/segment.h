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

/* A field of TCP's own control block, read in place: a call that copies it would cost ten times as much. */
#define CB_FIELD(skb, type, field) \
	(*(const type *)((const char *)(skb)->cb + bpf_core_field_offset(struct tcp_skb_cb, field)))

static __always_inline bool is_fin(const struct sk_buff *skb)
{
	return CB_FIELD(skb, u8, tcp_flags) & TCP_FLAG_FIN;
}

/* As tcp_info's totals count it. */
static __always_inline u32 segments_of(const struct sk_buff *skb)
{
	return CB_FIELD(skb, u16, tcp_gso_segs);
}

/* A FIN takes a number but is no byte. */
static __always_inline struct range segment_range(const struct sk_buff *skb)
{
	struct range r = {
		.seq = CB_FIELD(skb, u32, seq),
		.end_seq = CB_FIELD(skb, u32, end_seq) - is_fin(skb),
	};

	return r;
}

#endif
