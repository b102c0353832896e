/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The one definition of what the kernel side writes and the user side reads.
 *
 * The Rust side is generated from this file at build. Integers only, in the
 * host's byte order, padding explicit, `kind` and `len` first. A record is its
 * fixed struct, then `…_len` bytes of text where the struct says so; `len` is
 * the whole, a multiple of 8. The recording file holds these bytes as they
 * are, captured text scrubbed in place.
 *
 * All times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns). `ts` in the
 * head is when the record was made; for a call that is its exit.
 */
#ifndef TIERSCOPE_EVENTS_H
#define TIERSCOPE_EVENTS_H

typedef unsigned char ts_u8;
typedef unsigned short ts_u16;
typedef unsigned int ts_u32;
typedef unsigned long long ts_u64;

/* Most bytes of a send that are kept: HTTP heads and PostgreSQL answers, or
 * PostgreSQL requests (SQL text and bound values). */
#define TS_HEAD_MAX 512
#define TS_HEAD_MAX_PG 2048
/* Last bytes of a send, for message ends. */
#define TS_TAIL_MAX 16
/* Most bytes of each string argument of a probe, its NUL not counted. */
#define TS_TEXT_MAX 1024
#define TS_COMM_LEN 16
/* A loss of which the kernel does not tell the CPU. */
#define TS_CPU_UNKNOWN 0xffffffff
/* Places in each of the two maps of user stacks. */
#define TS_STACKS 4096

enum ts_kind {
	TS_KIND_SOCKET = 1,
	TS_KIND_SEND = 2,
	TS_KIND_RECV = 3,
	TS_KIND_ARRIVE = 4,
	TS_KIND_RETRANSMIT = 5,
	TS_KIND_CLOSE = 6,
	TS_KIND_USDT = 7,
	TS_KIND_PROCESS = 8,
	/* The next two are made in user space from the counters below. */
	TS_KIND_LOSS = 9,
	TS_KIND_FILTERED = 10,
	TS_KIND_TRANSMIT = 11,
	TS_KIND_ACCEPTED = 12,
	TS_KIND_SWITCH = 13,
	TS_KIND_FILE = 14,
	TS_KIND_FILE_NAME = 15,
	TS_KIND_BLOCK = 16,
	TS_KIND_BUFFERS = 17,
	/* Made in user space, while the process is there to ask. */
	TS_KIND_STACK = 18,
	/* The next two where requests are sampled. */
	TS_KIND_SKIPPED = 19,
	TS_KIND_TURNED = 20,
	TS_KIND_DROPPED = 21,
};

/* What a socket speaks, judged by content and kept for the connection. */
enum ts_protocol {
	TS_PROTOCOL_UNKNOWN = 0,
	TS_PROTOCOL_HTTP = 1,
	TS_PROTOCOL_PG_FRONTEND = 2,
	TS_PROTOCOL_PG_BACKEND = 3,
};

enum ts_socket_role {
	TS_ROLE_CONNECT = 1,
	TS_ROLE_ACCEPT = 2,
	TS_ROLE_FOUND = 3,
};

enum ts_process_change {
	TS_PROCESS_FOUND = 1,
	TS_PROCESS_FORK = 2,
	TS_PROCESS_EXIT = 3,
};

/* Programs, for the loss counters. */
enum ts_program {
	TS_PROGRAM_SOCKET_STATE = 0,
	TS_PROGRAM_SEND_START = 1,
	TS_PROGRAM_SEND_END = 2,
	TS_PROGRAM_RECV = 3,
	TS_PROGRAM_ARRIVE = 4,
	TS_PROGRAM_RETRANSMIT = 5,
	TS_PROGRAM_CLOSE = 6,
	TS_PROGRAM_USDT_APP = 7,
	TS_PROGRAM_USDT_POSTGRES = 8,
	TS_PROGRAM_PROCESS = 9,
	TS_PROGRAM_WALK = 10,
	TS_PROGRAM_TRANSMIT = 11,
	TS_PROGRAM_ACCEPT = 12,
	TS_PROGRAM_SWITCH = 13,
	TS_PROGRAM_WAKEUP = 14,
	TS_PROGRAM_FILE = 15,
	TS_PROGRAM_BLOCK = 16,
	TS_PROGRAM_BUFFERS = 17,
	TS_PROGRAM_DROPPED = 18,
	TS_PROGRAM_COUNT = 19,
};

