/* Endpoints that are no chat, with any bytes as the request and as the answer: nothing breaks, the same dialect passes all bytes, and
 * events come out whole whatever the pieces they come in. First byte: the endpoint; then request and answer, parted by a NUL. */
#include "proto/dialect/embed.h"
#include "proto/dialect/passed.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *method, *path;
} KINDS[] = {
    {"POST", "/v1/embeddings"},
    {"POST", "/v1beta/models/m:embedContent"},
    {"POST", "/v1beta/models/m:batchEmbedContents"},
    {"POST", "/v1/completions"},
    {"POST", "/v1/images/generations"},
    {"POST", "/v1/audio/speech"},
    {"POST", "/v1/audio/transcriptions"},
    {"POST", "/v1/rerank"},
    {"POST", "/p/a/x"},
};

static void answer(struct exchange *x, struct str said, bool events, size_t piece)
{
    struct buf out = {0};
    if (events) {
        for (size_t at = 0; at < said.n; at += piece) exchange_feed(x, str_slice(said, at, at + piece), &out);
        exchange_finish(x, &out);
        if ((x->facts & EXCHANGE_END) == 0 || buf_len(&out) > said.n) abort();
    } else {
        enum weir_err e = exchange_answer(x, said, &out);
        if (x->same && (e != WEIR_OK || !str_eq(buf_view(&out), said))) abort();
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct str said = {(const char *)data + 1, size - 1}, asked = str_split(&said, '\0');
    size_t kind = data[0] % (sizeof KINDS / sizeof *KINDS);
    bool known, cross = (data[0] & 0x80) != 0, events = (data[0] & 0x40) != 0;
    struct str path = str_of(KINDS[kind].path), why = STR_NULL;
    const struct endpoint *e = endpoint_find(str_of(KINDS[kind].method), path, &known);
    enum dialect_id target = e->dialect, other;
    static const struct target_hints nothing;
    struct endpoint_place place;
    struct call call;
    struct arena a;
    struct buf body = {0};
    struct exchange x;
    if (cross && embed_other_dialect(e, &other)) target = other;
    arena_init(&a, 4096);
    if (!endpoint_read_place(e, path, STR_NULL, &a, &place)) abort();
    if (passed_read_call(e, &place, STR("multipart/form-data; boundary=B"), asked, &a, &call, &why) == WEIR_OK) {
        enum weir_err err =
            exchange_request_passed(&x, e, target, &nothing, &call, asked, STR("provider-m"), &a, &body, &why);
        if (err == WEIR_OK) answer(&x, said, events && x.same, 1 + data[0] % 7);
        exchange_fini(&x);
    }
    buf_fini(&body);
    arena_fini(&a);
    return 0;
}
