/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What a connection speaks, told by the first bytes of a send and by nothing else. */
#ifndef TIERSCOPE_PROTOCOL_H
#define TIERSCOPE_PROTOCOL_H

/* Sends that are asked before a socket stays unknown. */
#define MAX_JUDGED 16
/* Bytes the tests below look at; what was not captured reads as 0. */
#define JUDGED_BYTES 20
/* No message that begins a conversation is longer (its first length byte is 0,
 * which no text protocol has in its second place). */
#define PG_LONGEST (1 << 24)

static __always_inline u32 be32(const u8 *b)
{
	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

static __always_inline bool upper(u8 c)
{
	return c >= 'A' && c <= 'Z';
}

/* "HTTP/1.", or a method, a space and a target: "/…", "*" or "http…". */
static __always_inline bool is_http(const u8 *b)
{
	if (be32(b) == 0x48545450 && b[4] == '/' && b[5] == '1' && b[6] == '.')
		return true;
	for (int i = 0; i < JUDGED_BYTES - 2; i++) {
		if (b[i] == ' ')
			return i && (b[i + 1] == '/' || b[i + 1] == '*' || b[i + 1] == 'h');
		if (!upper(b[i]) && b[i] != '-')
			return false;
	}
	return false;
}

/* A start-up packet 3.x or one of the requests that may precede it (cancel, TLS, GSS). */
static __always_inline bool is_pg_startup(const u8 *b)
{
	u32 len = be32(b), code = be32(b + 4);

	return len >= 8 && len <= 10000 && (code >> 16 == 3 || (code >= 80877102 && code <= 80877104));
}

/* Only tags that the other end never uses: Parse, Bind, Query, and a bare Sync. */
static __always_inline bool is_pg_frontend(const u8 *b)
{
	u32 len = be32(b + 1);

	if (b[0] == 'S')
		return len == 4;
	return (b[0] == 'P' || b[0] == 'B' || b[0] == 'Q') && len > 4 && len < PG_LONGEST;
}

/* Likewise: Authentication, Parse-, Bind-, CloseComplete, RowDescription,
 * ReadyForQuery, and CommandComplete, told from a frontend's Close by its words. */
static __always_inline bool is_pg_backend(const u8 *b)
{
	u32 len = be32(b + 1);

	switch (b[0]) {
	case '1':
	case '2':
	case '3':
		return len == 4;
	case 'Z':
		return len == 5;
	case 'R':
	case 'T':
		return len > 4 && len < PG_LONGEST;
	case 'C':
		return len > 7 && len < 80 && upper(b[5]) && upper(b[6]) && upper(b[7]);
	}
	return false;
}

struct opening {
	u8 bytes[JUDGED_BYTES];
};

/* Not static: the verifier then proves it once, alone, and not on every path to it. */
__noinline int judge(const struct opening *opening)
{
	const u8 *b;

	if (!opening)
		return TS_PROTOCOL_UNKNOWN;
	b = opening->bytes;
	if (is_http(b))
		return TS_PROTOCOL_HTTP;
	if (is_pg_startup(b) || is_pg_frontend(b))
		return TS_PROTOCOL_PG_FRONTEND;
	if (is_pg_backend(b))
		return TS_PROTOCOL_PG_BACKEND;
	return TS_PROTOCOL_UNKNOWN;
}

#endif
