#include "proto/base/str.h"

#include <string.h>

struct str str_of(const char *cstr)
{
    return cstr == NULL ? STR_NULL : (struct str){cstr, strlen(cstr)};
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.n) to = s.n;
    if (from > to) from = to;
    return s.p == NULL ? STR_NULL : (struct str){s.p + from, to - from};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[0])) s = (struct str){s.p + 1, s.n - 1};
    while (s.n > 0 && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

bool str_is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_blank(s.p[i]) && s.p[i] != '\r' && s.p[i] != '\n') return false;
    return true;
}

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

/* Eight bytes at once: the same but for bit 0x20, and that differs in ASCII letters only. */
static bool are_same_letters(const char *a, const char *b)
{
    const uint64_t top = 0x8080808080808080ull, bit = 0x2020202020202020ull;
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    uint64_t differs = x ^ y, low = (x | bit) & ~top;
    if (differs == 0) return true;
    if ((differs & ~bit) != 0) return false;
    uint64_t from_a = low + 0x1F1F1F1F1F1F1F1Full,
             beyond_z = low + 0x0505050505050505ull; /* 'a' and '{' reach the top bit */
    return (differs << 2 & ~(from_a & ~beyond_z & ~x)) == 0;
}

bool str_ieq_bytes(const char *a, const char *b, size_t n)
{
    if (n >= 8) { /* the last eight bytes overlap those before them */
        for (size_t i = 0; i + 8 < n; i += 8)
            if (!are_same_letters(a + i, b + i)) return false;
        return are_same_letters(a + n - 8, b + n - 8);
    }
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_slice(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_slice(s, s.n - suffix.n, s.n), suffix);
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0) return 0;
    if (s.n < needle.n) return -1;
    const char *at = memmem(s.p, s.n, needle.p, needle.n);
    return at == NULL ? -1 : at - s.p;
}

bool str_contains(struct str s, struct str needle)
{
    return str_find(s, needle) >= 0;
}

bool str_icontains(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++)
        if (str_ieq(str_slice(s, i, i + needle.n), needle)) return true;
    return needle.n == 0;
}

ptrdiff_t str_chr(struct str s, char c)
{
    const char *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
    return at == NULL ? -1 : at - s.p;
}

ptrdiff_t str_rchr(struct str s, char c)
{
    const char *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);
    return at == NULL ? -1 : at - s.p;
}

struct str str_split(struct str *s, char sep)
{
    ptrdiff_t at = str_chr(*s, sep);
    struct str head = at < 0 ? *s : str_slice(*s, 0, (size_t)at);
    *s = at < 0 ? STR_NULL : str_slice(*s, (size_t)at + 1, s->n);
    return head;
}

bool str_u64(struct str s, uint64_t *ret_value)
{
    uint64_t v = 0;
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return false;
        if (__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return false;
    }
    *ret_value = v;
    return true;
}

bool str_i64(struct str s, int64_t *ret_value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t v;
    if (!str_u64(str_slice(s, negative ? 1 : 0, s.n), &v) || v > (uint64_t)INT64_MAX + negative) return false;
    *ret_value = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_glob(struct str pattern, struct str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.n && pattern.p[p] == s.p[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) { /* let the last star take one more character */
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

bool str_ct_eq(struct str a, struct str b)
{
    if (a.n != b.n) return false;
    unsigned char diff = 0;
    for (size_t i = 0; i < a.n; i++) diff = (unsigned char)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned str_distance(struct str a, struct str b, unsigned max)
{
    enum { MOST = 64 };
    unsigned row[MOST + 1];
    if (a.n > MOST || b.n > MOST) return max + 1;
    for (unsigned j = 0; j <= b.n; j++) row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (lower(a.p[i - 1]) != lower(b.p[j - 1])));
            diagonal = above;
        }
    }
    return row[b.n] > max ? max + 1 : row[b.n];
}

uint64_t str_hash(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++) h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001B3);
    return h;
}
