// SPDX-License-Identifier: MIT OR GPL-2.0
/* Every probe family in one object, so that they share their maps. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "events.h"
#include "bound.h"
#include "maps.h"
#include "emit.h"
#include "sample.h"
#include "thread.h"
#include "runner.h"
#include "worker.h"
#include "buffers.h"
#include "descriptor.h"
#include "file.h"
#include "segment.h"
#include "talk.h"
#include "socket.h"
#include "hold.h"
#include "arrivals.h"
#include "transmit.h"
#include "protocol.h"
#include "gather.h"

#include "socket_state.bpf.c"
#include "send.bpf.c"
#include "recv.bpf.c"
#include "transmit.bpf.c"
#include "dropped.bpf.c"
#include "arrive.bpf.c"
#include "retransmit.bpf.c"
#include "accept.bpf.c"
#include "usdt.bpf.c"
#include "file.bpf.c"
#include "block.bpf.c"
#include "sched.bpf.c"
#include "process.bpf.c"
#include "walk.bpf.c"
#include "trampoline.bpf.c"
#include "file_trampoline.bpf.c"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
