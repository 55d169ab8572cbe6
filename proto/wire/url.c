#include "proto/wire/url.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAX_HOST_BYTES = 253, MAX_LABEL_BYTES = 63 }; /* RFC 1035 §2.3.4 */

static bool refuse(const char *text, const char **ret_why)
{
    *ret_why = text;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* -1 for what is no hexadecimal digit */
static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- Addresses ---- */

/* Four decimal numbers, nothing else: no octal, hexadecimal, short or overlong form that some resolver would read in its own way. */
static bool parse_v4(struct str s, uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        struct str part = str_split(&s, '.');
        uint64_t v;
        if (part.n == 0 || part.n > 3 || (part.n > 1 && part.p[0] == '0') || !str_u64(part, &v) || v > 255)
            return false;
        if (i < 3 && s.p == NULL) return false;
        ip[i] = (uint8_t)v;
    }
    return s.p == NULL;
}

static bool parse_v6(struct str s, uint8_t ip[16])
{
    char text[INET6_ADDRSTRLEN];
    if (s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, ip) == 1;
}

bool url_parse_ip(struct str host, int *ret_family, uint8_t ret_ip[16])
{
    uint8_t ip[16] = {0};
    if (host.n == 0) return false;
    bool v6 = str_chr(host, ':') >= 0;
    if (v6 ? !parse_v6(host, ip) : !parse_v4(host, ip)) return false;
    *ret_family = v6 ? 6 : 4;
    memcpy(ret_ip, ip, sizeof ip);
    return true;
}

struct block {
    uint8_t ip[16];
    uint8_t bits;
};

static bool is_in(const uint8_t *ip, const struct block *b, size_t n)
{
    for (; n > 0; b++, n--) {
        size_t whole = b->bits / 8;
        unsigned rest = b->bits % 8;
        if (memcmp(ip, b->ip, whole) != 0) continue;
        if (rest == 0 || (ip[whole] >> (8 - rest)) == (b->ip[whole] >> (8 - rest))) return true;
    }
    return false;
}

/* IANA IPv4 and IPv6 Special-Purpose Address Registries, every row that is not globally reachable, and multicast. */
static bool is_private_v4(const uint8_t *ip)
{
    static const struct block blocks[] = {
        {{0}, 8},             /* this network */
        {{10}, 8},            /* private */
        {{100, 64}, 10},      /* carrier-grade NAT */
        {{127}, 8},           /* loopback */
        {{169, 254}, 16},     /* link-local, cloud metadata */
        {{172, 16}, 12},      /* private */
        {{192, 0, 0}, 24},    /* protocol assignments */
        {{192, 0, 2}, 24},    /* documentation */
        {{192, 88, 99}, 24},  /* 6to4 relays, given up */
        {{192, 168}, 16},     /* private */
        {{198, 18}, 15},      /* benchmarks */
        {{198, 51, 100}, 24}, /* documentation */
        {{203, 0, 113}, 24},  /* documentation */
        {{224}, 4},           /* multicast */
        {{240}, 4},           /* reserved, broadcast */
    };
    return is_in(ip, blocks, sizeof blocks / sizeof blocks[0]);
}

