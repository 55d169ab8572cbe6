#include "dataplane/media.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "proto/base/base64.h"
#include "proto/base/mem.h"
#include "proto/base/version.h"
#include "proto/wire/url.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct media_lookup {
    uv_getaddrinfo_t req;
    struct request *r; /* NULL: nobody waits for it any more */
};

static void begin(struct request *r, struct str url);

/* ---- The end of one ---- */

static void leave(struct request *r)
{
    struct fetching *f = &r->fetching;
    if (f->lookup != NULL) {
        f->lookup->r = NULL;
        (void)uv_cancel((uv_req_t *)&f->lookup->req); /* its callback comes all the same */
        f->lookup = NULL;
    }
    upstream_close(&r->up);
    r->facts &= ~(unsigned)(FACT_UP_ALL | FACT_LOOKED_UP);
}

static void failed(struct request *r, const char *why)
{
    r->fetching.m->failed = why;
    r->fetching.m = NULL;
    leave(r);
}

void media_stop(struct request *r)
{
    if (r->fetching.m == NULL) return;
    r->fetching.m = NULL;
    leave(r);
}

static void arrived(struct request *r)
{
    struct fetching *f = &r->fetching;
    struct media *m = f->m;
    struct buf first = {0};
    base64_encode((struct str){f->spare, f->spare_n}, &r->keep.media);
    struct str all = buf_view(&r->keep.media);
    (void)base64_decode(str_slice(all, 0, 24), &first);
    m->type = media_type_of(m->kind, buf_view(&first));
    buf_fini(&first);
    if (m->type.n == 0) {
        failed(r, media_types(m->kind));
        return;
    }
    m->base64 = arena_copy(&r->keep.arena, all);
    m->is_here = true;
    f->m = NULL;
    leave(r);
}

/* ---- The answer ---- */

