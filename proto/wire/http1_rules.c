#include "proto/wire/http1_rules.h"

#include "proto/wire/url.h"

#include <string.h>

/* ---- Start lines ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.0" or "HTTP/1.1", letter for letter. Another well-formed version has its own error. */
static enum weir_err read_version(struct str s, uint8_t *ret_minor, const char **ret_text)
{
    if (!str_starts(s, STR("HTTP/")) || s.n != 8 || !is_digit(s.p[5]) || s.p[6] != '.' || !is_digit(s.p[7])) {
        *ret_text = "no HTTP version in the start line";
        return WEIR_BAD_HTTP;
    }
    if (s.p[5] != '1' || s.p[7] > '1') {
        *ret_text = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return WEIR_HTTP_VERSION;
    }
    *ret_minor = (uint8_t)(s.p[7] - '0');
    return WEIR_OK;
}

static enum weir_err bad(const char *text, const char **ret_text)
{
    *ret_text = text;
    return WEIR_BAD_HTTP;
}

enum weir_err http1_rules_request_line(struct str line, struct http1_head *head, const char **ret_text)
{
    ptrdiff_t first = str_chr(line, ' ');
    ptrdiff_t last = str_rchr(line, ' ');
    if (first <= 0 || last <= first + 1) return bad("the request line is not: method, target, version", ret_text);
    head->method = str_slice(line, 0, (size_t)first);
    head->target = str_slice(line, (size_t)first + 1, (size_t)last);
    struct str version = str_slice(line, (size_t)last + 1, line.n);
    if (str_is(head->method, "PRI") && str_is(version, "HTTP/2.0"))
        return bad("HTTP/2 is not spoken here, HTTP/1.1 is", ret_text);
    enum weir_err e = read_version(version, &head->minor, ret_text);
    if (e != WEIR_OK) return e;
    if (str_chr(head->target, ' ') >= 0) return bad("a blank in the request target", ret_text);
    if (str_chr(head->target, '#') >= 0) return bad("a fragment in the request target", ret_text);
    if (str_is(head->method, "CONNECT") || str_is(head->method, "TRACE")) {
        *ret_text = "CONNECT and TRACE are not served";
        return WEIR_METHOD;
    }
    if (str_is(head->target, "*") && !str_is(head->method, "OPTIONS"))
        return bad("the target * is for OPTIONS only", ret_text);
    return WEIR_OK;
}

enum weir_err http1_rules_status_line(struct str line, struct http1_head *head, const char **ret_text)
{
    enum weir_err e = read_version(str_slice(line, 0, 8), &head->minor, ret_text);
    if (e != WEIR_OK) return e;
    struct str rest = str_slice(line, 8, line.n);
    if (rest.n < 4 || rest.p[0] != ' ' || !is_digit(rest.p[1]) || !is_digit(rest.p[2]) || !is_digit(rest.p[3]) ||
        (rest.n > 4 && rest.p[4] != ' '))
        return bad("the status is not three digits", ret_text);
    head->status = (uint16_t)((rest.p[1] - '0') * 100 + (rest.p[2] - '0') * 10 + (rest.p[3] - '0'));
    head->reason = str_slice(rest, 5, rest.n);
    if (head->status < 100) return bad("the status is below 100", ret_text);
    return WEIR_OK;
}

/* ---- One pass over the headers ---- */

enum { CONN_CLOSE = 1, CONN_KEEP_ALIVE = 2, CONN_UPGRADE = 4, CONN_PROTECTED = 8 };

/* What the rules look at. Gathered by the length of a name first: of 20 headers 3 are compared. */
struct facts {
    struct str host, length, coding;
    unsigned hosts, lengths, codings;
    unsigned connection; /* CONN_ bits */
    bool underscore;     /* "Content_Length": CGI-like readers take it for the real one */
    bool upgrade, expects_continue, expects_other;
};

