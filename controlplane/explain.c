#include "controlplane/explain.h"

#include "proto/base/err.h"
#include "proto/dialect/dialect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void add_usd(struct buf *out, int64_t nanousd)
{
    char text[32];
    if (nanousd < 0) {
        buf_addz(out, "unknown");
        return;
    }
    price_format_usd(nanousd, text, sizeof text);
    buf_addz(out, text);
}

static void add_us(struct buf *out, uint64_t us)
{
    if (us < 1000)
        buf_addf(out, "%llu us", (unsigned long long)us);
    else if (us < 1000000)
        buf_addf(out, "%.1f ms", (double)us / 1e3);
    else
        buf_addf(out, "%.2f s", (double)us / 1e6);
}

static void add_head(struct buf *out, const struct usage_record *r)
{
    char when[40];
    struct tm tm;
    time_t s = (time_t)(r->request_wall_ns / 1000000000u);
    gmtime_r(&s, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    buf_addf(out, "%s  %s.%03d UTC", r->request_id, when, (int)(r->request_wall_ns / 1000000 % 1000));
    if (r->key[0] != '\0') buf_addf(out, "  key %s", r->key);
    const struct dialect *client = dialect_of((enum dialect_id)r->client_dialect);
    const struct dialect *target = dialect_of((enum dialect_id)r->upstream_dialect);
    if (client != NULL) buf_addf(out, "  %s", client->name);
    if (target != NULL && client != target && r->kind == RECORD_ATTEMPT) buf_addf(out, " -> %s", target->name);
    if (r->flags & RECORD_STREAM) buf_addz(out, "  streamed");
    if (r->client[0] != '\0') buf_addf(out, "  %s", r->client);
    if (r->session[0] != '\0') buf_addf(out, "  session %s", r->session);
    buf_addc(out, '\n');
}

static void add_try(struct buf *out, const struct usage_record *r)
{
    char target[NAME_PROVIDER + NAME_MODEL];
    snprintf(target, sizeof target, "%s/%s", r->provider, r->model);
    buf_addf(out, "try %-4u %-28s %s, ", r->attempt, target,
             r->flags & RECORD_REUSED ? "kept connection" : "new connection");
    if (r->status > 0) buf_addf(out, "%u ", r->status);
    if (r->err != WEIR_OK) {
        buf_addf(out, "%s after ", err_word((enum weir_err)r->err));
        add_us(out, r->duration_us);
        if (r->detail[0] != '\0') buf_addf(out, " (%s)", r->detail);
    } else {
        buf_addz(out, "in ");
        add_us(out, r->duration_us);
        buf_addf(out, ", %lld tokens out", (long long)r->usage.out_total);
    }
    buf_addz(out, "   ");
    add_usd(out, r->cost_nanousd);
    buf_addz(out, r->flags & RECORD_ESTIMATED ? " (estimate)\n" : "\n");
}

/* A task that has ended. */
static void add_settled(struct buf *out, const struct usage_record *r)
{
    buf_addf(out, "settled  task %s%s%s after ", r->detail[0] != '\0' ? r->detail : "-",
             r->err != WEIR_OK                 ? ", "
             : r->outcome == OUTCOME_CANCELLED ? ", cancelled"
                                               : "",
             r->err != WEIR_OK ? err_word((enum weir_err)r->err) : "");
    add_us(out, r->duration_us);
    if (r->usage.milliseconds > 0) buf_addf(out, ", %lld s of video", (long long)r->usage.milliseconds / 1000);
    buf_addf(out, ", %lld tokens   ", (long long)r->usage.out_total);
    add_usd(out, r->cost_nanousd);
    buf_addz(out, r->flags & RECORD_ESTIMATED ? " (estimate)\n" : "\n");
}

struct term {
    const char *name;
    int64_t count, rate;
};

static int64_t or_rate(int64_t rate, int64_t otherwise)
{
    return rate == PRICE_UNKNOWN ? otherwise : rate;
}

static bool add_term_list(struct buf *out, const struct term *terms, size_t n, double unit, bool first)
{
    for (size_t i = 0; i < n; i++) {
        if (terms[i].count <= 0 || terms[i].rate < 0) continue;
        buf_addf(out, "%s%lld%s x $%.6g", first ? "" : " + ", (long long)terms[i].count, terms[i].name,
                 (double)terms[i].rate / unit);
        first = false;
    }
    return first;
}

/* What multiplies the whole: discounts and regions, the service tier. */
static void add_factors(struct buf *out, const struct price_row *row, const struct usage *u)
{
    static const char *const words[] = {"", "batch", "flex", "priority"};
    const int32_t tiers[] = {0, row->batch_ppm, row->flex_ppm, row->priority_ppm};
    int32_t tier = u->tier < 4 ? tiers[u->tier] : 0;
    if (row->factor_ppm > 0 && row->factor_ppm != 1000000) buf_addf(out, ", x %.6g", row->factor_ppm / 1e6);
    if (tier > 0 && tier != 1000000) buf_addf(out, ", x %.6g (%s)", tier / 1e6, words[u->tier]);
    if (u->regional && row->regional_permille > 0) buf_addf(out, ", x %.4g (one region)", row->regional_permille / 1e3);
}

static void add_terms(struct buf *out, const struct price_row *row, const struct price_rates *p, const struct usage *u)
{
    int64_t write = or_rate(p->cache_write_5m, p->input);
    const struct term tokens[] = {
        {"", u->in_uncached - u->in_audio - u->in_image, p->input},
        {" of sound", u->in_audio, or_rate(p->in_audio, p->input)},
        {" of pictures", u->in_image, or_rate(p->in_image, p->input)},
        {" cached", u->cache_read, or_rate(p->cache_read, p->input)},
        {" cache writes", u->cache_write_5m, write},
        {" long cache writes", u->cache_write_1h, or_rate(p->cache_write_1h, write + write * 6 / 10)},
        {" out", u->out_total - u->out_audio - u->out_image, p->output},
        {" of sound out", u->out_audio, or_rate(p->out_audio, p->output)},
        {" of pictures out", u->out_image, or_rate(p->out_image, p->output)},
    };
    const struct term others[] = {
        {" searches", u->web_searches, row->per_web_search_picousd},
        {" calls", u->requests, row->per_request_picousd > 0 ? row->per_request_picousd : PRICE_UNKNOWN},
        {" units", u->units, row->per_unit_picousd > 0 ? row->per_unit_picousd : PRICE_UNKNOWN},
        {" ms", u->milliseconds, row->per_second_picousd > 0 ? row->per_second_picousd / 1000 : PRICE_UNKNOWN},
    };
    bool first = add_term_list(out, tokens, sizeof tokens / sizeof *tokens, 1e6, true);
    if (!first) buf_addz(out, " per million");
    first = add_term_list(out, others, sizeof others / sizeof *others, 1e12, first);
    if (first)
        buf_addz(out, "nothing to pay for");
    else
        add_factors(out, row, u);
}

/* The arithmetic is shown only if today's row still gives the figure that was booked. */
static void add_cost(struct buf *out, const struct usage_record *r, const struct price_row *row)
{
    int64_t again = -1;
    buf_addz(out, "cost     ");
    if (r->cost_nanousd < 0) {
        buf_addf(out, "unknown: no price for %s/%s; set models.%s/%s.price\n", r->provider, r->model, r->provider,
                 r->model);
        return;
    }
    bool same = row != NULL && price_cost(row, &r->usage, &again) && again == r->cost_nanousd;
    bool tiered = same && row->tier_above_tokens > 0 && usage_in_total(&r->usage) > row->tier_above_tokens;
    if (same) {
        add_terms(out, row, tiered ? &row->tier : &row->base, &r->usage);
        buf_addz(out, " = ");
    }
    add_usd(out, r->cost_nanousd);
    const char *basis = price_basis_word((enum price_basis)r->basis);
    if (basis != NULL) buf_addf(out, "   %s", basis);
    if (r->price_date > 0)
        buf_addf(out, ", prices of %04u-%02u-%02u", r->price_date / 10000, r->price_date / 100 % 100,
                 r->price_date % 100);
    buf_addc(out, '\n');
}

void explain_text(const struct usage_record *records, size_t n,
                  const struct price_row *(*price_of)(const void *context, const char *provider, const char *model),
                  const void *context, struct buf *out)
{
    const struct usage_record *last = &records[n - 1];
    int64_t sum = 0;
    bool unknown = false;
    add_head(out, last);
    buf_addf(out, "asked    %-28s route %s\n", last->asked_model[0] != '\0' ? last->asked_model : "-",
             last->route[0] != '\0' ? last->route : "-");
    for (size_t i = 0; i < n; i++) {
        if (records[i].kind == RECORD_REFUSED) continue;
        (records[i].kind == RECORD_SETTLED ? add_settled : add_try)(out, &records[i]);
        unknown |= records[i].cost_nanousd < 0;
        sum += records[i].cost_nanousd > 0 ? records[i].cost_nanousd : 0;
    }
    if (last->kind == RECORD_REFUSED)
        buf_addf(out, "refused  %s%s%s%s\n", err_word((enum weir_err)last->err), last->detail[0] != '\0' ? " (" : "",
                 last->detail, last->detail[0] != '\0' ? ")" : "");
    else if (last->flags & RECORD_TASK)
        buf_addf(out, "cost     not known yet: the task %s is under way\n", last->detail);
    else
        add_cost(out, last, price_of(context, last->provider, last->model));
    if (n > 1) {
        buf_addz(out, "in all   ");
        add_usd(out, unknown ? -1 : sum);
        buf_addc(out, '\n');
    }
    if (last->loss[0] != '\0') buf_addf(out, "lost     %s (the target's dialect cannot carry it)\n", last->loss);
    buf_addf(out, "client   status %u, waited ", last->client_status);
    add_us(out, last->request_us);
    if (last->ttft_us > 0) {
        buf_addz(out, ", first content after ");
        add_us(out, last->ttft_us);
    }
    buf_addz(out, ", of which ");
    add_us(out, last->overhead_us);
    buf_addz(out, " here");
}