static bool is_private_v6(const uint8_t *ip)
{
    static const struct block blocks[] = {
        {{0}, 96},                            /* unspecified, loopback, IPv4-compatible */
        {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* NAT64 for local use */
        {{0x01}, 64},                         /* discard-only */
        {{0x20, 0x01, 0x00, 0x02}, 48},       /* benchmarks */
        {{0x20, 0x01, 0x00, 0x10}, 28},       /* ORCHID */
        {{0x20, 0x01, 0x00, 0x20}, 28},       /* ORCHIDv2 */
        {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
        {{0x3f, 0xff}, 20},                   /* documentation */
        {{0x5f}, 16},                         /* segment routing */
        {{0xfc}, 7},                          /* unique local */
        {{0xfe, 0x80}, 10},                   /* link-local */
        {{0xfe, 0xc0}, 10},                   /* site-local, given up */
        {{0xff}, 8},                          /* multicast */
    };
    return is_in(ip, blocks, sizeof blocks / sizeof blocks[0]);
}

/* IPv6 forms that carry an IPv4 address and lead to it: where it stands in them, 0 for none. */
static size_t embedded_v4_at(const uint8_t *ip)
{
    static const struct block mapped[] = {{{[10] = 0xff, [11] = 0xff}, 96}, {{[8] = 0xff, [9] = 0xff}, 96}};
    static const struct block nat64[] = {{{0x00, 0x64, 0xff, 0x9b}, 96}};
    static const struct block six_to_four[] = {{{0x20, 0x02}, 16}};
    if (is_in(ip, mapped, 2) || is_in(ip, nat64, 1)) return 12;
    return is_in(ip, six_to_four, 1) ? 2 : 0;
}

bool url_address_is_private(int family, const uint8_t ip[16])
{
    static const struct block teredo[] = {{{0x20, 0x01, 0, 0}, 32}};
    if (family == 4) return is_private_v4(ip);
    size_t at = embedded_v4_at(ip);
    if (at > 0) return is_private_v4(ip + at);
    return is_private_v6(ip) || is_in(ip, teredo, 1); /* Teredo leads to any IPv4 address through a relay */
}

bool url_address_is_link_local(int family, const uint8_t ip[16])
{
    static const struct block v4[] = {{{169, 254}, 16}}, v6[] = {{{0xfe, 0x80}, 10}};
    static const struct block aws[] = {{{0xfd, 0x00, 0x0e, 0xc2}, 32}};
    if (family == 4) return is_in(ip, v4, 1);
    size_t at = embedded_v4_at(ip);
    return at > 0 ? is_in(ip + at, v4, 1) : is_in(ip, v6, 1) || is_in(ip, aws, 1);
}

/* ---- Authorities ---- */

/* A name that ends in a number is an address to some resolvers ("127.1", "0x7f000001", "2130706433"): WHATWG URL, "ends in a number". */
static bool ends_in_number(struct str host)
{
    ptrdiff_t dot = str_rchr(host, '.');
    struct str last = str_slice(host, (size_t)(dot + 1), host.n);
    if (last.n > 1 && last.p[0] == '0' && (last.p[1] | 0x20) == 'x') {
        for (size_t i = 2; i < last.n; i++)
            if (!is_digit(last.p[i]) && ((last.p[i] | 0x20) < 'a' || (last.p[i] | 0x20) > 'f')) return false;
        return true;
    }
    for (size_t i = 0; i < last.n; i++)
        if (!is_digit(last.p[i])) return false;
    return true;
}

static bool check_name(struct str host, const char **ret_why)
{
    struct str rest = host;
    if (host.n > 0 && host.p[host.n - 1] == '.') /* the root, spelled out */
        rest = host = str_slice(host, 0, host.n - 1);
    if (host.n == 0) return refuse("the host is empty", ret_why);
    if (host.n > MAX_HOST_BYTES) return refuse("the host name is too long", ret_why);
    do {
        struct str label = str_split(&rest, '.');
        if (label.n == 0 || label.n > MAX_LABEL_BYTES)
            return refuse("a part of the host name is empty or too long", ret_why);
        for (size_t i = 0; i < label.n; i++) {
            char c = label.p[i];
            if (!is_digit(c) && !is_letter(c) && c != '-' && c != '_')
                return refuse("the host has a character that host names do not have", ret_why);
        }
    } while (rest.p != NULL);
    if (ends_in_number(host)) return refuse("the host is a number but no IPv4 address of four decimal parts", ret_why);
    return true;
}

static bool check_host(struct str host, bool bracketed, const char **ret_why)
{
    int family;
    uint8_t ip[16];
    bool is_ip = url_parse_ip(host, &family, ip);
    if (bracketed) return is_ip && family == 6 ? true : refuse("what stands in brackets is no IPv6 address", ret_why);
    if (is_ip && family == 4) return true;
    return check_name(host, ret_why);
}

static bool parse_port(struct str s, uint16_t *ret_port, const char **ret_why)
{
    uint64_t v;
    if (!str_u64(s, &v) || v == 0 || v > UINT16_MAX || s.n > 5)
        return refuse("the port is not a number from 1 to 65535", ret_why);
    *ret_port = (uint16_t)v;
    return true;
}

bool url_parse_authority(struct str text, struct str *ret_host, uint16_t *ret_port, const char **ret_why)
{
    uint16_t port = 0;
    struct str host;
    bool bracketed = text.n > 0 && text.p[0] == '[';
    if (str_chr(text, '@') >= 0) return refuse("user info in front of the host", ret_why);
    ptrdiff_t end = bracketed ? str_chr(text, ']') : str_chr(text, ':');
    if (bracketed && end < 0) return refuse("an opening bracket without a closing one", ret_why);
    host = bracketed ? str_slice(text, 1, (size_t)end) : end < 0 ? text : str_slice(text, 0, (size_t)end);
    struct str rest = end < 0 ? STR_NULL : str_slice(text, (size_t)end + bracketed, text.n);
    if (rest.n > 0) {
        if (rest.p[0] != ':') return refuse("something stands behind the closing bracket", ret_why);
        if (!parse_port(str_slice(rest, 1, rest.n), &port, ret_why)) return false;
    }
    if (!check_host(host, bracketed, ret_why)) return false;
    *ret_host = host;
    *ret_port = port;
    return true;
}

/* ---- Base URLs ---- */

static bool check_path(struct str path, const char **ret_why)
{
    struct str rest = path;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (strchr("\"<>^`{|}", c) != NULL)
            return refuse("the path has a character that must be percent-encoded", ret_why);
    }
    while (rest.n > 0) {
        struct str part = str_split(&rest, '/');
        if (str_is(part, ".") || str_is(part, "..") || str_icontains(part, STR("%2e")))
            return refuse("the path has a dot segment", ret_why);
        for (size_t i = 0; i < part.n; i++)
            if (part.p[i] == '%' && (part.n - i < 3 || hex_value(part.p[i + 1]) < 0 || hex_value(part.p[i + 2]) < 0))
                return refuse("the path has a broken percent escape", ret_why);
    }
    return true;
}

static bool check_bytes(struct str text, const char **ret_why)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= 0x20 || c == 0x7F) return refuse("white space or a control character", ret_why);
        if (c > 0x7F) return refuse("a character that is not ASCII", ret_why);
        if (c == '\\') return refuse("a backslash", ret_why);
        if (c == '#') return refuse("a fragment", ret_why);
        if (c == '?') return refuse("a query", ret_why);
    }
    return true;
}

