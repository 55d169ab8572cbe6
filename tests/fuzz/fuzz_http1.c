/* Any bytes as a request or a response, whole and in pieces: the verdict, the events and the body must be the same, nothing is read
 * beyond a piece, and what is accepted has one framing. Byte 0: role and whether the connection ends; byte 1: seed of the cuts. */
#include "proto/wire/http1.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    char events[32];
    size_t n;
    struct buf body;
    enum weir_err err;
    size_t taken;
};

static void note(struct outcome *o, enum http1_event e)
{
    if (e == HTTP1_BODY && o->n > 0 && o->events[o->n - 1] == (char)HTTP1_BODY) return;
    if (o->n < sizeof o->events) o->events[o->n++] = (char)e;
}

static void check_head(const struct http1 *h)
{
    const struct http1_head *head = http1_head(h);
    unsigned lengths = 0, codings = 0, hosts = 0;
    assert(head->n <= HTTP1_MAX_HEADERS && head->minor <= 1);
    for (unsigned i = 0; i < head->n; i++) {
        struct str name = head->header[i].name, value = head->header[i].value;
        assert(name.n > 0);
        for (size_t k = 0; k < value.n; k++) assert(value.p[k] != '\r' && value.p[k] != '\n' && value.p[k] != '\0');
        lengths += str_iis(name, "content-length");
        codings += str_iis(name, "transfer-encoding");
        hosts += str_iis(name, "host");
    }
    assert(lengths + codings <= 1);
    assert(head->chunked == (codings == 1));
    if (h->role == HTTP1_REQUEST) assert(hosts == 1 || (hosts == 0 && head->minor == 0));
    if (h->role == HTTP1_REQUEST) assert(head->path.n > 0 && (head->path.p[0] == '/' || str_is(head->path, "*")));
}

/* One message. */
static void run(const uint8_t *p, size_t n, uint8_t how, uint32_t seed, struct outcome *o)
{
    static const struct http1_limits small = {
        .line_bytes = 200, .head_bytes = 500, .headers = 8, .body_bytes = 300, .interim = 2};
    struct http1 h;
    memset(o, 0, sizeof *o);
    http1_init(&h, how & 1 ? HTTP1_RESPONSE : HTTP1_REQUEST, how & 8 ? &http1_request_limits : &small);
    h.head_request = (how & 2) != 0;
    enum http1_event e = HTTP1_MORE;
    for (size_t at = 0; at < n && e != HTTP1_END && e != HTTP1_BAD;) {
        seed = seed * 1103515245u + 12345u;
        size_t piece = seed == 0 ? n : (seed >> 16) % 23 + 1;
        if (how & 0x80) piece = n; /* the whole */
        if (piece > n - at) piece = n - at;
        char *copy = malloc(piece);
        memcpy(copy, p + at, piece);
        struct str in = {copy, piece}, body = STR_NULL;
        do {
            e = http1_feed(&h, &in, &body);
            if (e != HTTP1_MORE) note(o, e);
            if (e == HTTP1_BODY) {
                assert(body.n > 0 && body.p >= copy && body.p + body.n <= copy + piece);
                buf_add(&o->body, body);
            }
            if (e == HTTP1_HEAD) check_head(&h);
        } while (e == HTTP1_HEAD || e == HTTP1_BODY);
        o->taken += piece - in.n;
        at += piece;
        free(copy);
    }
    if ((how & 4) && e != HTTP1_END && e != HTTP1_BAD) note(o, http1_eof(&h));
    const char *why;
    o->err = http1_error(&h, &why);
    assert((o->err == WEIR_OK) == (why[0] == '\0'));
    http1_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct outcome whole, cut;
    run(data + 2, size - 2, data[0] | 0x80, 0, &whole);
    run(data + 2, size - 2, data[0] & 0x7F, data[1], &cut);
    assert(whole.err == cut.err);
    bool bad = whole.err != WEIR_OK;
    if (!bad) assert(whole.n == cut.n && memcmp(whole.events, cut.events, whole.n) == 0 && whole.taken == cut.taken);
    if (!bad) assert(str_eq(buf_view(&whole.body), buf_view(&cut.body)));
    buf_fini(&whole.body);
    buf_fini(&cut.body);
    return 0;
}
