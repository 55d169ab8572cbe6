#include "tools/fake/answer.h"

#include "proto/base/mem.h"

#include <stdlib.h>

void answer_reset(struct answer *a)
{
    a->status = 200;
    a->content_type = "application/json";
    a->is_stream = false;
    a->events = 0;
    a->event_delay_ms = 0;
    buf_clear(&a->headers);
    buf_clear(&a->body);
    buf_shrink(&a->body, 1 << 20);
}

void answer_fini(struct answer *a)
{
    buf_fini(&a->headers);
    buf_fini(&a->body);
    free(a->event_end);
    *a = (struct answer){0};
}

void answer_header(struct answer *a, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_addf(&a->headers, "%s: ", name);
    buf_addv(&a->headers, format, args);
    buf_addz(&a->headers, "\r\n");
    va_end(args);
}

void answer_end_event(struct answer *a)
{
    if (a->events == a->events_cap) {
        a->events_cap = a->events_cap > 0 ? 2 * a->events_cap : 64;
        a->event_end = xrealloc(a->event_end, a->events_cap * sizeof *a->event_end);
    }
    a->event_end[a->events++] = buf_len(&a->body);
}
