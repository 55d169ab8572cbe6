/* The layout of everything shared, as text. A difference means: processes or files of another build read these bytes. Raise SHM_VERSION
 * (JOURNAL_VERSION for what the journal has), then paste what the failure prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/layout.h"

#include <stdio.h>
#include <string.h>

static char text[16384];
static size_t text_n;

static void put(const char *name, size_t value)
{
    text_n += (size_t)snprintf(text + text_n, sizeof text - text_n, "%s %zu\n", name, value);
}

#define SIZE(type)      put("sizeof " #type, sizeof(struct type))
#define AT(type, field) put(#type "." #field, offsetof(struct type, field))

static void heads(void)
{
    SIZE(shm_head), AT(shm_head, version), AT(shm_head, kind), AT(shm_head, fingerprint), AT(shm_head, bytes);
    SIZE(price_row), AT(price_row, tier), AT(price_row, per_request_picousd), AT(price_row, date);
    SIZE(usage), AT(usage, out_total), AT(usage, known);
}

static void snapshots(void)
{
    SIZE(snap_provider), AT(snap_provider, ca_pem), AT(snap_provider, id), AT(snap_provider, secret),
        AT(snap_provider, region);
    SIZE(snap_target), AT(snap_target, id), AT(snap_target, context_window);
    SIZE(snap_leg), AT(snap_leg, weight);
    SIZE(snap_route), AT(snap_route, legs), AT(snap_route, id), AT(snap_route, connect_ms), AT(snap_route, on_status);
    SIZE(snap_alias), AT(snap_alias, route);
    SIZE(snap_key), AT(snap_key, name), AT(snap_key, routes), AT(snap_key, expires_wall_ms), AT(snap_key, id);
    SIZE(snap_price), AT(snap_price, row);
    SIZE(snap_server), AT(snap_server, header_timeout_ms), AT(snap_server, auth_keys), AT(snap_server, hosts);
    SIZE(snapshot), AT(snapshot, serial), AT(snapshot, server), AT(snapshot, providers), AT(snapshot, crc);
    SIZE(secret_row), AT(secret_row, origin_port), AT(secret_row, weight), AT(secret_row, value);
    SIZE(secrets), AT(secrets, rows);
}

static void ticks(void)
{
    SIZE(tick_target), SIZE(tick_leg), SIZE(tick_address);
    SIZE(tick_provider), AT(tick_provider, resolved_mono_ms), AT(tick_provider, n);
    SIZE(tick_side), AT(tick_side, target), AT(tick_side, leg), AT(tick_side, provider);
    SIZE(tick), AT(tick, incarnation), AT(tick, gen), AT(tick, side), AT(tick, token);
    SIZE(tick_token), AT(tick_token, side), SIZE(tick_token_side), AT(tick_token_side, bytes);
}

static void lives(void)
{
    SIZE(live_process), AT(live_process, pid), AT(live_process, in_flight), AT(live_process, snapshot_serial);
    SIZE(live_target), AT(live_target, open_until_mono_ms), AT(live_target, served), AT(live_target, requests_left),
        AT(live_target, retry_tokens);
    SIZE(live_key), AT(live_key, rate_state), AT(live_key, requests);
    SIZE(live_budget_share);
    SIZE(live_budget), AT(live_budget, limit_nanousd), AT(live_budget, window), AT(live_budget, budget),
        AT(live_budget, drift_seen_nanousd), AT(live_budget, share);
    SIZE(live), AT(live, boot_id), AT(live, phase), AT(live, controlplane), AT(live, worker), AT(live, target),
        AT(live, key), AT(live, budget), AT(live, session), AT(live, in_flight);
}

static void journals(void)
{
    SIZE(usage_record), AT(usage_record, seq), AT(usage_record, attempt_id), AT(usage_record, started_wall_ns),
        AT(usage_record, usage), AT(usage_record, cost_nanousd), AT(usage_record, price_date), AT(usage_record, kind),
        AT(usage_record, worker), AT(usage_record, route), AT(usage_record, model), AT(usage_record, key),
        AT(usage_record, session), AT(usage_record, finish), AT(usage_record, detail);
    SIZE(slot_hold);
    SIZE(journal_slot), AT(journal_slot, hold), AT(journal_slot, draft);
    SIZE(journal_counters);
    SIZE(journal), AT(journal, journal_version), AT(journal, ring_head), AT(journal, ring_tail), AT(journal, reserved),
        AT(journal, incarnation), AT(journal, count), AT(journal, slot_word), AT(journal, slot), AT(journal, ring);
}

static const char pinned[] =
#include "tests/unit/shm/layout.tbl.h"
    ;

static void offsets_are_what_this_version_says(void **state)
{
    (void)state;
    text_n = 0;
    heads();
    snapshots();
    ticks();
    lives();
    journals();
    if (strcmp(text, pinned) != 0) {
        const char *a = text, *b = pinned;
        while (*a != '\0' && *a == *b) a++, b++;
        while (a > text && a[-1] != '\n') a--, b--;
        fputs(text, stderr);
        fail_msg("first difference: now \"%.*s\", pinned \"%.*s\"", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
    }
}

static void what_is_written_by_one_is_on_lines_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct journal, ring_head) / SHM_LINE == offsetof(struct journal, ring_tail) / SHM_LINE,
                     0);
    assert_int_equal(offsetof(struct live_budget, share) % SHM_LINE, 0);
    assert_int_equal(sizeof(struct live_target) % SHM_LINE, 0);
    assert_int_equal(sizeof(struct live_process) % SHM_LINE, 0);
    assert_int_equal(offsetof(struct journal, ring) % 4096, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_what_this_version_says),
        cmocka_unit_test(what_is_written_by_one_is_on_lines_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
