#include "proto/dialect/cohere.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* a header only */
    cohere_write_error(e, message, out);
}

static void write_ping(struct buf *out)
{
    buf_add(out, STR(": ping\n\n"));
}

static void write_end(struct buf *out)
{
    buf_add(out, STR("data: [DONE]\n\n"));
}

/* Cohere's look-alike of OpenAI has a base path that ends so. */
#define LOOK_ALIKE STR("/compatibility/v1")

struct str cohere_own_path(struct str base, struct str tail, struct arena *a)
{
    if (!str_ends(base, LOOK_ALIKE) || !str_is(tail, "/rerank")) return STR_NULL;
    return arena_printf(a, "%.*s/v2/rerank", STR_FMT(str_slice(base, 0, base.n - LOOK_ALIKE.n)));
}

static void write_path(const struct target_path *t, struct buf *out)
{
    struct str base = t->base;
    if (str_ends(base, LOOK_ALIKE)) base = str_slice(base, 0, base.n - LOOK_ALIKE.n);
    if (str_ends(base, STR("/v2"))) base = str_slice(base, 0, base.n - 3);
    buf_add(out, base);
    buf_add(out, STR("/v2/chat"));
}

static bool takes_url(const struct part *p)
{
    return p->kind == PART_IMAGE;
}

const struct dialect cohere = {
    .id = DIALECT_COHERE,
    .name = "cohere",
    .read_request = cohere_read_request,
    .write_request = cohere_write_request,
    .read_answer = cohere_read_answer,
    .write_answer = cohere_write_answer,
    .takes_url = takes_url,
    .no_text_files = true,
    .reader_bytes = sizeof(struct cohere_reader),
    .writer_bytes = sizeof(struct cohere_writer),
    .framing = FRAMING_SSE,
    .read_event = cohere_read_event,
    .write_delta = cohere_write_delta,
    .cites = CITES_ALL,
    .write_ping = write_ping,
    .write_end = write_end,
    .read_error = upstream_error_read,
    .error_status = openai_error_status,
    .write_error = write_error,
    .write_stream_error = cohere_write_stream_error,
    .path = "/v2/chat",
    .write_path = write_path,
    .starts_once = true,
};