static bool is_redirect(uint16_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* "https://a/b", "//a/b" or "/b"; anything else is given up. */
static void follow(struct request *r, struct str to)
{
    struct fetching *f = &r->fetching;
    struct str origin, rest;
    if (++f->redirects > MEDIA_REDIRECTS) {
        failed(r, "too many redirects");
        return;
    }
    (void)media_split_url(f->url, &origin, &rest);
    if (str_starts(to, STR("//")))
        to = arena_printf(&r->keep.arena, "%s:%.*s", f->tls ? "https" : "http", STR_FMT(to));
    else if (str_starts(to, STR("/")))
        to = arena_printf(&r->keep.arena, "%.*s%.*s", STR_FMT(origin), STR_FMT(to));
    else
        to = arena_copy(&r->keep.arena, to);
    bool was_tls = f->tls;
    leave(r);
    begin(r, to);
    if (f->m != NULL && was_tls && !f->tls) failed(r, "a redirect from https to http");
}

static void head(struct request *r)
{
    const struct http1_head *h = http1_head(&r->up->in);
    struct str coding = http1_get(h, "content-encoding");
    if (is_redirect(h->status))
        follow(r, http1_get(h, "location"));
    else if (h->status != 200)
        failed(r, h->status == 404       ? "status 404"
                  : h->status / 100 == 4 ? "its server refuses it"
                                         : "its server fails");
    else if (coding.n > 0 && !str_iis(coding, "identity"))
        failed(r, "its server sends it compressed");
    else
        r->fetching.phase = MEDIA_BODY;
}

/* In groups of three, so that the pieces' texts make one. */
static bool take(struct request *r, struct str bytes)
{
    struct fetching *f = &r->fetching;
    f->bytes += bytes.n;
    if (f->bytes > MEDIA_BYTES) {
        failed(r, "it is larger than 20 MiB");
        return false;
    }
    if (!request_charge(r, bytes.n / 3 * 4 + 4)) {
        failed(r, "no room for it at present (server.buffers)");
        return false;
    }
    while (f->spare_n > 0 && f->spare_n < 3 && bytes.n > 0) {
        f->spare[f->spare_n++] = bytes.p[0];
        bytes = str_slice(bytes, 1, bytes.n);
    }
    if (f->spare_n == 3) {
        base64_encode((struct str){f->spare, 3}, &r->keep.media);
        f->spare_n = 0;
    }
    size_t whole = f->spare_n > 0 ? 0 : bytes.n / 3 * 3;
    base64_encode(str_slice(bytes, 0, whole), &r->keep.media);
    for (size_t i = whole; i < bytes.n; i++) f->spare[f->spare_n++] = bytes.p[i];
    return true;
}

static bool read_answer(struct request *r)
{
    struct fetching *f = &r->fetching;
    struct str bytes;
    while (f->m != NULL && (f->phase == MEDIA_HEAD || f->phase == MEDIA_BODY)) {
        switch (upstream_next(r->up, &bytes)) {
        case UPSTREAM_MORE: return false;
        case UPSTREAM_HEAD: head(r); break;
        case UPSTREAM_BODY:
            if (!take(r, bytes)) return true;
            break;
        case UPSTREAM_END: arrived(r); break;
        case UPSTREAM_FAILED: failed(r, "its server broke the answer off"); break;
        }
    }
    return true;
}

/* ---- The way there ---- */

static void ask(struct request *r)
{
    struct fetching *f = &r->fetching;
    struct buf text = {0}, line = {0};
    bool v6 = str_chr(f->host, ':') >= 0;
    if (f->target.n == 0 || f->target.p[0] != '/') buf_addc(&line, '/');
    buf_add(&line, f->target);
    http1_write_request_line(&text, STR("GET"), buf_view(&line));
    buf_addf(&text, "Host: %s%.*s%s", v6 ? "[" : "", STR_FMT(f->host), v6 ? "]" : "");
    if (f->port != (f->tls ? 443 : 80)) buf_addf(&text, ":%u", f->port);
    buf_addf(&text, "\r\nUser-Agent: weir/%s\r\nAccept: %s\r\nAccept-Encoding: identity\r\nConnection: close\r\n",
             weir_version(), f->m->kind == PART_IMAGE ? "image/*" : "*/*");
    http1_write_end(&text);
    struct str piece = buf_view(&text);
    upstream_send(r->up, &piece, 1);
    f->phase = MEDIA_HEAD;
    buf_fini(&text);
    buf_fini(&line);
}

static void dial(struct request *r)
{
    struct fetching *f = &r->fetching;
    const struct origin *o = &r->gen->origins[r->provider - r->gen->sn->providers];
    const struct upstream_place place = {.host = f->host,
                                         .port = f->port,
                                         .trust = f->tls ? o->media : NULL,
                                         .address = f->address,
                                         .address_n = f->address_n};
    f->phase = MEDIA_CONNECT;
    f->until_ms = uv_now(&r->w->loop) + MEDIA_CONNECT_MS;
    r->up = upstream_open_to(r, &place);
    upstream_dial(r->up);
}

/* Only what may be dialled is kept. */
static void add_address(struct request *r, int family, const void *ip)
{
    struct fetching *f = &r->fetching;
    struct tick_address a = {.family = (uint8_t)family};
    memcpy(a.ip, ip, family == 4 ? 4 : 16);
    bool shut = r->provider->fetch_media_private ? url_address_is_link_local(family, a.ip)
                                                 : url_address_is_private(family, a.ip);
    if (!shut && f->address_n < SHM_ADDRESSES) f->address[f->address_n++] = a;
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct media_lookup *l = req->data;
    struct request *r = l->r;
    free(l);
    if (r != NULL) {
        for (const struct addrinfo *i = list; i != NULL; i = i->ai_next)
            if (i->ai_family == AF_INET)
                add_address(r, 4, &((const struct sockaddr_in *)(const void *)i->ai_addr)->sin_addr);
            else if (i->ai_family == AF_INET6)
                add_address(r, 6, &((const struct sockaddr_in6 *)(const void *)i->ai_addr)->sin6_addr);
        r->fetching.lookup = NULL;
        if (status != 0) failed(r, "its host's name does not resolve");
        r->facts |= FACT_LOOKED_UP;
    }
    uv_freeaddrinfo(list);
    if (r != NULL) request_wake(r);
}

static void look_up(struct request *r)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct media_lookup *l = xcalloc(1, sizeof *l);
    struct str name = arena_printf(&r->keep.arena, "%.*s", STR_FMT(r->fetching.host)); /* ends in NUL */
    l->r = r;
    l->req.data = l;
    r->fetching.lookup = l;
    if (uv_getaddrinfo(&r->w->loop, &l->req, on_looked_up, name.p, NULL, &hints) == 0) return;
    r->fetching.lookup = NULL;
    free(l);
    failed(r, "its host's name cannot be looked up at present");
}

