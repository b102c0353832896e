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

struct id_search {
	const struct text *text;
	u64 hi, lo;
	u32 at; /* the id's first digit; 0: not found */
	bool bad;
};

static __always_inline u64 lower(const u8 *b)
{
	return *(u64 *)b | 0x2020202020202020ULL;
}

static __always_inline bool names_id(const u8 *b)
{
	return lower(b) == 0x7365757165722d78ULL && lower(b + 4) == 0x64692d7473657571ULL &&
	       b[12] == ':' && b[13] == ' ';
}

/* 1 ends the search: at the id's line, or behind the last one. */
static long search_line(u32 i, struct id_search *search)
{
	const u8 *b;

	if (i >= ID_LAST)
		return 1;
	b = search->text->bytes + i;
	if (!b[0])
		return 1;
	if (b[0] != '\n')
		return 0;
	if (b[1] == '\r' || b[1] == '\n')
		return 1;
	if (!names_id(b + 1))
		return 0;
	search->at = i + 1 + ID_NAME;
	return 1;
}

static long read_digit(u32 i, struct id_search *search)
{
	u32 at = search->at + i;
	u64 digit;
	u8 c;

	if (at >= TS_HEAD_MAX)
		return 1;
	c = search->text->bytes[at];
	if (c >= '0' && c <= '9')
		digit = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (c | 0x20) - 'a' + 10;
	else
		search->bad = true;
	if (search->bad)
		return 1;
	search->hi = search->hi << 4 | search->lo >> 60;
	search->lo = search->lo << 4 | digit;
	return 0;
}

/* The verdict on the request whose head this is, or whose answer's. */
__noinline int verdict_in(const struct text *text)
{
	struct id_search search = {};

	if (!text)
		return UNDECIDED;
	search.text = text;
	bpf_loop(ID_LAST, search_line, &search, 0);
	if (!search.at)
		return UNDECIDED;
	bpf_loop(ID_DIGITS, read_digit, &search, 0);
	return search.bad ? UNDECIDED : verdict_of(search.hi, search.lo);
}

#endif
