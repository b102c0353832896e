/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Which bytes of a connection belong to requests that are kept, where requests are
 * sampled. Its two sockets share this: the end that writes says so before the bytes
 * are on their way, the other end looks it up by their sequence numbers.
 *
 * In doubt the verdict is KEEP: the assembler knows the sample too, and sorts out.
 */
#ifndef TIERSCOPE_TALK_H
#define TIERSCOPE_TALK_H

/* Must be a power of two. */
#define MARKS 4

enum answered {
	ANSWER_NONE = 0,
	ANSWER_INTERIM = 1, /* 1xx: the answer itself will come */
	ANSWER_FINAL = 2,
};

/* Where a request and its answer begin. */
struct mark {
	u32 asked;
	u32 answer;
	u8 answered;
	u8 verdict;
	u8 pad[2];
};

/* The ends in one order for both, IPv4 as IPv6 has it. */
struct talk_key {
	u32 low[4], high[4];
	u16 low_port, high_port;
	u32 netns; /* of loopback only, for every namespace has its own */
};

struct talk {
	u32 count;  /* requests so far; the latest has the mark before this */
	u32 traced; /* bit i: end i is a traced socket */
	u8 client;  /* the end that asks, plus one; 0: not known */
	u8 all;     /* requests cannot be told apart: all is kept */
	u8 pad[2];
	struct mark marks[MARKS];
};

/* One entry where requests are not sampled: see the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct talk_key);
	__type(value, struct talk);
} talks SEC(".maps");

/* Processes that were seen to serve requests: the id in a request that they pass on is believed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u8);
} servers SEC(".maps");

static __always_inline bool is_loopback(const u32 *a)
{
	if (a[0] | a[1])
		return false;
	if (a[2] == bpf_htonl(0xffff))
		return (a[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !a[2] && a[3] == bpf_htonl(1);
}

static __always_inline int compare(const u32 *a, const u32 *b)
{
	for (int i = 0; i < 4; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* Fills in the key of the socket's connection; returns which end it is. */
static __always_inline u8 talk_identify(const struct sock_common *c, struct talk_key *key)
{
	u32 own[4] = {}, peer[4] = {};
	u16 own_port = c->skc_num, peer_port = bpf_ntohs(c->skc_dport);
	bool high;
	int order;

	if (c->skc_family == AF_INET6) {
		bpf_core_read(own, 16, &c->skc_v6_rcv_saddr);
		bpf_core_read(peer, 16, &c->skc_v6_daddr);
	} else {
		own[2] = peer[2] = bpf_htonl(0xffff);
		own[3] = c->skc_rcv_saddr;
		peer[3] = c->skc_daddr;
	}
	order = compare(own, peer);
	high = order > 0 || (!order && own_port > peer_port);
	__builtin_memcpy(key->low, high ? peer : own, 16);
	__builtin_memcpy(key->high, high ? own : peer, 16);
	key->low_port = high ? peer_port : own_port;
	key->high_port = high ? own_port : peer_port;
	key->netns = is_loopback(own) ? c->skc_net.net->ns.inum : 0;
	return high;
}

/* End `end` is a traced socket now. Who connects begins anew; so does who accepts, if what is there is its own. */
static __always_inline void talk_open(struct talk_key *key, u8 end, u8 role)
{
	struct talk *t = bpf_map_lookup_elem(&talks, key);
	struct talk fresh = {};

	if (!t || role == TS_ROLE_CONNECT || (role == TS_ROLE_ACCEPT && t->traced & (1 << end))) {
		if (role == TS_ROLE_CONNECT)
			fresh.client = end + 1;
		if (role == TS_ROLE_ACCEPT)
			fresh.client = 2 - end;
		bpf_map_update_elem(&talks, key, &fresh, BPF_ANY);
		t = bpf_map_lookup_elem(&talks, key);
	}
	if (t)
		__sync_fetch_and_or(&t->traced, 1 << end);
}

static __always_inline void talk_close(struct talk_key *key, u8 end)
{
	struct talk *t = bpf_map_lookup_elem(&talks, key);

	if (!t)
		return;
	__sync_fetch_and_and(&t->traced, ~(1 << end));
	if (!t->traced)
		bpf_map_delete_elem(&talks, key);
}

static __always_inline struct mark *mark_at(struct talk *t, u32 index)
{
	return &t->marks[index & (MARKS - 1)];
}

/* The latest request's; NULL: there was none. */
static __always_inline struct mark *latest(struct talk *t)
{
	return t->count ? mark_at(t, t->count - 1) : NULL;
}

/* Only one end adds: the one that writes requests, or reads them where the other is not traced. */
static __always_inline struct mark *mark_add(struct talk *t, u32 asked, u8 verdict)
{
	struct mark *m = mark_at(t, t->count);

	m->asked = asked;
	m->answer = 0;
	m->answered = ANSWER_NONE;
	m->verdict = verdict;
	__sync_fetch_and_add(&t->count, 1);
	return m;
}

/* On byte `seq` of the requests, or of the answers. */
static __always_inline u32 verdict_at(struct talk *t, u32 seq, bool request)
{
	u32 count = t->count;

	for (u32 back = 1; back <= MARKS; back++) {
		struct mark *m;

		if (back > count)
			break;
		m = mark_at(t, count - back);
		if (request ? !before(seq, m->asked) : m->answered && !before(seq, m->answer))
			return m->verdict;
	}
	return KEEP;
}

/* On bytes [seq, end_seq) of one direction. Of several requests in them, one that is kept keeps all. */
static __always_inline u32 verdict_between(struct talk *t, struct range r, bool request)
{
	u32 first = verdict_at(t, r.seq, request), last;

	if (r.seq == r.end_seq)
		return first;
	last = verdict_at(t, r.end_seq - 1, request);
	if (first == last)
		return first;
	return first == KEEP || last == KEEP ? KEEP : UNDECIDED;
}

#endif
