// SPDX-License-Identifier: MIT OR GPL-2.0
/* The same events at the kernel's functions, where it allows trampolines and lacks the tracepoint. */

/* A call's one beginning, unlike a tracepoint's, which comes once per loop: what is
 * still pending never saw its end (the kernel skips it where another tracer has just
 * attached to the same function). `msg` NULL: the bytes have no address. */
#define NEW_CALL ~0ULL

static __always_inline void send_enters(struct sock *sk, u64 asked, struct msghdr *msg)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct socket_state *s = tp ? send_socket(sk, tp) : NULL;
	struct pending *p = s ? send_slot(s, NEW_CALL) : NULL;

	if (!p)
		return;
	send_begin(s, p, tp, asked);
	send_captures(s, p, msg);
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send_entry, struct sock *sk, struct msghdr *msg, size_t size)
{
	send_enters(sk, size, msg);
	return 0;
}

SEC("fexit/tcp_sendmsg_locked")
int BPF_PROG(send_exit, struct sock *sk, struct msghdr *msg, size_t size, int ret)
{
	send_ends(sk, ret);
	return 0;
}

struct page;

/* Up to 6.4 sendfile and splice hand over page by page; the bytes have no address. */
SEC("fentry/do_tcp_sendpages")
int BPF_PROG(page_entry, struct sock *sk, struct page *page, int offset, size_t size)
{
	send_enters(sk, size, NULL);
	return 0;
}

SEC("fexit/do_tcp_sendpages")
int BPF_PROG(page_exit, struct sock *sk, struct page *page, int offset, size_t size, int flags, int ret)
{
	send_ends(sk, ret);
	return 0;
}

/* A send waits for room, and lets go of the socket meanwhile. */
SEC("fentry/sk_stream_wait_memory")
int BPF_PROG(room_entry, struct sock *sk)
{
	struct pending *p = send_pending(0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (p && tp)
		p->waits_at = tp->write_seq;
	return 0;
}

SEC("fexit/sk_stream_wait_memory")
int BPF_PROG(room_exit, struct sock *sk)
{
	struct socket_state *s = socket_find(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct pending *p = send_pending(0);
	u32 done;

	if (!p || !p->cookie || !s || !tp || tp->write_seq == p->waits_at)
		return 0;
	done = p->waits_at - p->record.seq;
	send_split(sk, p, done);
	/* Its bytes are not at hand here: the rest goes without. */
	send_begin(s, p, tp, p->asked - done);
	return 0;
}

/* Linux 5.19 and later; the last argument is where an address goes. */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_exit, struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len, int ret)
{
	recv_ends(sk, ret, flags);
	return 0;
}

/* Before and after Linux 6.10 its arguments differ. */
SEC("fexit/inet_csk_accept")
int accept_exit(void *ctx)
{
	struct sock *sk = NULL;

	bpf_get_func_ret(ctx, (u64 *)&sk);
	if (sk && current_traced())
		accepted_socket(sk);
	return 0;
}
