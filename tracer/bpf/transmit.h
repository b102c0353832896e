/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Which bytes leave for the first time, and their record. */
#ifndef TIERSCOPE_TRANSMIT_H
#define TIERSCOPE_TRANSMIT_H

/* Bytes that were jumped over, because an earlier stage held them back, and come now. */
static __always_inline bool had_been_overtaken(struct range *overtaken, struct range *r)
{
	if (!before(r->seq, overtaken->end_seq) || !before(overtaken->seq, r->end_seq))
		return false;
	if (before(r->seq, overtaken->seq))
		r->seq = overtaken->seq;
	if (before(overtaken->end_seq, r->end_seq))
		r->end_seq = overtaken->end_seq;
	if (r->seq == overtaken->seq)
		overtaken->seq = r->end_seq;
	else if (r->end_seq == overtaken->end_seq)
		overtaken->end_seq = r->seq;
	return true;
}

/* Leaves in `r` what leaves for the first time; false: nothing does. */
static __always_inline bool first_time(struct socket_state *s, struct range *r)
{
	if (!before(s->sent_seq, r->end_seq))
		return had_been_overtaken(&s->overtaken, r);
	if (before(s->sent_seq, r->seq)) {
		/* One range for all holes: what else it spans is told of twice, and the first time counts. */
		if (s->overtaken.seq == s->overtaken.end_seq)
			s->overtaken.seq = s->sent_seq;
		s->overtaken.end_seq = r->seq;
	} else {
		r->seq = s->sent_seq;
	}
	s->sent_seq = r->end_seq;
	return true;
}

static __always_inline void transmit_emit(const struct sock *sk, struct socket_state *s, struct range range, u64 ts)
{
	struct ts_transmit r = {
		.cookie = s->cookie,
		.seq = range.seq,
		.end_seq = range.end_seq,
	};

	tell_at(sk, s, TS_PROGRAM_TRANSMIT, &r.head, TS_KIND_TRANSMIT, sizeof(r), ts, range, true);
}

#endif
