#include "proto/wire/http1.h"

#include <string.h>

/* RFC 9110 §5.6.2: letters, digits and !#$%&'*+-.^_`|~, a bit each of the 128 characters */
static bool is_token(struct str s)
{
    static const uint64_t token[2] = {0x03FF6CFA00000000ull, 0x57FFFFFFC7FFFFFEull};
    uint64_t bad = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bad |= c >> 7 | (~(token[c >> 6 & 1] >> (c & 63)) & 1);
    }
    return s.n > 0 && bad == 0;
}

static bool is_field_value(struct str s)
{
    bool bad = false;
    for (size_t i = 0; i < s.n; i++) { /* no early end: nearly all values are good */
        unsigned char c = (unsigned char)s.p[i];
        bad |= (c < 0x20 && c != '\t') || c == 0x7F;
    }
    return !bad;
}

/* RFC 9110 §15, RFC 6585, RFC 8470; 529 is Anthropic's, 499 is nginx's. */
static struct str reason_of(uint16_t status)
{
    switch (status) {
    case 100: return STR("Continue");
    case 200: return STR("OK");
    case 201: return STR("Created");
    case 202: return STR("Accepted");
    case 204: return STR("No Content");
    case 206: return STR("Partial Content");
    case 301: return STR("Moved Permanently");
    case 302: return STR("Found");
    case 303: return STR("See Other");
    case 304: return STR("Not Modified");
    case 307: return STR("Temporary Redirect");
    case 308: return STR("Permanent Redirect");
    case 400: return STR("Bad Request");
    case 401: return STR("Unauthorized");
    case 402: return STR("Payment Required");
    case 403: return STR("Forbidden");
    case 404: return STR("Not Found");
    case 405: return STR("Method Not Allowed");
    case 406: return STR("Not Acceptable");
    case 408: return STR("Request Timeout");
    case 409: return STR("Conflict");
    case 410: return STR("Gone");
    case 411: return STR("Length Required");
    case 413: return STR("Content Too Large");
    case 414: return STR("URI Too Long");
    case 415: return STR("Unsupported Media Type");
    case 416: return STR("Range Not Satisfiable");
    case 417: return STR("Expectation Failed");
    case 421: return STR("Misdirected Request");
    case 422: return STR("Unprocessable Content");
    case 424: return STR("Failed Dependency");
    case 425: return STR("Too Early");
    case 426: return STR("Upgrade Required");
    case 429: return STR("Too Many Requests");
    case 431: return STR("Request Header Fields Too Large");
    case 499: return STR("Client Closed Request");
    case 500: return STR("Internal Server Error");
    case 501: return STR("Not Implemented");
    case 502: return STR("Bad Gateway");
    case 503: return STR("Service Unavailable");
    case 504: return STR("Gateway Timeout");
    case 505: return STR("HTTP Version Not Supported");
    case 529: return STR("Overloaded");
    default: return STR("");
    }
}

void http1_write_request_line(struct buf *out, struct str method, struct str target)
{
    buf_add(out, method);
    buf_addc(out, ' ');
    buf_add(out, target);
    buf_add(out, STR(" HTTP/1.1\r\n"));
}

void http1_write_status_line(struct buf *out, uint16_t status)
{
    buf_add(out, STR("HTTP/1.1 "));
    buf_add_u64(out, status);
    buf_addc(out, ' ');
    buf_add(out, reason_of(status));
    buf_add(out, STR("\r\n"));
}

static void write_header(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, STR(": "));
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

bool http1_write_header(struct buf *out, struct str name, struct str value)
{
    if (!is_token(name) || !is_field_value(value)) return false;
    write_header(out, name, value);
    return true;
}

void http1_write_header_u64(struct buf *out, const char *name, uint64_t value)
{
    buf_addz(out, name);
    buf_add(out, STR(": "));
    buf_add_u64(out, value);
    buf_add(out, STR("\r\n"));
}

void http1_write_end(struct buf *out)
{
    buf_add(out, STR("\r\n"));
}

void http1_write_chunk_head(struct buf *out, size_t n)
{
    char digits[2 * sizeof n + 2];
    size_t at = sizeof digits;
    digits[--at] = '\n';
    digits[--at] = '\r';
    do {
        digits[--at] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n > 0);
    buf_add(out, (struct str){digits + at, sizeof digits - at});
}

struct str http1_find(const struct http1_head *head, struct str name)
{
    for (unsigned i = 0; i < head->n; i++)
        if (head->header[i].name.n == name.n && str_ieq(head->header[i].name, name)) return head->header[i].value;
    return STR_NULL;
}

bool http1_is_hop_by_hop(const struct http1_head *head, struct str name)
{
    if (str_iis(name, "connection") || str_iis(name, "keep-alive") || str_iis(name, "proxy-connection") ||
        str_iis(name, "proxy-authenticate") || str_iis(name, "proxy-authorization") || str_iis(name, "te") ||
        str_iis(name, "trailer") || str_iis(name, "upgrade") || str_iis(name, "transfer-encoding") ||
        str_iis(name, "http2-settings"))
        return true;
    for (unsigned i = 0; i < head->n; i++) {
        if (!str_iis(head->header[i].name, "connection")) continue;
        struct str list = head->header[i].value;
        while (list.n > 0)
            if (str_ieq(str_trim(str_split(&list, ',')), name)) return true;
    }
    return false;
}
