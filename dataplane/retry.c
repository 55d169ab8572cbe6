#include "dataplane/retry.h"

/* These say that the request itself is wrong: no configuration makes another try useful. */
static bool is_never_retried(uint16_t status)
{
    return status == 400 || status == 404 || status == 413 || status == 422;
}

enum retry_verdict retry_judge(const struct retry_question *q)
{
    if (q->committed) return RETRY_STOP;
    if (q->redial) return RETRY_REDIAL;
    const struct err_row *row = err_row(q->err);
    bool asked = q->on_status && !is_never_retried(q->status);
    if ((row->next == NEXT_NO && !asked) || q->tries >= q->most) return RETRY_STOP;
    bool same = row->next == NEXT_SAME || asked;
    if (same && !q->should_not_retry && q->same_tries < q->attempts) return RETRY_SAME;
    return RETRY_NEXT;
}

uint64_t retry_pause_ms(unsigned same_tries, uint32_t backoff_ms, uint32_t most_ms, uint64_t random)
{
    uint64_t ms = backoff_ms;
    for (unsigned i = 1; i < same_tries && ms < most_ms; i++) ms *= 2;
    if (ms > most_ms) ms = most_ms;
    return ms / 2 + (ms > 1 ? random % (ms - ms / 2 + 1) : ms - ms / 2);
}
