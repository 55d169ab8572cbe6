#include "controlplane/credentials.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/platform_util.h>

#define NEVER UINT64_MAX

enum { JITTER_PERCENT = 5, FETCH_MS = 10000, METADATA_MS = 3000 };

struct entry {
    struct credentials *owner;
    struct credential_conf conf; /* its texts are in `texts` */
    struct buf texts;

    enum credential_state state;
    struct buf packed;    /* the value; empty without one */
    uint64_t expires_ms;  /* NEVER without a value, or for one that does not end */
    uint64_t refresh_ms;  /* when the next refresh begins; NEVER: none needed */
    uint64_t began_ms;    /* the last one; 0: none yet */
    uint64_t got_wall_ms; /* the value; 0: never */
    const char *via;
    char why[256];
    unsigned failed_in_a_row;
    uint64_t refreshes, failures;

    bool refreshing;
    struct refresh refresh;
    struct fetch *fetch;
};

struct credentials {
    struct credentials_settings s;
    struct tls_trust *trust; /* made with the first https request */
    uv_timer_t *timer;       /* a block of its own: it dies in its close callback */
    uint64_t random;
    struct entry **entries;
    unsigned n;
};

static void arm(struct credentials *c);

const char *credential_state_word(enum credential_state s)
{
    static const char *const words[] = {"waiting", "fresh", "failing", "auth_error"};
    return (unsigned)s < sizeof words / sizeof *words ? words[s] : "?";
}

