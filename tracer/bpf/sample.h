/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Which requests are kept: told by the request's id alone, so that it is the same ones everywhere. */
#ifndef TIERSCOPE_SAMPLE_H
#define TIERSCOPE_SAMPLE_H

/* Requests whose mixed id is below this are kept; 0: all are. The loader sets it, and where it
 * is 0 the verifier takes out of the programs all that serves the sample. */
const volatile u64 sample_below = 0;

static __always_inline bool sampling(void)
{
	return sample_below != 0;
}

enum verdict {
	UNDECIDED = 0, /* the id is not known yet, or there is none */
	KEEP = 1,
	DROP = 2,
};

/* MurmurHash3's last step: every bit of `x` reaches every bit of the result. */
static __always_inline u64 spread(u64 x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

static __always_inline u32 verdict_of(u64 hi, u64 lo)
{
	return spread(spread(hi) ^ lo) < sample_below ? KEEP : DROP;
}

static __always_inline void count_sampled_out(void)
{
	count_filtered(TS_FILTER_SAMPLED_OUT);
}

/* A head as captured, ended by a NUL where it is shorter. */
struct text {
	u8 bytes[TS_HEAD_MAX];
};

#define ID_DIGITS 32
/* "X-Request-ID: ", in lower case. */
#define ID_NAME 14
#define ID_LAST (TS_HEAD_MAX - 1 - ID_NAME - ID_DIGITS)

static __always_inline u64 lower(const u8 *b)
{
	return *(u64 *)b | 0x2020202020202020ULL;
}

static __always_inline bool names_id(const u8 *b)
{
	return lower(b) == 0x7365757165722d78ULL && lower(b + 4) == 0x64692d7473657571ULL &&
	       b[12] == ':' && b[13] == ' ';
}

/* Where the id's first digit is; 0: not found. Not static: what it returns is any number to the verifier, which
 * would go on with each place by itself else. */
__noinline int find_id(const struct text *text)
{
	if (!text)
		return 0;
	for (u32 i = 0; i < ID_LAST; i++) {
		const u8 *b = text->bytes + i;

		if (!b[0])
			return 0;
		if (b[0] != '\n')
			continue;
		/* Behind the last line. */
		if (b[1] == '\r' || b[1] == '\n')
			return 0;
		if (names_id(b + 1))
			return i + 1 + ID_NAME;
	}
	return 0;
}

static __always_inline bool is_hex(u8 c)
{
	return (u8)(c - '0') < 10 || (u8)((c | 0x20) - 'a') < 6;
}

/* The verdict on the request whose head this is, or whose answer's. */
__noinline int verdict_in(const struct text *text)
{
	u64 hi = 0, lo = 0;
	u32 at;

	if (!text)
		return UNDECIDED;
	at = find_id(text);
	if (!at || at > TS_HEAD_MAX - ID_DIGITS)
		return UNDECIDED;
	for (u32 i = 0; i < ID_DIGITS; i++) {
		u8 c = text->bytes[bounded(at + i, TS_HEAD_MAX)];

		if (!is_hex(c))
			return UNDECIDED;
		hi = hi << 4 | lo >> 60;
		/* Letters, of either case, have bit 6. */
		lo = lo << 4 | ((c & 15) + (c >> 6) * 9);
	}
	return verdict_of(hi, lo);
}

#endif