static const char *read_url(struct request *r, struct str url, struct url *ret_url)
{
    struct fetching *f = &r->fetching;
    struct str origin;
    const char *why;
    if (!media_split_url(url, &origin, &f->target)) return "its URL holds a byte that no URL may";
    if (!url_parse(origin, ret_url, &why)) return why;
    bool plain_port = ret_url->port == (ret_url->tls ? 443 : 80);
    if (!plain_port && !r->provider->fetch_media_private) return "its URL names a port";
    return NULL;
}

static void begin(struct request *r, struct str url)
{
    struct fetching *f = &r->fetching;
    struct url u;
    int family;
    uint8_t ip[16];
    const char *why = read_url(r, url, &u);
    if (why != NULL) {
        failed(r, why);
        return;
    }
    f->url = url;
    f->host = u.host;
    f->port = u.port;
    f->tls = u.tls;
    f->phase = MEDIA_LOOK_UP;
    f->bytes = f->spare_n = f->address_n = 0;
    f->until_ms = uv_now(&r->w->loop) + MEDIA_CONNECT_MS;
    buf_clear(&r->keep.media);
    if (url_parse_ip(u.host, &family, ip)) {
        add_address(r, family, ip);
        r->facts |= FACT_LOOKED_UP;
    } else {
        look_up(r);
    }
}

/* ---- What drives it ---- */

static struct media *next_wanted(struct request *r)
{
    for (struct media *m = r->media.first; m != NULL; m = m->next)
        if (!m->is_here && m->failed == NULL) return m;
    return NULL;
}

/* One event's worth. false: wait. */
static bool go_on(struct request *r)
{
    struct fetching *f = &r->fetching;
    uint64_t now = uv_now(&r->w->loop);
    if (now >= f->until_ms) {
        failed(r, f->phase == MEDIA_BODY ? "it does not come in time" : "its server does not answer in time");
        return true;
    }
    switch (f->phase) {
    case MEDIA_LOOK_UP:
        if ((r->facts & FACT_LOOKED_UP) == 0) return false;
        if (f->address_n == 0)
            failed(r, "its address is not a public one");
        else
            dial(r);
        return true;
    case MEDIA_CONNECT:
        if (r->facts & FACT_UP_FAILED) {
            failed(r, r->up->err == WEIR_UP_TLS ? "its server's TLS is not to be trusted"
                                                : "its server cannot be reached");
            return true;
        }
        if ((r->facts & FACT_UP_CONNECTED) == 0) return false;
        f->until_ms = now + MEDIA_EACH_MS;
        ask(r);
        return true;
    default: return read_answer(r);
    }
}

bool media_fetch(struct request *r)
{
    struct fetching *f = &r->fetching;
    for (;;) {
        if (f->m == NULL) {
            r->phase_at_ms = 0;
            f->m = next_wanted(r);
            if (f->m == NULL) return true;
            f->redirects = 0;
            begin(r, f->m->url);
        } else if (!go_on(r)) {
            r->phase_at_ms = f->until_ms; /* request_wait() only sets the timer: what is late is told here */
            r->phase_err = WEIR_OK;
            return false;
        }
    }
}
