/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Where requests and answers begin, and what is decided on them there, where requests are sampled. */
#ifndef TIERSCOPE_EXCHANGE_H
#define TIERSCOPE_EXCHANGE_H

/* A Sync alone, sqlx's ping: no query of the poll's. */
#define PG_SYNC_BYTES 5

static __always_inline void note_server(struct socket_state *s)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u8 serves = 1;

	if (s->serves)
		return;
	s->serves = 1;
	bpf_map_update_elem(&servers, &tgid, &serves, BPF_ANY);
}

/* The id in a request, if it is one to believe: what a client outside chose decides nothing. */
static __always_inline u32 verdict_in_request(const struct pending *p)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (!bpf_map_lookup_elem(&servers, &tgid))
		return UNDECIDED;
	return verdict_in((const struct text *)p->head);
}

static __always_inline bool begins_answer(const struct pending *p)
{
	return p->record.head_len > 12 && be32(p->head) == 0x48545450;
}

static __always_inline bool begins_request(const struct pending *p)
{
	struct opening opening = {};

	__builtin_memcpy(opening.bytes, p->head, JUDGED_BYTES);
	return judge(&opening) == TS_PROTOCOL_HTTP && !begins_answer(p);
}

static __always_inline u32 http_asks(struct talk *t, struct socket_state *s, struct pending *p)
{
	struct mark *m = latest(t);

	if (!m || m->answered == ANSWER_FINAL)
		return mark_add(t, p->record.seq, verdict_in_request(p))->verdict;
	if (!begins_request(p))
		return m->verdict;
	/* Before the answer: from here on several are under way at once. */
	t->all = 1;
	return KEEP;
}

static __always_inline u32 http_answers(struct talk *t, struct socket_state *s, struct pending *p)
{
	struct mark *m = latest(t);

	note_server(s);
	/* Its request came before tracing began. */
	if (!m)
		m = mark_add(t, s->recv_seq, UNDECIDED);
	if (m->answered == ANSWER_FINAL)
		return m->verdict;
	if (!m->answered) {
		m->answer = p->record.seq;
		m->answered = ANSWER_INTERIM;
	}
	if (!begins_answer(p)) {
		t->all = 1;
		return KEEP;
	}
	/* 101 is the answer; the bytes after it show that they are no requests. */
	if (p->head[9] == '1' && p->head[11] != '1')
		return m->verdict;
	m->answered = ANSWER_FINAL;
	if (m->verdict == UNDECIDED)
		m->verdict = verdict_in((const struct text *)p->head);
	/* Nothing will tell its id. */
	if (m->verdict == UNDECIDED)
		m->verdict = KEEP;
	return m->verdict;
}

/* A query is its poll's request's; what else is sent on a connection, whose the last query was. */
static __always_inline u32 pg_asks(struct talk *t, struct pending *p)
{
	struct mark *m = latest(t);
	u32 verdict = p->poll;

	if (verdict == UNDECIDED)
		verdict = m ? m->verdict : KEEP;
	if (!m || m->verdict != verdict)
		mark_add(t, p->record.seq, verdict);
	return verdict;
}

/* An answer that tells no id, from `seq` on. */
static __always_inline u32 plain_answers(struct talk *t, u32 seq)
{
	struct mark *m = latest(t);

	if (!m)
		return KEEP;
	if (!m->answered) {
		m->answer = seq;
		m->answered = ANSWER_FINAL;
	}
	if (m->verdict == UNDECIDED)
		m->verdict = KEEP;
	return m->verdict;
}

/* On a send, before its bytes are looked at; UNDECIDED: they have to be. */
__noinline int foresee(struct socket_state *s, struct pending *p)
{
	struct talk *t;
	struct mark *m;
	bool frontend;

	if (!s || !p)
		return KEEP;
	t = talk_of(s);
	frontend = s->protocol == TS_PROTOCOL_PG_FRONTEND;
	p->poll = frontend && p->asked == PG_SYNC_BYTES ? UNDECIDED : poll_sends(s->cookie);
	if (!t || t->all)
		return KEEP;
	if (frontend)
		return pg_asks(t, p);
	m = latest(t);
	return m && m->answered == ANSWER_FINAL && answers(t, s) ? m->verdict : UNDECIDED;
}

/* On a send, by its first bytes. */
__noinline int look(struct socket_state *s, struct pending *p)
{
	struct talk *t;

	if (!s || !p)
		return KEEP;
	t = talk_of(s);
	if (!t)
		return KEEP;
	switch (s->protocol) {
	case TS_PROTOCOL_HTTP:
		if (!t->client)
			t->client = begins_answer(p) ? 2 - s->end : s->end + 1;
		return asks(t, s) ? http_asks(t, s, p) : http_answers(t, s, p);
	case TS_PROTOCOL_PG_FRONTEND:
		t->client = s->end + 1;
		return pg_asks(t, p);
	case TS_PROTOCOL_PG_BACKEND:
		t->client = 2 - s->end;
		break;
	}
	return answers(t, s) ? plain_answers(t, p->record.seq) : KEEP;
}

/* A read begins a request where the end that writes them is not traced; and ends a wait for an answer likewise. */
static __always_inline void begin_by_read(struct talk *t, struct socket_state *s)
{
	bool alone = !(t->traced & (1 << !s->end));
	struct mark *m = latest(t);

	if (answers(t, s)) {
		note_server(s);
		if (alone && (!m || m->answered == ANSWER_FINAL))
			mark_add(t, s->recv_seq, UNDECIDED);
	} else if (alone && asks(t, s)) {
		plain_answers(t, s->recv_seq);
	}
}

/* The calling thread reads `taken` bytes: the verdict on them. */
static __noinline int reads(const struct sock *sk, struct socket_state *s, u32 taken)
{
	struct talk *t = talk_of(s);
	struct range r = { s->recv_seq, s->recv_seq + taken };
	u32 verdict;

	if (t)
		begin_by_read(t, s);
	verdict = !t || t->all || !t->client ? KEEP : verdict_between(t, r, answers(t, s));
	poll_reads(s->cookie);
	worker_does(verdict, TS_PROGRAM_RECV);
	hold_settle(sk, s, false);
	return verdict;
}

/* A send is over; false: it is not told, or not yet. */
static __noinline bool send_told(const struct sock *sk, struct pending *p, u32 program, u32 len)
{
	struct socket_state *s = socket_find(sk);
	struct ts_send *send = &p->record;
	struct range r = { send->seq, send->seq + send->sent };
	u32 verdict = p->verdict;

	if (!s)
		return true;
	if (verdict == UNDECIDED)
		verdict = verdict_on(s, &r, true);
	hold_settle(sk, s, false);
	if (verdict == DROP) {
		skip(s, r);
		count_sampled_out();
		return false;
	}
	fill_head(&send->head, program, TS_KIND_SEND, len, bpf_ktime_get_ns());
	if (verdict == UNDECIDED && hold_put(sk, s, &send->head, r.seq, true))
		return false;
	tell_skipped(s, r.seq, send->start_ts);
	return true;
}

#endif
