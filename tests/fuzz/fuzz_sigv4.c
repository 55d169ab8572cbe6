/* SigV4: any path, query and headers are signed, the same each time, and what was made canonical stays as it is when it is read again. */
#include "proto/auth/sigv4.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS = 16 };

/* The third line of a canonical request. */
static struct str canonical_query(struct str canonical)
{
    str_split(&canonical, '\n');
    str_split(&canonical, '\n');
    return str_split(&canonical, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct http1_header header[HEADERS];
    struct sigv4_input in = {.method = STR("POST"), .region = STR("r"), .service = STR("s"), .header = header};
    struct sigv4_result r, again, url;
    struct arena a;
    arena_init(&a, 4096);
    in.credential = (struct credential){.access_key_id = STR("AK"), .secret = STR("secret"), .session_token = STR("t")};
    in.keep_path = size % 2 == 1;
    in.now_s = size * 977;
    in.path = str_split(&text, '\n');
    in.query = str_split(&text, '\n');
    while (text.n > 0 && in.n < HEADERS) {
        struct str line = str_split(&text, '\n'), name = str_split(&line, ':');
        header[in.n++] = (struct http1_header){name, line};
    }
    in.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    sigv4_headers(&in, &a, &r);
    sigv4_headers(&in, &a, &again);
    sigv4_query(&in, &a, &url);
    if (r.signature.n != 64 || !str_eq(r.signature, again.signature) || !str_starts(r.canonical, STR("POST\n")))
        abort();
    if (!str_starts(url.query, in.query) || !str_contains(url.query, STR("X-Amz-Signature="))) abort();
    in.query = canonical_query(r.canonical);
    sigv4_headers(&in, &a, &again);
    if (!str_eq(canonical_query(again.canonical), in.query)) abort();
    arena_fini(&a);
    return 0;
}