/* A proxy must remove what Connection names. Naming these would make it drop what the message means, or whose it is. */
static bool is_protected(struct str token)
{
    static const char *const never[] = {"host",         "content-length", "transfer-encoding",
                                        "content-type", "authorization",  "x-api-key",
                                        "api-key",      "x-goog-api-key", "content-encoding"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (str_iis(token, never[i])) return true;
    return false;
}

static unsigned read_connection(struct str list)
{
    unsigned bits = 0;
    while (list.n > 0) {
        struct str token = str_trim(str_split(&list, ','));
        if (str_iis(token, "keep-alive"))
            bits |= CONN_KEEP_ALIVE;
        else if (str_iis(token, "close"))
            bits |= CONN_CLOSE;
        else if (str_iis(token, "upgrade"))
            bits |= CONN_UPGRADE;
        else if (is_protected(token))
            bits |= CONN_PROTECTED;
    }
    return bits;
}

static void gather(const struct http1_header *h, struct facts *f)
{
    switch (h->name.n) {
    case 4:
        if (!str_iis(h->name, "host")) return;
        f->host = h->value;
        f->hosts++;
        return;
    case 6:
        if (!str_iis(h->name, "expect")) return;
        f->expects_continue |= str_iis(h->value, "100-continue");
        f->expects_other |= !str_iis(h->value, "100-continue");
        return;
    case 7: f->upgrade |= str_iis(h->name, "upgrade") && h->value.n > 0; return;
    case 10:
        if (str_iis(h->name, "connection")) f->connection |= read_connection(h->value);
        return;
    case 14:
        f->underscore |= str_iis(h->name, "content_length");
        if (!str_iis(h->name, "content-length")) return;
        f->length = h->value;
        f->lengths++;
        return;
    case 17:
        f->underscore |= str_iis(h->name, "transfer_encoding");
        if (!str_iis(h->name, "transfer-encoding")) return;
        f->coding = h->value;
        f->codings++;
        return;
    default: return;
    }
}

static struct facts gather_all(const struct http1_head *head)
{
    struct facts f = {0};
    for (unsigned i = 0; i < head->n; i++) gather(&head->header[i], &f);
    return f;
}

/* ---- Framing: RFC 9112 §6 ---- */

static enum weir_err read_framing(struct http1_head *head, const struct facts *f, const char **ret_text)
{
    uint64_t length = 0;
    head->content_length = -1;
    head->chunked = f->codings > 0;
    if (f->lengths > 1) return bad("two Content-Length", ret_text);
    if (f->codings > 1) return bad("two Transfer-Encoding", ret_text);
    if (f->lengths > 0 && (!str_u64(f->length, &length) || length > INT64_MAX))
        return bad("Content-Length is not a number", ret_text);
    if (f->codings > 0 && !str_iis(f->coding, "chunked")) return bad("Transfer-Encoding other than chunked", ret_text);
    if (f->lengths > 0 && f->codings > 0) return bad("both Content-Length and Transfer-Encoding", ret_text);
    if (f->codings > 0 && head->minor == 0) return bad("Transfer-Encoding in HTTP/1.0", ret_text);
    if (f->underscore) return bad("a framing header spelled with an underscore", ret_text);
    if (f->lengths > 0) head->content_length = (int64_t)length;
    return WEIR_OK;
}

static bool read_keep_alive(const struct http1_head *head, const struct facts *f)
{
    if (f->connection & CONN_CLOSE) return false;
    return head->minor > 0 || (f->connection & CONN_KEEP_ALIVE) != 0;
}

/* ---- Requests ---- */

/* RFC 9112 §3.2: exactly one Host in 1.1, at most one in 1.0, and it is nothing but host and port. */
static enum weir_err check_host(const struct http1_head *head, const struct facts *f, const char **ret_text)
{
    struct str name;
    uint16_t port;
    const char *why;
    if (f->hosts > 1) return bad("two Host headers", ret_text);
    if (f->hosts == 0) return head->minor == 0 ? WEIR_OK : bad("no Host header", ret_text);
    if (!url_parse_authority(f->host, &name, &port, &why))
        return bad("the Host header is not a host and a port", ret_text);
    return WEIR_OK;
}

/* Takes scheme and authority off an absolute-form target; the authority must be the Host's. */
static enum weir_err strip_authority(struct http1_head *head, struct str host, const char **ret_text)
{
    struct str rest = head->target;
    uint16_t given = 80;
    if (str_iis(str_slice(rest, 0, 8), "https://"))
        given = 443;
    else if (!str_iis(str_slice(rest, 0, 7), "http://"))
        return bad("the request target is neither a path nor an http URL", ret_text);
    rest = str_slice(rest, given == 443 ? 8 : 7, rest.n);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?') end++;
    struct str name, host_name;
    uint16_t port, host_port;
    const char *why;
    if (!url_parse_authority(str_slice(rest, 0, end), &name, &port, &why))
        return bad("the authority of the request target is not a host and a port", ret_text);
    if (host.n > 0) {
        if (!url_parse_authority(host, &host_name, &host_port, &why) || !str_ieq(name, host_name) ||
            (port == 0 ? given : port) != (host_port == 0 ? given : host_port))
            return bad("the request target names another server than Host", ret_text);
    }
    head->target = str_slice(rest, end, rest.n);
    if (head->target.n == 0)
        head->target = STR("/");
    else if (head->target.p[0] == '?')
        return bad("the request target has a query without a path", ret_text);
    return WEIR_OK;
}

enum weir_err http1_rules_request(struct http1_head *head, const char **ret_text)
{
    struct facts f = gather_all(head);
    enum weir_err e = check_host(head, &f, ret_text);
    if (e != WEIR_OK) return e;
    if (head->target.p[0] != '/' && !str_is(head->target, "*")) e = strip_authority(head, f.host, ret_text);
    if (e != WEIR_OK) return e;
    ptrdiff_t mark = str_chr(head->target, '?');
    head->path = mark < 0 ? head->target : str_slice(head->target, 0, (size_t)mark);
    head->query = mark < 0 ? STR_NULL : str_slice(head->target, (size_t)mark + 1, head->target.n);
    e = read_framing(head, &f, ret_text);
    if (e != WEIR_OK) return e;
    if (f.connection & CONN_PROTECTED) return bad("Connection names a header that must arrive", ret_text);
    if (head->minor > 0 && f.expects_other) { /* RFC 9110 §10.1.1 */
        *ret_text = "the only expectation that is met here is 100-continue";
        return WEIR_EXPECTATION;
    }
    head->keep_alive = read_keep_alive(head, &f);
    head->expect_continue = head->minor > 0 && f.expects_continue;
    head->upgrade = f.upgrade && (f.connection & CONN_UPGRADE) != 0;
    return WEIR_OK;
}

/* ---- Responses ---- */

enum weir_err http1_rules_response(struct http1_head *head, bool head_request, const char **ret_text)
{
    if (head->status == 101) return bad("the server switched protocols unasked", ret_text);
    struct facts f = gather_all(head);
    enum weir_err e = read_framing(head, &f, ret_text);
    if (e != WEIR_OK) return e;
    bool empty = head_request || head->status / 100 == 1 || head->status == 204 || head->status == 304;
    head->until_eof = !empty && !head->chunked && head->content_length < 0;
    head->keep_alive = !head->until_eof && read_keep_alive(head, &f);
    return WEIR_OK;
}
