#include "proto/base/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct str bytes, const char *digits, bool padded, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    char *to = buf_reserve(out, bytes.n / 3 * 4 + 4), *start = to;
    size_t n = bytes.n;
    for (; n >= 3; n -= 3, p += 3) {
        *to++ = digits[p[0] >> 2];
        *to++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = digits[p[2] & 63];
    }
    if (n > 0) {
        *to++ = digits[p[0] >> 2];
        *to++ = digits[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
        if (n == 2) *to++ = digits[(p[1] & 15) << 2];
        if (padded && n == 1) *to++ = '=';
        if (padded) *to++ = '=';
    }
    buf_commit(out, (size_t)(to - start));
}

void base64_encode(struct str bytes, struct buf *out)
{
    encode(bytes, standard, true, out);
}

void base64_encode_url(struct str bytes, struct buf *out)
{
    encode(bytes, for_urls, false, out);
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

bool base64_decode(struct str text, struct buf *out)
{
    size_t before = buf_len(out), padding = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    while (padding < 2 && text.n > 0 && text.p[text.n - 1] == '=') {
        text.n--;
        padding++;
    }
    bool sound = text.n % 4 != 1 && (padding == 0 || (text.n + padding) % 4 == 0);
    for (size_t i = 0; sound && i < text.n; i++) {
        int value = digit_value(text.p[i]);
        sound = value >= 0;
        if (!sound) break;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        buf_addc(out, (char)(bits >> have & 0xff));
    }
    if (sound && (bits & ((1u << have) - 1)) == 0) return true;
    buf_truncate(out, before);
    return false;
}
