/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The kernel's types, trimmed to the fields the programs use.
 *
 * Offsets are the running kernel's: the loader relocates every access by name
 * (CO-RE), so order, size and what is left out do not matter here.
 */
#ifndef TIERSCOPE_VMLINUX_H
#define TIERSCOPE_VMLINUX_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef unsigned long size_t;
typedef _Bool bool;

#define NULL ((void *)0)
#define false 0
#define true 1

/* Fixed by the kernel's user interface. */
#define AF_INET6 10
#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000
#define RCV_SHUTDOWN 1
#define TCP_FLAG_FIN 0x01
#define IPPROTO_TCP 6
#define O_APPEND 02000
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFSOCK 0140000
#define MINOR_BITS 20
#define PF_KTHREAD 0x200000
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2

/* include/linux/blk_types.h, the same since 4.10. */
#define REQ_OP_MASK 0xff
#define REQ_OP_READ 0
#define REQ_OP_WRITE 1
#define REQ_OP_FLUSH 2

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_F_USER_STACK (1 << 8)
#define BPF_F_NO_PREALLOC 1
#define BPF_F_CLONE (1 << 9)
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_NO_WAKEUP 1

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Values differ between kernels: always through bpf_core_enum_value. */
enum iter_type {
	ITER_UBUF,
	ITER_IOVEC,
	ITER_BVEC,
	ITER_KVEC,
};

enum sock_flags {
	SOCK_DONE = 1,
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	__u8 in6_u[16];
};

typedef struct {
	s64 counter;
} atomic64_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	atomic64_t skc_cookie;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	__u8 sk_shutdown;
	__u16 sk_protocol;
};

struct tcp_sock {
	u32 copied_seq;
	u32 rcv_nxt;
	u32 snd_nxt;
	u32 write_seq;
	u64 bytes_sent;
	u64 bytes_retrans;
	u64 bytes_received;
	u32 total_retrans;
};

struct socket {
	struct sock *sk;
};

struct super_block {
	unsigned int s_dev;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct qstr {
	u64 hash_len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	unsigned int f_flags;
	__s64 f_pos;
	struct path f_path;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct gendisk {
	int major;
	int first_minor;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	int internal_tag;
	unsigned int __data_len;
	__u64 __sector;
};

struct sk_buff {
	struct sock *sk;
	char cb[48];
	unsigned int len;
	__u16 transport_header;
	unsigned char *head;
	unsigned char *data;
};

struct net_device;

struct tcp_skb_cb {
	__u32 seq;
	__u32 end_seq;
	__u16 tcp_gso_segs;
	__u8 tcp_flags; /* the low byte; newer kernels have 16 bits */
};

struct iovec {
	void *iov_base;
	size_t iov_len;
};

struct iov_iter {
	u8 iter_type;
	size_t iov_offset;
	const struct iovec *__iov;
	void *ubuf;
	size_t count;
	unsigned long nr_segs;
};

struct iov_iter___before_6_4 {
	const struct iovec *iov;
};

struct msghdr {
	struct iov_iter msg_iter;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct cfs_rq {
	int throttle_count;
};

struct sched_entity {
	struct cfs_rq *cfs_rq;
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int on_cpu;
	struct sched_entity se;
	int pid;
	int tgid;
	char comm[16];
	struct signal_struct *signal;
	struct files_struct *files;
};

enum bpf_func_id {
	BPF_FUNC_cgrp_storage_get = 210,
};

struct bpf_iter__task {
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct task_struct *task;
	struct file *file;
};

#ifdef __TARGET_ARCH_arm64
struct pt_regs {
	__u64 regs[31];
	__s32 syscallno;
};
#define REGISTERS 34 /* words of the whole */
#define RETURNED(pt_regs) ((pt_regs)->regs[0])
#define FIRST_ARGUMENT(pt_regs) ((pt_regs)->regs[0])
#define SYSCALL_NUMBER(regs) ((u32)(regs)->syscallno)
#else
struct pt_regs {
	unsigned long ax;
	unsigned long di;
	unsigned long orig_ax;
};
#define REGISTERS 21
#define RETURNED(pt_regs) ((pt_regs)->ax)
#define FIRST_ARGUMENT(pt_regs) ((pt_regs)->di)
#define SYSCALL_NUMBER(regs) ((u32)(regs)->orig_ax)
#endif

#pragma clang attribute pop

#endif