/* For jitter only. Source: Steele and others, splitmix64. */
static uint64_t next_random(struct credentials *c)
{
    uint64_t z = c->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void wipe(struct buf *b)
{
    if (b->cap > 0) mbedtls_platform_zeroize(b->p, b->cap);
    buf_fini(b);
}

/* ---- Telling ---- */

static void tell(struct entry *e)
{
    struct credential value;
    bool has = credential_unpack(buf_view(&e->packed), &value);
    const struct credential_event event = {
        .provider_id = e->conf.provider_id,
        .state = e->state,
        .value = has ? &value : NULL,
        .packed = has ? buf_view(&e->packed) : STR_NULL,
        .expires_mono_ms = has ? e->expires_ms : 0,
        .via = e->via,
        .why = e->why,
    };
    e->owner->s.on_event(e->owner->s.context, &event);
}

static void lose_value(struct entry *e)
{
    wipe(&e->packed);
    e->expires_ms = NEVER;
    e->state = CREDENTIAL_NONE;
}

/* ---- One refresh ---- */

static void end_refresh(struct entry *e)
{
    refresh_fini(&e->refresh);
    e->refreshing = false;
}

/* When to get the next one: early enough to fail a few times, and not all providers of a machine at once. */
static uint64_t refresh_after_ms(struct entry *e, uint64_t life_ms)
{
    uint64_t wish_ms = e->refresh.refresh_s * 1000;
    uint64_t at_ms = life_ms / 100 * CREDENTIALS_REFRESH_PERCENT;
    if (wish_ms > 0 && wish_ms < at_ms) at_ms = wish_ms;
    at_ms -= next_random(e->owner) % (at_ms * JITTER_PERCENT / 100 + 1);
    return at_ms < e->owner->s.gap_ms ? e->owner->s.gap_ms : at_ms;
}

/* A tenth; of lives that are long enough at least a second, which the answer may have taken to come, and at most ten. */
static uint64_t margin_of(uint64_t life_ms)
{
    uint64_t tenth_ms = life_ms / 10;
    if (life_ms >= 3000 && tenth_ms < 1000) return 1000;
    return tenth_ms < CREDENTIALS_MARGIN_MS ? tenth_ms : CREDENTIALS_MARGIN_MS;
}

static void got_value(struct entry *e)
{
    uint64_t now = clock_mono_ms(), life_ms = e->refresh.life_s * 1000;
    uint64_t margin_ms = margin_of(life_ms);
    wipe(&e->packed);
    if (!credential_pack(&e->refresh.value, &e->packed)) {
        /* an issuer's answer is at most 256 KiB, and a field of it may be above what the form holds */
        lose_value(e);
        snprintf(e->why, sizeof e->why, "%s: the credential is too long", e->refresh.via);
        e->refresh_ms = now + e->owner->s.retry_max_ms;
        end_refresh(e);
        tell(e);
        return;
    }
    e->state = CREDENTIAL_FRESH;
    e->via = e->refresh.via;
    e->why[0] = '\0';
    e->failed_in_a_row = 0;
    e->refreshes++;
    e->got_wall_ms = clock_wall_ns() / 1000000u;
    e->expires_ms = life_ms == 0 ? NEVER : now + life_ms - margin_ms;
    e->refresh_ms = life_ms == 0 ? NEVER : now + refresh_after_ms(e, life_ms - margin_ms);
    end_refresh(e);
    tell(e);
}

/* Doubled with each failure in a row; a refusal that will not change by itself is asked about seldom: a file may be replaced. */
static uint64_t pause_ms(struct entry *e, bool again)
{
    const struct credentials_settings *s = &e->owner->s;
    unsigned doublings = e->failed_in_a_row - 1 < 16 ? e->failed_in_a_row - 1 : 16;
    uint64_t ms = (uint64_t)s->retry_min_ms << doublings;
    if (!again || ms > s->retry_max_ms) ms = s->retry_max_ms;
    return ms + next_random(e->owner) % (ms / 5 + 1);
}

static void got_failure(struct entry *e)
{
    bool had_none = e->state == CREDENTIAL_NONE;
    e->failures++;
    e->failed_in_a_row++;
    snprintf(e->why, sizeof e->why, "%.*s", STR_FMT(e->refresh.why));
    e->refresh_ms = clock_mono_ms() + pause_ms(e, e->refresh.again);
    end_refresh(e);
    if (had_none) return; /* was told */
    e->state = buf_len(&e->packed) > 0 ? CREDENTIAL_FAILING : CREDENTIAL_NONE;
    tell(e);
}

static struct tls_trust *trust_of(struct credentials *c, const char **ret_why)
{
    if (c->trust == NULL) c->trust = tls_trust_new(c->s.ca_pem, ret_why);
    return c->trust;
}

static void step(struct entry *e, const struct fetch_answer *answer);

static void on_fetched(void *context, const struct fetch_answer *answer)
{
    struct entry *e = context;
    struct credentials *c = e->owner;
    e->fetch = NULL;
    step(e, answer);
    arm(c);
}

static void step(struct entry *e, const struct fetch_answer *answer)
{
    const char *why = "";
    e->refresh.now_s = clock_wall_ns() / 1000000000u;
    switch (refresh_step(&e->refresh, answer)) {
    case REFRESH_FETCH:
        /* without authorities to trust fetch.c refuses what is https, and says so */
        if (str_starts(e->refresh.fetch.url, STR("https:"))) e->refresh.fetch.trust = trust_of(e->owner, &why);
        e->fetch = fetch_start(e->owner->s.loop, &e->refresh.fetch, on_fetched, e);
        break;
    case REFRESH_DONE: got_value(e); break;
    case REFRESH_ABSENT:
    case REFRESH_FAILED: got_failure(e); break;
    }
}

static void begin_refresh(struct entry *e)
{
    refresh_init(&e->refresh, &e->conf, e->owner->s.env);
    e->refresh.random = next_random(e->owner);
    e->refresh.fetch_ms = e->owner->s.fetch_ms;
    e->refresh.metadata_ms = e->owner->s.metadata_ms;
    e->refreshing = true;
    e->began_ms = clock_mono_ms();
    step(e, NULL);
}

/* ---- Time ---- */

static uint64_t next_due_ms(const struct entry *e)
{
    uint64_t due = e->refreshing ? NEVER : e->refresh_ms;
    return e->expires_ms < due ? e->expires_ms : due;
}

static void on_time(uv_timer_t *timer)
{
    struct credentials *c = timer->data;
    uint64_t now = clock_mono_ms();
    for (unsigned i = 0; i < c->n; i++) {
        struct entry *e = c->entries[i];
        if (now >= e->expires_ms) {
            if (e->why[0] == '\0') snprintf(e->why, sizeof e->why, "it ended before a new one came");
            lose_value(e);
            tell(e);
        }
        if (!e->refreshing && now >= e->refresh_ms) begin_refresh(e);
    }
    arm(c);
}

static void arm(struct credentials *c)
{
    uint64_t due = NEVER, now = clock_mono_ms();
    for (unsigned i = 0; i < c->n; i++)
        if (next_due_ms(c->entries[i]) < due) due = next_due_ms(c->entries[i]);
    if (due == NEVER) {
        uv_timer_stop(c->timer);
        return;
    }
    uv_update_time(c->s.loop); /* the loop's clock may be behind: a timer would be early */
    uv_timer_start(c->timer, on_time, due > now ? due - now : 0, 0);
}

/* ---- The table ---- */

static bool is_same(const struct credential_conf *a, const struct credential_conf *b)
{
#define X(name) \
    if (!str_eq(a->name, b->name)) return false;
    CREDENTIAL_TEXTS(X)
#undef X
    return a->provider_id == b->provider_id && a->source == b->source;
}

static struct entry *entry_new(struct credentials *c, const struct credential_conf *conf)
{
    struct entry *e = xcalloc(1, sizeof *e);
    size_t bytes = 0;
    e->owner = c;
    e->conf = *conf;
#define X(name) bytes += conf->name.n;
    CREDENTIAL_TEXTS(X)
#undef X
    (void)buf_reserve(&e->texts, bytes + 1); /* so that the block stays where it is while it is filled */
#define X(name)                                                       \
    e->conf.name.p = e->texts.p + e->texts.head + buf_len(&e->texts); \
    buf_add(&e->texts, conf->name);
    CREDENTIAL_TEXTS(X)
#undef X
    e->expires_ms = NEVER;
    e->via = "";
    return e;
}

static void entry_free(struct entry *e)
{
    fetch_cancel(&e->fetch);
    if (e->refreshing) end_refresh(e);
    wipe(&e->packed);
    wipe(&e->texts);
    free(e);
}

static struct entry *take_same(struct credentials *c, const struct credential_conf *conf)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct entry *e = c->entries[i];
        if (e == NULL || !is_same(&e->conf, conf)) continue;
        c->entries[i] = NULL;
        return e;
    }
    return NULL;
}