/* Why an event of a traced socket or process was left out. */
enum ts_filter {
	TS_FILTER_PURE_ACK = 0,       /* a segment without data: come, sent again, dropped */
	TS_FILTER_PEEK = 1,           /* nothing was taken: MSG_PEEK, an empty buffer, the end again */
	TS_FILTER_RECV_ERROR = 2,     /* EAGAIN and its like */
	TS_FILTER_SEND_ERROR = 3,
	TS_FILTER_NOT_TCP = 4,        /* a traced process's other sockets */
	TS_FILTER_RETRANSMIT_FAILED = 5,
	TS_FILTER_SEGMENTS_BEYOND = 6, /* sends whose first or last bytes lie past the 8th segment: not captured */
	TS_FILTER_UNREADABLE = 7,     /* sends of sendfile pages, or of pages not in memory: not captured */
	TS_FILTER_SEND_OVERLAP = 8,   /* two threads in one socket's send: this one's goes on as a record of its own */
	TS_FILTER_RESYNC = 9,         /* bytes went by unread (splice, urgent data): the cursor follows the kernel's */
	TS_FILTER_TEXT_FAULT = 10,    /* a probe's string or argument was not in memory: empty, or 0 */
	TS_FILTER_SENT_AGAIN = 11,    /* bytes at the device, or dropped, that had left before: a retransmit, a second device */
	TS_FILTER_UNTRACED = 12,      /* what the hooks saw of others: their sockets, switches, files, blocks */
	TS_FILTER_SAMPLED_OUT = 13,   /* requests that the sample leaves out */
	TS_FILTER_NOT_A_FILE = 14,    /* a traced process's reads and writes of sockets, pipes and the like */
	TS_FILTER_NO_STACK = 15,      /* calls on files whose user stack found no place: told without */
	TS_FILTER_COUNT = 16,
};

enum ts_probe {
	TS_PROBE_REQUEST_START = 0,   /* hi, lo, method, path */
	TS_PROBE_REQUEST_END = 1,     /* hi, lo, status code, ns */
	TS_PROBE_DB_ACQUIRE_START = 2, /* hi, lo */
	TS_PROBE_DB_ACQUIRE_END = 3,  /* hi, lo */
	TS_PROBE_DB_QUERY_START = 4,  /* hi, lo, query */
	TS_PROBE_DB_QUERY_END = 5,    /* hi, lo, ns, rows */
	TS_PROBE_CACHE_HIT = 6,       /* hi, lo, key */
	TS_PROBE_CACHE_MISS = 7,      /* hi, lo, key */
	TS_PROBE_FILE_IO_START = 8,   /* hi, lo, path, op */
	TS_PROBE_FILE_IO_END = 9,     /* hi, lo, bytes */
	TS_PROBE_SPAN_START = 10,     /* hi, lo, name */
	TS_PROBE_SPAN_END = 11,       /* hi, lo */
	TS_PROBE_PG_PARSE_START = 12, /* query (text) */
	TS_PROBE_PG_PARSE_DONE = 13,
	TS_PROBE_PG_REWRITE_START = 14,
	TS_PROBE_PG_REWRITE_DONE = 15,
	TS_PROBE_PG_PLAN_START = 16,
	TS_PROBE_PG_PLAN_DONE = 17,
	TS_PROBE_PG_EXECUTE_START = 18, /* query (text), from debug_query_string */
	TS_PROBE_PG_EXECUTE_DONE = 19,
	/* The next two only in recordings of before executions brought their query. */
	TS_PROBE_PG_STATEMENT_STATUS = 20, /* query (text) */
	TS_PROBE_PG_TRANSACTION_START = 21, /* local transaction id */
	TS_PROBE_PG_TRANSACTION_COMMIT = 22,
	TS_PROBE_PG_TRANSACTION_ABORT = 23,
	TS_PROBE_PG_LOCK_WAIT_START = 24, /* LOCKTAG fields 1-4, type, mode */
	TS_PROBE_PG_LOCK_WAIT_DONE = 25,
	TS_PROBE_PG_SORT_START = 26,
	TS_PROBE_PG_SORT_DONE = 27,
	TS_PROBE_PG_LWLOCK_WAIT_START = 28, /* tranche (text), mode */
	TS_PROBE_PG_LWLOCK_WAIT_DONE = 29,
	TS_PROBE_PG_SMGR_READ_START = 30, /* fork, block, tablespace, database, relation file */
	TS_PROBE_PG_SMGR_READ_DONE = 31,  /* the same, and bytes read in the sixth */
	TS_PROBE_PG_WAL_FLUSH_START = 32, /* XLogFlush: no USDT, a uprobe on the function */
	TS_PROBE_PG_WAL_FLUSH_DONE = 33,
	TS_PROBE_PG_MODIFY_START = 34, /* ExecInitModifyTable returns: INSERT, UPDATE, DELETE, MERGE */
	TS_PROBE_PG_MODIFY_DONE = 35,  /* AfterTriggerEndQuery returns */
	TS_PROBE_COUNT = 36,
};

