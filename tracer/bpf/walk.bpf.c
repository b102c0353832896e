// SPDX-License-Identifier: MIT OR GPL-2.0
/* The start-up walks: threads and open sockets that traced processes had before tracing began. */

/* Each thread has its place before it is woken: that tells since when it wants a CPU. */
SEC("iter/task")
int walk_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		thread_of(task, TS_PROGRAM_WALK);
	return 0;
}

SEC("iter/task_file")
int walk_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct tcp_sock *tp;
	struct sock *sk;
	u32 tgid;
	u8 state;

	if (!task || !file)
		return 0;
	tgid = task->tgid;
	if (!bpf_map_lookup_elem(&traced, &tgid))
		return 0;
	socket = bpf_sock_from_file(file);
	sk = socket ? socket->sk : NULL;
	tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (!tp || socket_find(sk))
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_LISTEN)
		socket_mark(sk, TS_PROGRAM_WALK, 0);
	else if (state != TCP_CLOSE && state != TCP_SYN_SENT && state != TCP_SYN_RECV)
		socket_take_up(sk, tp, TS_PROGRAM_WALK, tgid, read_position(sk, tp));
	return 0;
}
