/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is kept for each traced socket, and its SOCKET record. */
#ifndef TIERSCOPE_SOCKET_H
#define TIERSCOPE_SOCKET_H

/* Must be a power of two. */
#define MAX_ARRIVALS 8

struct arrival {
	u64 ts; /* 0: none */
	u32 seq;
	u32 end_seq;
	u32 rcv_nxt;
	u8 late;
	u8 pad[3];
};

/* See arrivals.h. */
struct arrivals {
	u32 head; /* next to be filled */
	u32 tail; /* oldest that is full, if it is not the head */
	struct arrival slots[MAX_ARRIVALS];
};

/* What every call and segment needs lies in the first 56 bytes, which are one line of the cache with the
 * storage's own. */
struct socket_state {
	u64 cookie;
	u32 recv_seq; /* next byte to be read */
	u32 sent_seq; /* next byte to be handed to a device for the first time, … */
	struct range overtaken; /* … but for these, which later ones have overtaken */
	u8 role;      /* 0: a listener, or a connection still being made */
	u8 protocol;
	u8 judged;    /* sends that were asked for the protocol */
	u8 open;      /* its SOCKET record was made */
	u8 ended;     /* the end of its stream was read */
	u8 syn_left;  /* start_ts is when its first SYN left, not when it was made */
	u8 end;       /* of `key` */
	u8 holding;   /* records wait at it: see hold.h */
	u8 serves;    /* its process is known to serve requests */
	struct arrivals arrivals;
	struct range skipped; /* last of what it sent: left out by sampling, and not told yet; empty: nothing */
	u64 start_ts;
	u32 pid;
	struct talk_key key;
};

/* A child has a copy of its listener's state before it is accepted: BPF_F_CLONE. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

static __always_inline struct socket_state *socket_find(const struct sock *sk)
{
	return bpf_sk_storage_get(&sockets, (void *)sk, NULL, 0);
}

static __always_inline struct socket_state *socket_mark(const struct sock *sk, u32 program, u8 role)
{
	struct socket_state *s;

	s = bpf_sk_storage_get(&sockets, (void *)sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		lose(program);
		return NULL;
	}
	__builtin_memset(s, 0, sizeof(*s));
	s->cookie = bpf_get_socket_cookie((void *)sk);
	s->role = role;
	return s;
}

/* The next byte to be read. copied_seq counts a FIN that was read as a byte;
 * SOCK_DONE says that one came, and is looked at before rcv_nxt, which is
 * final by then: a FIN that comes meanwhile cannot be taken for a read one. */
static __always_inline u32 read_position(const struct sock *sk, const struct tcp_sock *tp)
{
	u64 done = 1ULL << bpf_core_enum_value(enum sock_flags, SOCK_DONE);
	bool fin = *(volatile unsigned long *)&sk->__sk_common.skc_flags & done;
	u32 copied = *(volatile u32 *)&tp->copied_seq;

	return copied - (fin && copied == *(volatile u32 *)&tp->rcv_nxt);
}

static __always_inline void copy_addresses(struct ts_socket *r, const struct sock_common *c)
{
	r->family = c->skc_family;
	r->local_port = c->skc_num;
	r->peer_port = bpf_ntohs(c->skc_dport);
	if (r->family == AF_INET6) {
		bpf_core_read(r->local_addr, 16, &c->skc_v6_rcv_saddr);
		bpf_core_read(r->peer_addr, 16, &c->skc_v6_daddr);
	} else {
		*(__be32 *)r->local_addr = c->skc_rcv_saddr;
		*(__be32 *)r->peer_addr = c->skc_daddr;
	}
}

/* The socket's bytes are followed from here: writes from write_seq, reads from `recv_seq`. */
static __noinline void socket_open(const struct sock *sk, const struct tcp_sock *tp,
				   struct socket_state *s, u32 program)
{
	struct ts_socket r = {
		.cookie = s->cookie,
		.start_ts = s->start_ts,
		.pid = s->pid,
		.send_seq = tp->write_seq,
		.recv_seq = s->recv_seq,
		.netns = sk->__sk_common.skc_net.net->ns.inum,
		.role = s->role,
	};

	copy_addresses(&r, &sk->__sk_common);
	s->sent_seq = tp->snd_nxt;
	s->open = 1;
	if (sampling()) {
		s->end = talk_identify(&sk->__sk_common, &s->key);
		talk_open(&s->key, s->end, s->role);
	}
	EMIT(program, TS_KIND_SOCKET, &r);
}

/* Takes up a connection of which the beginning was not seen, for process `pid`. */
static __always_inline struct socket_state *socket_take_up(const struct sock *sk, const struct tcp_sock *tp,
							   u32 program, u32 pid, u32 recv_seq)
{
	struct socket_state *s = socket_mark(sk, program, TS_ROLE_FOUND);

	if (!s)
		return NULL;
	s->pid = pid;
	s->recv_seq = recv_seq;
	socket_open(sk, tp, s, program);
	return s;
}

#endif
