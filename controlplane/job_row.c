#include "controlplane/job_row.h"

#include <stdio.h>
#include <string.h>

/* | format 4 | bytes of the price 4 | print 8 | form 1 | has_price 1 | spare 6 | price | record | */
enum { FORMAT = 1, HEAD_BYTES = 24, SETTLED_MARK = 0x80 };

void job_key(const struct usage_record *created, char ret_key[JOB_KEY_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    memcpy(ret_key, JOB_KEY_PREFIX, 4);
    for (unsigned i = 0; i < 16; i++) {
        ret_key[4 + 2 * i] = hex[created->attempt_id[i] >> 4];
        ret_key[5 + 2 * i] = hex[created->attempt_id[i] & 15];
    }
    ret_key[JOB_KEY_BYTES - 1] = '\0';
}

size_t job_row_write(const struct job_row *row, uint8_t out[JOB_ROW_MAX])
{
    const uint32_t head[2] = {FORMAT, sizeof row->price};
    memset(out, 0, HEAD_BYTES);
    memcpy(out, head, sizeof head);
    memcpy(out + 8, &row->print, 8);
    out[16] = (uint8_t)row->form;
    out[17] = row->has_price;
    memcpy(out + HEAD_BYTES, &row->price, sizeof row->price);
    return HEAD_BYTES + sizeof row->price + record_encode(&row->created, 0, out + HEAD_BYTES + sizeof row->price);
}

bool job_row_read(struct str bytes, struct job_row *ret_row)
{
    struct job_row row;
    uint32_t head[2];
    uint64_t seq;
    if (bytes.n < HEAD_BYTES + sizeof row.price) return false;
    const uint8_t *b = (const uint8_t *)bytes.p;
    memcpy(head, b, sizeof head);
    if (head[0] != FORMAT || head[1] != sizeof row.price || b[16] > VIDEO_ARK) return false;
    memcpy(&row.print, b + 8, 8);
    row.form = (enum video_form)b[16];
    row.has_price = b[17] != 0;
    memcpy(&row.price, b + HEAD_BYTES, sizeof row.price);
    if (!record_decode(b + HEAD_BYTES + sizeof row.price, bytes.n - HEAD_BYTES - sizeof row.price, &row.created,
                       &seq) ||
        (row.created.flags & RECORD_TASK) == 0)
        return false;
    *ret_row = row;
    return true;
}

static void estimate(struct usage_record *r)
{
    r->cost_nanousd = r->bound_nanousd;
    r->basis = r->bound_nanousd < 0 ? PRICE_BASIS_NONE : PRICE_BASIS_ESTIMATED;
    r->flags |= RECORD_ESTIMATED;
}

static void bill(const struct job_row *row, const struct video_task *task, struct usage_record *r)
{
    struct usage *u = &r->usage;
    bool by_tokens = row->has_price && price_is_by_tokens(&row->price);
    u->milliseconds = task->milliseconds;
    u->tier = task->flex ? USAGE_FLEX : USAGE_STANDARD;
    if (task->tokens > 0) usage_set(u, &u->out_total, task->tokens);
    if (task->tokens > 0) u->known = USAGE_INPUT | USAGE_OUTPUT;
    bool enough =
        u->clamped == 0 && u->out_total <= USAGE_BELIEVED && (by_tokens ? u->out_total > 0 : u->milliseconds > 0);
    if (!row->has_price) return;
    if (enough && price_cost(&row->price, u, &r->cost_nanousd))
        r->basis = PRICE_BASIS_COMPUTED;
    else
        estimate(r);
}

void job_settle(const struct job_row *row, const struct video_task *task, enum weir_err err, uint64_t now_wall_ns,
                struct usage_record *ret_record)
{
    struct usage_record *r = ret_record;
    *r = row->created;
    r->kind = RECORD_SETTLED;
    r->attempt_id[8] |= SETTLED_MARK; /* a worker's number is far below */
    r->flags &= (uint8_t) ~(RECORD_TASK | RECORD_STREAM | RECORD_ESTIMATED);
    r->flags |= RECORD_FINAL;
    r->usage = (struct usage){.requests = 1};
    r->cost_nanousd = -1;
    r->basis = PRICE_BASIS_NONE;
    r->duration_us = now_wall_ns > r->started_wall_ns ? (now_wall_ns - r->started_wall_ns) / 1000 : 0;
    r->err = (uint16_t)err;
    if (task == NULL) {
        r->outcome = OUTCOME_FAILED;
        estimate(r);
        return;
    }
    if (task->state == VIDEO_DONE) {
        r->outcome = OUTCOME_OK;
        bill(row, task, r);
        return;
    }
    r->outcome = task->state == VIDEO_CANCELLED ? OUTCOME_CANCELLED : OUTCOME_FAILED;
    r->cost_nanousd = 0; /* what failed or was cancelled is not charged */
}