struct ts_head {
	ts_u16 kind;
	ts_u16 len;
	ts_u32 cpu;
	ts_u64 ts;
};

/* A TCP socket of a traced process is established (or was found open).
 * Addresses are in network order, IPv4 in the first 4 bytes; ports in the host's. */
struct ts_socket {
	struct ts_head head;
	ts_u64 cookie;
	ts_u64 start_ts; /* SYN sent; 0: not seen (accepted, or found) */
	ts_u32 pid;      /* 0: not known in this context */
	ts_u32 send_seq; /* next to be written */
	ts_u32 recv_seq; /* next to be read */
	ts_u32 netns;    /* inode number */
	ts_u16 family;   /* AF_INET 2, AF_INET6 10 */
	ts_u16 local_port;
	ts_u16 peer_port;
	ts_u8 role;
	ts_u8 pad;
	ts_u8 local_addr[16];
	ts_u8 peer_addr[16];
};

/* Bytes [seq, seq + sent) were accepted; head_len captured bytes follow. Those
 * before transmit_seq had left for the device by the call's exit; of what left
 * later a TRANSMIT tells. */
struct ts_send {
	struct ts_head head;
	ts_u64 cookie;
	ts_u64 start_ts; /* entry of the call */
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 seq;
	ts_u32 sent;
	ts_u16 head_len;
	ts_u8 tail_len;
	ts_u8 protocol;
	ts_u32 transmit_seq; /* seq: nothing had left */
	ts_u64 transmit_ts;  /* when the last of them left; 0: nothing had */
	ts_u8 tail[TS_TAIL_MAX];
};

/* Bytes [seq, seq + taken) were read; taken 0: end of stream. The newest data
 * segment that had come in order by then, and that no record told of yet,
 * comes along; older ones are ARRIVE records before this one. */
struct ts_recv {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 seq;
	ts_u32 taken;
	ts_u64 arrive_ts; /* 0: none */
	ts_u32 arrive_seq;
	ts_u32 arrive_end_seq;
	ts_u8 arrive_late; /* as ts_arrive.late */
	ts_u8 pad[7];
};

/* A data segment came. `late`: the socket was owned by its reader. */
struct ts_arrive {
	struct ts_head head;
	ts_u64 cookie;
	ts_u64 arrive_ts; /* the record may be made later than that */
	ts_u32 seq;
	ts_u32 end_seq;
	ts_u32 rcv_nxt;
	ts_u8 late;
	ts_u8 pad[3];
};

