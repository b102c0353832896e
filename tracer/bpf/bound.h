/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A number that was checked, so that every verifier sees that it was. */
#ifndef TIERSCOPE_BOUND_H
#define TIERSCOPE_BOUND_H

/* `x`, which is below `limit`, a power of two. 6.1's verifier keeps what a check says to the register that was
 * checked, and the compiler goes on with a copy of it, or with what was put aside on the stack. */
static __always_inline u32 bounded(u32 x, u32 limit)
{
	barrier_var(x);
	return x & (limit - 1);
}

#endif
