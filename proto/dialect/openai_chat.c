#include "proto/dialect/openai_chat.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* OpenAI's is a header only */
    openai_error_write(e, message, out);
}

static bool takes_url(const struct part *p)
{
    return p->kind == PART_IMAGE;
}

const struct dialect openai_chat = {
    .id = DIALECT_OPENAI_CHAT,
    .name = "openai",
    .read_request = openai_chat_read_request,
    .write_request = openai_chat_write_request,
    .read_answer = openai_chat_read_answer,
    .write_answer = openai_chat_write_answer,
    .takes_url = takes_url,
    .reader_bytes = sizeof(struct openai_chat_reader),
    .writer_bytes = sizeof(struct openai_chat_writer),
    .read_event = openai_chat_read_event,
    .write_delta = openai_chat_write_delta,
    .cites = CITES(CITED_URL),
    .write_ping = openai_chat_write_ping,
    .write_end = openai_chat_write_end,
    .read_error = upstream_error_read,
    .error_status = openai_error_status,
    .write_error = write_error,
    .write_stream_error = openai_chat_write_stream_error,
    .path = "/chat/completions",
    .base_is_whole = true,
    .ends_at_finish = true,
    .usage_on_request = true,
};