/* Bytes [seq, end_seq) left for the device for the first time, after their call's exit. */
struct ts_transmit {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 seq;
	ts_u32 end_seq;
};

/* A packet of bytes [seq, end_seq) was dropped on its sender's host before any of them had left. */
struct ts_dropped {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 seq;
	ts_u32 end_seq;
};

/* An established connection was handed to the process that listens: accept(2) returned. */
struct ts_accepted {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 pid;
	ts_u32 tid;
};

/* Bytes [seq, end_seq) were sent again; a FIN alone has none. */
struct ts_retransmit {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 seq;
	ts_u32 end_seq;
	ts_u32 segments; /* as tcpi_total_retrans counts them */
	ts_u32 pad;
};

/* A socket is gone, with tcp_info's totals. */
struct ts_close {
	struct ts_head head;
	ts_u64 cookie;
	ts_u64 bytes_sent;
	ts_u64 bytes_retrans;
	ts_u64 bytes_received;
	ts_u32 total_retrans;
	ts_u32 pad;
};

/* A probe fired; text_len[0] + text_len[1] bytes follow, without NULs. */
struct ts_usdt {
	struct ts_head head;
	ts_u32 pid;
	ts_u32 tid;
	ts_u16 probe;
	ts_u16 text_len[2];
	ts_u16 pad;
	ts_u64 args[6];
};

struct ts_process {
	struct ts_head head;
	ts_u32 pid;
	ts_u32 parent;
	ts_u32 service; /* index in the header's list of services */
	ts_u8 change;
	ts_u8 pad[3];
	ts_u8 comm[TS_COMM_LEN];
};

/* Of ts_switch: why the thread left its CPU. */
enum ts_off {
	TS_OFF_PREEMPTED = 0, /* still runnable */
	TS_OFF_SLEEPING = 1,  /* interruptible */
	TS_OFF_BLOCKED = 2,   /* uninterruptible: disk, page, a lock of the kernel's */
	TS_OFF_OTHER = 3,     /* stopped, traced */
};

/* No system call: a page fault, an interrupt. */
#define TS_NO_SYSCALL 0xffffffff

/* A traced thread is back on a CPU (head.ts): off it since off_ts, woken at wake_ts. */
struct ts_switch {
	struct ts_head head;
	ts_u64 off_ts;  /* 0: not seen; the thread is new */
	ts_u64 wake_ts; /* 0: it was never asleep, or that was not seen */
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 syscall;    /* in which it went off: its number, or TS_NO_SYSCALL */
	ts_u32 wait_event; /* PostgreSQL's, at off_ts; 0: none */
	/* What had that CPU for the longest time of all that ran there while the thread was runnable: */
	ts_u64 prev_since_ts; /* since when */
	ts_u32 prev_pid; /* 0: the CPU was idle */
	ts_u32 prev_tid;
	ts_u8 prev_comm[TS_COMM_LEN];
	ts_u8 off; /* ts_off */
	ts_u8 gap; /* 1: returns between the last one told and this one were left out by sampling */
	ts_u8 throttled; /* 1: when it began to wait for a CPU, its cgroup had used its quota up */
	ts_u8 unseen; /* 1: it had come back to a CPU before off_ts, and no program ran then */
	ts_u32 prev_ended_ns; /* how long before head.ts; 0: it ran until then */
};

enum ts_file_op {
	TS_FILE_READ = 1,
	TS_FILE_WRITE = 2,
	TS_FILE_SYNC = 3,
	TS_FILE_OPEN = 4,
};

/* A traced process's call on a regular file returned (head.ts). */
struct ts_file {
	struct ts_head head;
	ts_u64 start_ts;
	ts_u64 ino;
	long long result; /* bytes, 0, or -errno */
	long long offset; /* -1: not known */
	ts_u32 dev;   /* the kernel's dev_t; 0 with ino 0: not known */
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 stack; /* of the STACK record; 0: none */
	ts_u8 op;
	ts_u8 pad[7];
};

