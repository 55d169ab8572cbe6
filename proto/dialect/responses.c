#include "proto/dialect/responses.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* OpenAI's is a header only */
    openai_error_write(e, message, out);
}

/* ---- The provider's side: no configuration leads here yet ---- */

static const char NOT_BUILT[] = "providers are not asked in the Responses dialect in this version";

static enum weir_err write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    (void)chat, (void)model, (void)hints, (void)out, (void)loss, (void)a;
    *ret_why = str_of(NOT_BUILT);
    return WEIR_UNSUPPORTED;
}

static enum weir_err read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    (void)json, (void)a, (void)ret_answer;
    *ret_why = str_of(NOT_BUILT);
    return WEIR_UP_PROTOCOL;
}

static enum weir_err read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to)
{
    (void)st, (void)name, (void)data, (void)a, (void)emit, (void)to;
    return WEIR_UP_PROTOCOL;
}

static void write_end(struct buf *out)
{
    (void)out; /* the terminal event holds the whole response: there is no bare one */
}

const struct dialect responses = {
    .id = DIALECT_RESPONSES,
    .name = "responses",
    .read_request = responses_read_request,
    .write_request = write_request,
    .read_answer = read_answer,
    .write_answer = responses_write_answer,
    .reader_bytes = sizeof(struct stream_reader),
    .writer_bytes = sizeof(struct responses_writer),
    .read_event = read_event,
    .write_delta = responses_write_delta,
    .write_broken = responses_write_broken,
    .write_ping = responses_write_ping,
    .write_end = write_end,
    .read_error = upstream_error_read,
    .error_status = openai_error_status,
    .write_error = write_error,
    .write_stream_error = responses_write_stream_error,
    .path = "/responses",
    .base_is_whole = true,
    .starts_once = true,
};
