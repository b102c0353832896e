/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Reads from the bytes that a send is about to take, wherever they lie. */
#ifndef TIERSCOPE_GATHER_H
#define TIERSCOPE_GATHER_H

#define MAX_SEGMENTS 8

struct source {
	const struct iovec *segments; /* kernel address */
	u64 nr_segs;
	u64 skip;  /* of the first segments, taken already */
	u64 count; /* bytes to come */
	struct iovec single;
	bool user;
	bool fault;
	bool short_counted;
};

static __always_inline const struct iovec *iter_segments(const struct iov_iter *i)
{
	if (bpf_core_field_exists(i->__iov))
		return i->__iov;
	return ((const struct iov_iter___before_6_4 *)i)->iov;
}

/* False where the bytes have no address: pages of a sendfile. */
static __always_inline bool source_open(struct source *src, const struct iov_iter *i)
{
	u8 type = i->iter_type;

	src->skip = i->iov_offset;
	src->count = i->count;
	src->user = type != bpf_core_enum_value(enum iter_type, ITER_KVEC);
	if (type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		src->single.iov_base = i->ubuf;
		src->single.iov_len = src->skip + src->count;
		src->segments = &src->single;
		src->nr_segs = 1;
		return true;
	}
	src->segments = iter_segments(i);
	src->nr_segs = i->nr_segs;
	return !src->user || type == bpf_core_enum_value(enum iter_type, ITER_IOVEC);
}

static __always_inline long source_read(const struct source *src, void *dst, u32 n, const void *from)
{
	return src->user ? bpf_probe_read_user(dst, n, from) : bpf_probe_read_kernel(dst, n, from);
}

/* Copies bytes [from, from + want) to `dst`, up to the 8th segment or the
 * first that is not in memory. Returns how many. `max` is a constant ≥ want;
 * `dst` has room for twice as much, which spares the verifier a proof. */
static __always_inline u32 gather(struct source *src, u64 from, u32 want, u8 *dst, const u32 max)
{
	u32 got = 0;

	from += src->skip;
	for (int i = 0; i < MAX_SEGMENTS && i < src->nr_segs; i++) {
		struct iovec segment;
		u64 n;

		if (got >= want || got > max)
			break;
		if (bpf_probe_read_kernel(&segment, sizeof(segment), &src->segments[i]))
			break;
		if (from >= segment.iov_len) {
			from -= segment.iov_len;
			continue;
		}
		n = segment.iov_len - from;
		if (n > want - got)
			n = want - got;
		if (n > max)
			break;
		src->fault = source_read(src, dst + got, n, segment.iov_base + from);
		if (src->fault)
			break;
		got += n;
		from = 0;
	}
	return got;
}

/* Bytes that were wanted and not had; counted once per send. */
static __always_inline void count_short(struct source *src, u32 got, u32 want)
{
	if (got == want || src->short_counted)
		return;
	src->short_counted = true;
	count_filtered(src->fault ? TS_FILTER_UNREADABLE : TS_FILTER_SEGMENTS_BEYOND);
}

#endif