/* Before a file's first FILE record: its name, from the leaf up to the root,
 * each component ended by a NUL, text_len bytes in all. */
struct ts_file_name {
	struct ts_head head;
	ts_u64 ino;
	ts_u32 dev;
	ts_u16 text_len;
	ts_u8 cut; /* the components nearest to the root are missing */
	ts_u8 pad;
};

enum ts_block_op {
	TS_BLOCK_READ = 0,
	TS_BLOCK_WRITE = 1,
	TS_BLOCK_FLUSH = 2,
	TS_BLOCK_OTHER = 3,
};

/* A request that a traced thread gave to a block device is done (head.ts). */
struct ts_block {
	struct ts_head head;
	ts_u64 issue_ts;
	ts_u64 sector;
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 dev;
	ts_u32 bytes;
	ts_u32 error; /* 0: none; else the block layer's status */
	ts_u8 op;
	ts_u8 pad[3];
};

/* Buffers that a PostgreSQL backend looked up since its last such record, at the end of an execution. */
struct ts_buffers {
	struct ts_head head;
	ts_u32 pid;
	ts_u32 tid;
	ts_u32 hits;
	ts_u32 reads;
};

/* User stack `stack`, innermost frame first: text_len bytes, a line per frame. */
struct ts_stack {
	struct ts_head head;
	ts_u32 stack;
	ts_u16 text_len;
	ts_u16 pad;
};

/* Bytes [seq, end_seq), written by this socket, belong to requests that the sample leaves out. */
struct ts_skipped {
	struct ts_head head;
	ts_u64 cookie;
	ts_u32 seq;
	ts_u32 end_seq;
};

/* From here on the thread works for something that the sample leaves out. */
struct ts_turned {
	struct ts_head head;
	ts_u32 pid;
	ts_u32 tid;
};

struct ts_loss {
	struct ts_head head;
	ts_u32 program;
	ts_u32 on_cpu;
	ts_u64 count; /* since the last such record */
	ts_u64 first_ts;
	ts_u64 last_ts;
};

struct ts_filtered {
	struct ts_head head;
	ts_u32 reason;
	ts_u32 pad;
	ts_u64 count; /* since the last such record, all CPUs */
};

/* What is known of a traced process, by its tgid. */
struct ts_traced {
	ts_u64 wait_event; /* address of PostgreSQL's my_wait_event_info; 0: no such process */
	ts_u32 service;
	ts_u32 stacks; /* 1: its calls on files are told with its user stack */
	ts_u64 buffer_usage; /* address of PostgreSQL's pgBufferUsage; 0: no such process */
	ts_u64 query; /* address of PostgreSQL's debug_query_string; 0: no such process */
};

/* Counters of one program on one CPU, in a per-CPU array indexed by program. */
struct ts_program_counters {
	ts_u64 delivered;
	ts_u64 lost;
	ts_u64 lost_first_ts;
	ts_u64 lost_last_ts;
};

/* Where one USDT argument is, parsed in user space from the ELF note. */
enum ts_arg_kind {
	TS_ARG_NONE = 0,
	TS_ARG_CONST = 1, /* value */
	TS_ARG_REG = 2,   /* the register at reg_offset of pt_regs */
	TS_ARG_MEM = 3,   /* user memory at that register + value */
	TS_ARG_MEM_INDEXED = 4, /* … + the register at index_offset × scale */
};

struct ts_arg {
	long long value;
	ts_u16 reg_offset;
	ts_u16 index_offset;
	ts_u8 scale;
	ts_u8 kind;
	ts_u8 size; /* 1, 2, 4 or 8 */
	ts_u8 is_signed;
};

/* One probe location, in an array map; the attachment's cookie is its index. */
struct ts_usdt_spec {
	ts_u16 probe;
	ts_u8 arg_count;
	ts_u8 text_mask; /* bit i: argument i is a string; at most two */
	ts_u32 pad;
	struct ts_arg args[6];
};

#endif
