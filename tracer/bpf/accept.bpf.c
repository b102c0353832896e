// SPDX-License-Identifier: MIT OR GPL-2.0
/* A connection is handed to its server: the return of the C library's accept and
 * accept4, for no tracepoint is on that path. Costs nothing but per connection. */

SEC("uprobe")
int accepted(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	int fd = RETURNED(ctx);
	struct socket *socket;
	struct file *file;
	struct sock *sk;

	if (fd < 0 || !current_traced())
		return 0;
	file = file_of(fd);
	/* Another thread may have closed it by now, and the number be another file's. */
	if (!file || file_type(file) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	struct ts_accepted r = {
		.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter),
		.pid = id >> 32,
		.tid = id,
	};
	/* A socket that we follow has had one since it was established. */
	if (r.cookie)
		EMIT(TS_PROGRAM_ACCEPT, TS_KIND_ACCEPTED, &r);
	return 0;
}
