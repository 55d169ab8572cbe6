#include "proto/dialect/converse.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"
#include "proto/wire/url.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* a header only */
    converse_error_write(e, message, out);
}

static void write_end(struct buf *out)
{
    (void)out; /* the end of the body is the end */
}

/* "/model/" MODEL "/converse-stream": an id may be an ARN, whose colons and slashes must not be read as the path's. */
static void write_path(const struct target_path *t, struct buf *out)
{
    buf_add(out, t->base);
    buf_add(out, STR("/model/"));
    url_percent_encode(t->model, "", out);
    buf_add(out, t->stream ? STR("/converse-stream") : STR("/converse"));
}

const struct dialect converse = {
    .id = DIALECT_CONVERSE,
    .name = "converse",
    .read_request = converse_read_request,
    .write_request = converse_write_request,
    .read_answer = converse_read_answer,
    .write_answer = converse_write_answer,
    .reader_bytes = sizeof(struct converse_reader),
    .writer_bytes = sizeof(struct converse_writer),
    .framing = FRAMING_EVENTSTREAM,
    .read_event = converse_read_event,
    .read_end = converse_read_end,
    .write_delta = converse_write_delta,
    .cites = CITES_ALL,
    .write_ping = converse_write_ping,
    .write_end = write_end,
    .read_error = upstream_error_read,
    .error_status = converse_error_status,
    .write_error = write_error,
    .write_stream_error = converse_write_stream_error,
    .error_header = "x-amzn-errortype",
    .error_word = converse_exception,
    .id_header = "x-amzn-requestid",
    .path = "/model/",
    .base_is_whole = true,
    .model_in_path = true,
    .write_path = write_path,
    .starts_once = true,
};