void credentials_configure(struct credentials *c, const struct credential_conf *conf, unsigned n)
{
    struct entry **entries = xcalloc(n + 1, sizeof *entries);
    for (unsigned i = 0; i < n; i++) {
        entries[i] = take_same(c, &conf[i]);
        if (entries[i] == NULL) entries[i] = entry_new(c, &conf[i]);
    }
    for (unsigned i = 0; i < c->n; i++)
        if (c->entries[i] != NULL) entry_free(c->entries[i]);
    free(c->entries);
    c->entries = entries;
    c->n = n;
    arm(c);
}

static struct entry *find(const struct credentials *c, uint16_t provider_id)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->entries[i]->conf.provider_id == provider_id) return c->entries[i];
    return NULL;
}

void credentials_refresh(struct credentials *c, uint16_t provider_id)
{
    struct entry *e = find(c, provider_id);
    uint64_t now = clock_mono_ms();
    if (e == NULL || e->refreshing || (e->began_ms != 0 && now - e->began_ms < c->s.gap_ms)) return;
    e->refresh_ms = now;
    arm(c);
}

bool credentials_status(const struct credentials *c, uint16_t provider_id, struct credential_status *ret)
{
    const struct entry *e = find(c, provider_id);
    if (e == NULL) return false;
    *ret = (struct credential_status){
        .state = e->state,
        .via = e->via,
        .why = e->why,
        .expires_mono_ms = e->expires_ms,
        .next_refresh_mono_ms = e->refresh_ms,
        .got_wall_ms = e->got_wall_ms,
        .refreshes = e->refreshes,
        .failures = e->failures,
    };
    return true;
}

struct credentials *credentials_new(const struct credentials_settings *settings)
{
    struct credentials *c = xcalloc(1, sizeof *c);
    c->s = *settings;
    if (c->s.retry_min_ms == 0) c->s.retry_min_ms = CREDENTIALS_RETRY_MIN_MS;
    if (c->s.retry_max_ms == 0) c->s.retry_max_ms = CREDENTIALS_RETRY_MAX_MS;
    if (c->s.gap_ms == 0) c->s.gap_ms = CREDENTIALS_GAP_MS;
    if (c->s.fetch_ms == 0) c->s.fetch_ms = FETCH_MS;
    if (c->s.metadata_ms == 0) c->s.metadata_ms = METADATA_MS;
    c->random = clock_wall_ns() ^ clock_mono_ns() << 20;
    c->timer = xcalloc(1, sizeof *c->timer);
    uv_timer_init(c->s.loop, c->timer);
    c->timer->data = c;
    return c;
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(timer);
}

void credentials_free(struct credentials **cp)
{
    struct credentials *c = *cp;
    *cp = NULL;
    if (c == NULL) return;
    for (unsigned i = 0; i < c->n; i++) entry_free(c->entries[i]);
    uv_close((uv_handle_t *)c->timer, on_timer_closed);
    tls_trust_free(&c->trust);
    free(c->entries);
    free(c);
}
