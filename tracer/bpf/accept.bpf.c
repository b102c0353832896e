// SPDX-License-Identifier: MIT OR GPL-2.0
/* A connection is handed to its server: where the kernel allows no trampoline, the return of the C library's
 * accept and accept4, for no tracepoint is on that path. Costs nothing but per connection. */

/* Readable with BPF_CORE_READ only. */
static __always_inline void accepted_socket(struct sock *sk)
{
	u64 id = bpf_get_current_pid_tgid();

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return;
	struct ts_accepted r = {
		.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter),
		.pid = id >> 32,
		.tid = id,
	};
	/* A socket that we follow has had one since it was established. */
	if (r.cookie)
		EMIT(TS_PROGRAM_ACCEPT, TS_KIND_ACCEPTED, &r);
}

SEC("uprobe")
int accepted(struct pt_regs *ctx)
{
	int fd = RETURNED(ctx);
	struct socket *socket;
	struct file *file;

	if (fd < 0 || !current_traced())
		return 0;
	file = file_of(fd);
	/* Another thread may have closed it by now, and the number be another file's. */
	if (!file || file_type(file) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	accepted_socket(BPF_CORE_READ(socket, sk));
	return 0;
}
