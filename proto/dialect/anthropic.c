#include "proto/dialect/anthropic.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

static bool takes_url(const struct part *p)
{
    return p->kind == PART_IMAGE || p->kind == PART_DOCUMENT;
}

const struct dialect anthropic = {
    .id = DIALECT_ANTHROPIC,
    .name = "anthropic",
    .read_request = anthropic_read_request,
    .write_request = anthropic_write_request,
    .read_answer = anthropic_read_answer,
    .write_answer = anthropic_write_answer,
    .takes_url = takes_url,
    .no_text_files = true,
    .reader_bytes = sizeof(struct anthropic_reader),
    .writer_bytes = sizeof(struct anthropic_writer),
    .read_event = anthropic_read_event,
    .write_delta = anthropic_write_delta,
    .cites = CITES_ALL,
    .write_ping = anthropic_write_ping,
    .write_end = anthropic_write_end,
    .read_error = upstream_error_read,
    .error_status = anthropic_error_status,
    .write_error = anthropic_error_write,
    .write_stream_error = anthropic_write_stream_error,
    .id_header = "request-id",
    .path = "/messages",
    .starts_once = true,
};
