#include "proto/dialect/ollama.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* a header only */
    ollama_write_error(e, message, out);
}

static void write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    ollama_write_error(e, message, out);
    buf_addc(out, '\n');
}

static void write_end(struct buf *out)
{
    buf_add(out, STR("{\"done\":true,\"done_reason\":\"stop\"}\n"));
}

/* Beside Ollama's look-alike of OpenAI, whose base path ends in /v1. */
static void write_path(const struct target_path *t, struct buf *out)
{
    struct str base = t->base;
    if (str_ends(base, STR("/v1"))) base = str_slice(base, 0, base.n - 3);
    buf_add(out, base);
    buf_add(out, STR("/api/chat"));
}

const struct dialect ollama = {
    .id = DIALECT_OLLAMA,
    .name = "ollama",
    .read_request = ollama_read_request,
    .write_request = ollama_write_request,
    .read_answer = ollama_read_answer,
    .write_answer = ollama_write_answer,
    .no_text_files = true,
    .reader_bytes = sizeof(struct ollama_reader),
    .writer_bytes = sizeof(struct ollama_writer),
    .framing = FRAMING_NDJSON,
    .read_event = ollama_read_event,
    .write_delta = ollama_write_delta,
    .write_end = write_end,
    .read_error = upstream_error_read,
    .error_status = openai_error_status,
    .write_error = write_error,
    .write_stream_error = write_stream_error,
    .path = "/api/chat",
    .write_path = write_path,
    .streams_unasked = true,
    .starts_once = true,
};
