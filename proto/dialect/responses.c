#include "proto/dialect/responses.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* OpenAI's is a header only */
    openai_error_write(e, message, out);
}

static void write_end(struct buf *out)
{
    (void)out; /* the terminal event holds the whole response: there is no bare one */
}

static bool takes_url(const struct part *p)
{
    return p->kind == PART_IMAGE || p->kind == PART_DOCUMENT;
}

const struct dialect responses = {
    .id = DIALECT_RESPONSES,
    .name = "responses",
    .read_request = responses_read_request,
    .write_request = responses_write_request,
    .read_answer = responses_read_answer,
    .write_answer = responses_write_answer,
    .takes_url = takes_url,
    .reader_bytes = sizeof(struct responses_reader),
    .writer_bytes = sizeof(struct responses_writer),
    .read_event = responses_read_event,
    .write_delta = responses_write_delta,
    .write_broken = responses_write_broken,
    .cites = CITES_ALL,
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