bool url_parse(struct str text, struct url *ret_url, const char **ret_why)
{
    struct url u = {0};
    if (!check_bytes(text, ret_why)) return false;
    u.tls = str_iis(str_slice(text, 0, 8), "https://");
    if (!u.tls && !str_iis(str_slice(text, 0, 7), "http://"))
        return refuse("it does not begin with https:// or http://", ret_why);
    struct str rest = str_slice(text, u.tls ? 8 : 7, text.n);
    ptrdiff_t slash = str_chr(rest, '/');
    struct str authority = slash < 0 ? rest : str_slice(rest, 0, (size_t)slash);
    if (!url_parse_authority(authority, &u.host, &u.port, ret_why)) return false;
    u.explicit_port = u.port != 0;
    if (!u.explicit_port) u.port = u.tls ? 443 : 80;
    u.path = slash < 0 ? STR_NULL : str_slice(rest, (size_t)slash, rest.n);
    if (!check_path(u.path, ret_why)) return false;
    while (u.path.n > 0 && u.path.p[u.path.n - 1] == '/') u.path.n--;
    int family;
    uint8_t ip[16];
    u.is_ip = url_parse_ip(u.host, &family, ip);
    *ret_url = u;
    return true;
}

/* ---- Escapes ---- */

bool url_percent_decode(struct str text, struct buf *out)
{
    size_t before = buf_len(out);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = text.n - i > 2 ? hex_value(text.p[i + 1]) : -1;
            int low = text.n - i > 2 ? hex_value(text.p[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                buf_truncate(out, before);
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        buf_addc(out, c);
    }
    return true;
}

bool url_is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void url_percent_encode(struct str text, const char *keep, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (url_is_unreserved(c) || (c != '\0' && strchr(keep, c) != NULL)) {
            buf_addc(out, c);
        } else {
            char escaped[3] = {'%', digits[(unsigned char)c >> 4], digits[(unsigned char)c & 15]};
            buf_add(out, (struct str){escaped, 3});
        }
    }
}
