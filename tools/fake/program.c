#include "tools/fake/program.h"

#include "proto/base/mem.h"

#include <stdlib.h>

static const struct fault no_fault = {.keep_bytes = -1,
                                      .keep_events = -1,
                                      .malformed_after_events = -1,
                                      .spoil_event = -1,
                                      .error_after_events = -1,
                                      .content_length = -1};

void program_reset(struct program *p)
{
    buf_clear(&p->bytes);
    buf_shrink(&p->bytes, 1 << 20);
    p->steps = 0;
    p->events = 0;
    p->end = FAULT_KEEP;
    p->is_whole = false;
}

void program_fini(struct program *p)
{
    buf_fini(&p->bytes);
    free(p->step);
    *p = (struct program){0};
}

/* Ends a step behind the bytes added so far. */
static void end_step(struct program *p, uint32_t delay_ms)
{
    if (p->steps == p->steps_cap) {
        p->steps_cap = p->steps_cap > 0 ? 2 * p->steps_cap : 64;
        p->step = xrealloc(p->step, p->steps_cap * sizeof *p->step);
    }
    p->step[p->steps++] = (struct program_step){buf_len(&p->bytes), delay_ms, false};
}

static void add_head(struct program *p, const struct answer *a, const struct fault *f, size_t body_bytes,
                     bool keep_alive)
{
    struct buf *b = &p->bytes;
    http1_write_status_line(b, (uint16_t)a->status);
    buf_addf(b, "Content-Type: %s\r\n", a->content_type);
    buf_add(b, buf_view(&a->headers));
    if (f->content_length >= 0)
        buf_addf(b, "Content-Length: %lld\r\n", (long long)f->content_length);
    else if (!f->until_eof && a->is_stream)
        buf_addz(b, "Transfer-Encoding: chunked\r\n");
    else if (!f->until_eof)
        buf_addf(b, "Content-Length: %zu\r\n", body_bytes);
    buf_addz(b, keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

/* One event of the body, or what is left of it. */
static void add_event(struct program *p, struct str bytes, size_t keep, bool chunked)
{
    if (chunked) http1_write_chunk_head(&p->bytes, bytes.n);
    buf_add(&p->bytes, str_slice(bytes, 0, keep));
    if (chunked && keep >= bytes.n) buf_add(&p->bytes, HTTP1_CHUNK_END);
}

static void add_error_event(struct program *p, const struct fault *f, const struct fake_dialect *dialect, bool chunked)
{
    struct buf event = {0};
    dialect->write_error_event(f->error, &event);
    add_event(p, buf_view(&event), buf_len(&event), chunked);
    buf_fini(&event);
}

/* The last byte of the event added last. */
static void spoil_last(struct program *p, bool chunked)
{
    size_t behind = chunked ? HTTP1_CHUNK_END.n : 0;
    p->bytes.p[p->bytes.len - 1 - behind] ^= 1;
}

/* true: told to its end */
static bool add_body(struct program *p, const struct answer *a, const struct fault *f,
                     const struct fake_dialect *dialect, uint32_t event_ms, bool chunked)
{
    struct str body = buf_view(&a->body);
    size_t from = 0, told = 0;
    unsigned events = a->is_stream ? a->events : 1;
    for (unsigned i = 0; i < events; i++) {
        size_t to = a->is_stream ? a->event_end[i] : body.n;
        uint32_t delay_ms = i == 0 ? f->delay_first_ms : event_ms;
        if (f->keep_events >= 0 && i >= f->keep_events) return false;
        if (f->malformed_after_events >= 0 && i >= f->malformed_after_events) {
            buf_addz(&p->bytes, "zz\r\n");
            end_step(p, delay_ms);
            return false;
        }
        if (f->error_after_events >= 0 && i >= f->error_after_events) {
            add_error_event(p, f, dialect, chunked);
            end_step(p, delay_ms);
            return true;
        }
        if (i + f->omit_events >= events) return true;
        struct str event = str_slice(body, from, to);
        size_t room = f->keep_bytes >= 0 ? (size_t)f->keep_bytes - told : event.n;
        if (f->keep_bytes >= 0 && room < event.n) {
            if (room > 0) add_event(p, event, room, chunked);
            end_step(p, delay_ms);
            return false;
        }
        add_event(p, event, event.n, chunked);
        if (f->spoil_event >= 0 && i == f->spoil_event) spoil_last(p, chunked);
        end_step(p, delay_ms);
        told += event.n;
        from = to;
        p->events++;
    }
    return true;
}

/* The same bytes, n a write. Waits stay before the first piece of their step. */
static void split(struct program *p, const struct fault *f)
{
    struct program_step *old = p->step;
    size_t olds = p->steps, at = 0;
    p->step = NULL;
    p->steps = p->steps_cap = 0;
    size_t all = buf_len(&p->bytes);
    for (size_t i = 0; i < olds; i++) {
        uint32_t delay_ms = old[i].delay_ms;
        while (at < old[i].end) {
            at = at + f->split_bytes < old[i].end ? at + f->split_bytes : old[i].end;
            end_step(p, delay_ms > f->split_delay_ms ? delay_ms : f->split_delay_ms);
            p->step[p->steps - 1].end = at;
            p->step[p->steps - 1].alone = true;
            delay_ms = 0;
        }
    }
    if (at < all) end_step(p, 0);
    free(old);
}

void program_build(struct program *p, const struct answer *a, const struct fault *fault,
                   const struct fake_dialect *dialect, struct program_pace pace, bool keep_alive)
{
    const struct fault *f = fault != NULL ? fault : &no_fault;
    uint32_t event_ms = f->delay_event_ms > 0 ? f->delay_event_ms : pace.event_ms;
    if (a->event_delay_ms > 0) event_ms = a->event_delay_ms;
    program_reset(p);
    p->end = f->end;
    if (f->raw.p != NULL) {
        buf_add(&p->bytes, f->raw);
        end_step(p, f->delay_head_ms);
    } else {
        bool chunked = a->is_stream && f->content_length < 0 && !f->until_eof;
        add_head(p, a, f, buf_len(&a->body), keep_alive && p->end == FAULT_KEEP && !f->connection_close);
        end_step(p, f->delay_head_ms > 0 ? f->delay_head_ms : pace.head_ms);
        bool told = add_body(p, a, f, dialect, event_ms, chunked);
        if (told && chunked) buf_add(&p->bytes, HTTP1_LAST_CHUNK);
        if (told) buf_add(&p->bytes, f->extra);
        if (buf_len(&p->bytes) > p->step[p->steps - 1].end) end_step(p, 0);
        bool length_fits = f->content_length < 0 || (uint64_t)f->content_length == buf_len(&a->body);
        p->is_whole = told && length_fits && f->omit_events == 0 && f->error_after_events < 0 &&
                      (f->end != FAULT_STALL || !f->until_eof);
    }
    if (f->connection_close && p->end == FAULT_KEEP) p->end = FAULT_FIN;
    if (!keep_alive && p->end == FAULT_KEEP) p->end = FAULT_FIN;
    if (f->split_bytes > 0) split(p, f);
}
