#include "dataplane/pool.h"

#include "dataplane/upstream.h"

void pool_init(struct pool *p)
{
    list_init(&p->idle);
    p->n = 0;
}

void pool_fini(struct pool *p)
{
    LIST_EACH(&p->idle, it, after)
    {
        struct upstream *u = LIST_ENTRY(it, struct upstream, idle);
        upstream_close(&u);
    }
    buf_fini(&p->ticket);
}

static bool is_old(const struct upstream *u, uint64_t now_ms)
{
    return now_ms - u->idle_since_ms > POOL_IDLE_MS || now_ms - u->opened_ms > POOL_AGE_MS;
}

struct upstream *pool_take(struct pool *p, uint64_t print, uint64_t now_ms)
{
    LIST_EACH(&p->idle, it, after)
    {
        struct upstream *u = LIST_ENTRY(it, struct upstream, idle);
        if (u->print == print && !is_old(u, now_ms)) {
            pool_remove(p, u);
            return u;
        }
        upstream_close(&u);
    }
    return NULL;
}

void pool_put(struct pool *p, struct upstream *u, uint64_t now_ms)
{
    if (p->n >= POOL_IDLE_MOST) {
        struct upstream *oldest = LIST_ENTRY(p->idle.prev, struct upstream, idle);
        upstream_close(&oldest);
    }
    u->idle_since_ms = now_ms;
    list_push_front(&p->idle, &u->idle);
    p->n++;
}

void pool_remove(struct pool *p, struct upstream *u)
{
    list_remove(&u->idle);
    p->n--;
}

void pool_sweep(struct pool *p, uint64_t now_ms)
{
    while (p->n > 0) {
        struct upstream *oldest = LIST_ENTRY(p->idle.prev, struct upstream, idle);
        if (!is_old(oldest, now_ms)) return;
        upstream_close(&oldest);
    }
}

struct str pool_ticket(const struct pool *p, uint64_t print)
{
    return p->ticket_print == print ? buf_view(&p->ticket) : STR_NULL;
}

void pool_ticket_put(struct pool *p, uint64_t print, struct str ticket)
{
    buf_clear(&p->ticket);
    buf_add(&p->ticket, ticket);
    p->ticket_print = print;
}
