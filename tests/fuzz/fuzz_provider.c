/* Any model, body and header for each type of provider: paths hold what a request line may, bodies stay JSON without what the host refuses. */
#include "proto/base/mem.h"
#include "proto/dialect/exchange.h"
#include "proto/dialect/provider_type.h"
#include "proto/wire/json.h"

#include <assert.h>
#include <string.h>

static void check_path(struct str path)
{
    assert(path.n > 0 && path.p[0] == '/');
    for (size_t i = 0; i < path.n; i++) assert(path.p[i] > ' ' && path.p[i] < 0x7f);
}

static void check_body(bool counts, struct str after)
{
    struct json_error e;
    unsigned depth;
    struct buf scratch = {0};
    struct str value;
    assert(json_check(after, &depth, &e));
    if (!counts) assert(json_find(after, "model", &value, &scratch) != JSON_FOUND); /* else Vertex wants it there */
    assert(json_find(after, "anthropic_version", &value, &scratch) != JSON_ABSENT);
    buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    unsigned type = data[0] % PROVIDER_TYPES;
    struct str rest = {(const char *)data + 2, size - 2};
    struct str model = str_split(&rest, '\n'), betas = str_split(&rest, '\n'), body = rest;
    struct arena a;
    struct buf out = {0};
    struct call call = {.stream = data[1] & 1, .counts = data[1] & 2};
    struct json_error e;
    unsigned depth;
    arena_init(&a, 4096);
    for (unsigned client = 0; client < DIALECT_COUNT; client++) {
        enum dialect_id asked = provider_dialect(type, provider_type_dialects(type), (enum dialect_id)client, model);
        const struct exchange x = {.target = dialect_of(asked), .call = &call, .stream = call.stream, .model = model};
        const struct provider_place place = {STR("/base"), data[1] & 4 ? STR("2024-10-21") : STR_NULL, model, &x};
        check_path(provider_path(type, &place, &a));
        if (body.n == 0 || !json_check(body, &depth, &e)) continue;
        buf_clear(&out);
        if (provider_body(type, &x, body, betas, &out)) check_body(call.counts, buf_view(&out));
    }
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
