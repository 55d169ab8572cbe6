/* Any bytes as URL, authority, address and escaped text: no byte outside is read, and what is accepted is put together again. */
#include "proto/wire/url.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_url(const struct url *u)
{
    struct buf again = {0};
    struct url v;
    const char *why;
    int family;
    uint8_t ip[16];
    bool v6 = str_chr(u->host, ':') >= 0;
    assert(u->host.n > 0 && u->port > 0);
    assert(u->is_ip == url_parse_ip(u->host, &family, ip));
    buf_addf(&again, "%s://%s%.*s%s:%u%.*s", u->tls ? "https" : "http", v6 ? "[" : "", STR_FMT(u->host), v6 ? "]" : "",
             (unsigned)u->port, STR_FMT(u->path));
    assert(url_parse(buf_view(&again), &v, &why));
    assert(v.tls == u->tls && v.port == u->port && str_eq(v.host, u->host) && str_eq(v.path, u->path));
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) memcpy(copy, data, size);
    struct str text = {copy, size}, host;
    struct buf out = {0};
    struct url u;
    const char *why = NULL;
    uint16_t port;
    int family;
    uint8_t ip[16];
    if (url_parse(text, &u, &why))
        check_url(&u);
    else
        assert(why != NULL);
    url_parse_authority(text, &host, &port, &why);
    if (url_parse_ip(text, &family, ip)) url_address_is_private(family, ip);
    if (size >= 16) url_address_is_private(6, data);
    if (size >= 16) url_address_is_private(4, data);
    if (url_percent_decode(text, &out)) assert(buf_len(&out) <= size);
    buf_fini(&out);
    free(copy);
    return 0;
}
