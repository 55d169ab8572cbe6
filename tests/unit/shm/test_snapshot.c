#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/auth/signer.h"
#include "shm/snapshot.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct snap_provider provider(struct snap_builder *b, const char *name, const char *host, uint16_t id)
{
    return (struct snap_provider){.name = snap_add_text(b, str_of(name)),
                                  .host = snap_add_text(b, str_of(host)),
                                  .host_header = snap_add_text(b, str_of(host)),
                                  .id = id,
                                  .port = 443,
                                  .tls = 1,
                                  .auth = SIGNER_BEARER,
                                  .secret = ID_NONE};
}

static struct snap_route route(struct snap_builder *b, const char *name, const char *match)
{
    return (struct snap_route){.name = snap_add_text(b, str_of(name)),
                               .match = snap_add_text(b, str_of(match)),
                               .attempts = 1,
                               .connect_ms = 1,
                               .first_token_ms = 1,
                               .idle_ms = 1,
                               .total_ms = 1};
}

static uint16_t target(struct snap_builder *b, const char *name, const char *model, uint16_t provider)
{
    static uint16_t id;
    struct snap_target t = {.name = snap_add_text(b, str_of(name)),
                            .model = snap_add_text(b, str_of(model)),
                            .id = id++ % SHM_TARGETS,
                            .provider = provider,
                            .price = ID_NONE};
    return snap_add_target(b, &t);
}

/* Two providers; chat -> openai/gpt-x, alias gpt-4o and claude-*; passthrough for anthropic only. */
static struct snap_builder *example(void)
{
    struct snap_builder *b = snap_builder_new();
    struct secret_row secret = {.origin_host = "api.openai.com", .origin_port = 443, .origin_tls = 1};
    struct snap_provider p0 = provider(b, "openai", "api.openai.com", 0);
    struct snap_provider p1 = provider(b, "anthropic", "api.anthropic.com", 1);

    p0.secret = snap_add_secret(b, &secret, STR("sk-canary"));
    p0.secrets = p1.secrets = 1;
    p1.secret = p0.secret; /* bound to another origin: must read as empty */
    snap_add_provider(b, &p0);
    snap_add_provider(b, &p1);
    struct snap_leg leg = {.id = 3, .target = target(b, "openai/gpt-x", "gpt-x", 0), .weight = 100};
    target(b, "anthropic/claude-x", "claude-x", 1);
    target(b, "anthropic/shared", "shared", 1);
    target(b, "openai/shared", "shared", 0);
    target(b, "anthropic/*", "", 1);
    struct snap_route chat = route(b, "chat", "");
    chat.legs = (struct snap_list){snap_add_leg(b, &leg), 1};
    uint16_t chat_index = snap_add_route(b, &chat);
    struct snap_route pass = route(b, "pass", "*/*");
    pass.allow = (struct snap_list){snap_add_string(b, STR("anthropic/*")), 1};
    snap_add_route(b, &pass);
    snap_add_alias(b, &(struct snap_alias){snap_add_text(b, STR("claude-*")), chat_index, 1, 0});
    snap_add_alias(b, &(struct snap_alias){snap_add_text(b, STR("gpt-4o")), chat_index, 0, 0});
    snap_add_alias(b, &(struct snap_alias){snap_add_text(b, STR("claude-exact")), chat_index + 1u, 0, 0});
    for (unsigned i = 0; i < 5; i++) {
        struct snap_key k = {.name = snap_add_text(b, STR("app")), .id = (uint16_t)i};
        memset(k.sha256, (int)(200 - 40 * i), sizeof k.sha256);
        k.routes = (struct snap_list){snap_add_key_route(b, chat_index), 1};
        snap_add_key(b, &k);
    }
    snap_builder_head(b)->serial = 7;
    snap_builder_head(b)->server.max_body_bytes = 1 << 20;
    return b;
}

static struct snap *open_example(int *ret_fd)
{
    struct snap_builder *b = example();
    const char *why = NULL;
    int fd, secrets;

    if (!snap_builder_finish(b, &fd, &secrets, &why)) fail_msg("%s", why);
    snap_builder_free(&b);
    struct snap *sn = snap_open(fd, secrets, &why);
    if (sn == NULL) fail_msg("%s", why);
    close(secrets);
    if (ret_fd != NULL)
        *ret_fd = fd;
    else
        close(fd);
    return sn;
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);

    assert_int_equal(sn->s->serial, 7);
    assert_int_equal(sn->s->providers.n, 2);
    assert_true(str_is(snap_text(sn, sn->providers[0].host), "api.openai.com"));
    assert_ptr_equal(snap_text(sn, sn->providers[0].host).p, snap_text(sn, sn->providers[0].host_header).p);
    assert_true(str_is(snap_text(sn, sn->targets[1].name), "anthropic/claude-x"));
    assert_true(str_is(snap_string(sn, sn->routes[1].allow, 0), "anthropic/*"));
    assert_int_equal(sn->legs[sn->routes[0].legs.first].id, 3);
    assert_true(str_is(snap_text(sn, (struct snap_str){0, 0}), ""));
    struct snap *again = snap_ref(sn);
    snap_unref(&again);
    assert_null(again);
    assert_int_equal(sn->s->serial, 7);
    snap_unref(&sn);
    snap_unref(&sn);
}

static void keys_are_found_by_their_hash(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);
    uint8_t hash[32];

    for (unsigned v = 0; v < 256; v++) {
        memset(hash, (int)v, sizeof hash);
        const struct snap_key *k = snap_find_key(sn, hash);
        assert_int_equal(k != NULL, v >= 40 && v <= 200 && v % 40 == 0);
        if (k != NULL) {
            assert_int_equal(k->id, (200 - v) / 40);
            assert_int_equal(snap_key_route(sn, k, 0), 0);
        }
    }
    memset(hash, 200, sizeof hash);
    hash[31] = 201;
    assert_null(snap_find_key(sn, hash));
    snap_unref(&sn);
}

static void check_route(const struct snap *sn, const char *model, const char *want_route, const char *want_target)
{
    uint16_t target;
    const struct snap_route *r = snap_find_route(sn, str_of(model), &target);
    struct str route_name = r == NULL ? STR("none") : snap_text(sn, r->name);
    struct str target_name = target == ID_NONE ? STR("-") : snap_text(sn, sn->targets[target].name);

    if (!str_is(route_name, want_route) || !str_is(target_name, want_target))
        fail_msg("%s: route %.*s, target %.*s", model, STR_FMT(route_name), STR_FMT(target_name));
}

static void names_lead_to_routes_in_order(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);

    check_route(sn, "chat", "chat", "-");
    check_route(sn, "gpt-4o", "chat", "-");
    check_route(sn, "claude-exact", "pass", "-"); /* an exact alias before the glob that stands earlier */
    check_route(sn, "claude-sonnet", "chat", "-");
    check_route(sn, "anthropic/claude-x", "pass", "anthropic/claude-x");
    check_route(sn, "anthropic/any/thing", "pass", "anthropic/*");
    check_route(sn, "openai/gpt-x", "none", "-"); /* not allowed by the pass-through */
    check_route(sn, "nobody/gpt-x", "none", "-");
    check_route(sn, "anthropic/", "none", "-");
    check_route(sn, "gpt-x", "chat", "openai/gpt-x"); /* bare, of one provider */
    check_route(sn, "shared", "none", "-");           /* bare, of two */
    check_route(sn, "gpt", "none", "-");
    check_route(sn, "", "none", "-");
    snap_unref(&sn);
}

static void a_secret_goes_only_to_its_origin(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);
    struct snap_provider other = sn->providers[0];

    assert_true(str_is(snap_secret(sn, &sn->providers[0]), "sk-canary"));
    assert_int_equal(snap_secret(sn, &sn->providers[1]).n, 0);
    other.port = 8443;
    assert_int_equal(snap_secret(sn, &other).n, 0);
    other = sn->providers[0];
    other.tls = 0;
    assert_int_equal(snap_secret(sn, &other).n, 0);
    other = sn->providers[0];
    other.secret = ID_NONE;
    assert_int_equal(snap_secret(sn, &other).n, 0);
    snap_unref(&sn);
}

static void a_sealed_snapshot_cannot_be_written(void **state)
{
    (void)state;
    int fd;
    struct snap *sn = open_example(&fd);

    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
    snap_unref(&sn);
}

/* A copy with one 32-bit word changed, its checksum made right again. */
static bool opens_with(const struct snap *sn, size_t at, uint32_t value)
{
    struct segment seg;
    const char *why = NULL;
    int fd = segment_create("t", SHM_SNAPSHOT, sn->seg.bytes, &seg, &why);

    memcpy(seg.base, sn->seg.base, sn->seg.bytes);
    memcpy((char *)seg.base + at, &value, sizeof value);
    struct snapshot *s = seg.base;
    s->crc = crc32c(0, (char *)seg.base + sizeof *s, seg.bytes - sizeof *s);
    struct segment secret;
    int secrets = segment_create("t", SHM_SECRETS, sn->secret_seg.bytes, &secret, &why);
    memcpy(secret.base, sn->secret_seg.base, secret.bytes);
    struct snap *copy = snap_open(fd, secrets, &why);
    bool opened = copy != NULL;
    if (opened) { /* whatever was changed, reading stays inside: ASan looks on */
        uint16_t t;
        snap_find_route(copy, STR("anthropic/claude-x"), &t);
        snap_find_route(copy, STR("gpt-x"), &t);
        for (uint32_t i = 0; i < copy->s->providers.n; i++) snap_secret(copy, &copy->providers[i]);
    }
    snap_unref(&copy);
    segment_unmap(&seg);
    segment_unmap(&secret);
    close(fd);
    close(secrets);
    return opened;
}

static void an_index_out_of_range_is_refused(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);
    size_t leg = (size_t)((const char *)&sn->legs[0].target - (const char *)sn->s);
    size_t target = (size_t)((const char *)&sn->targets[0] - (const char *)sn->s);

    assert_true(opens_with(sn, offsetof(struct snapshot, price_list_date), 20260101));
    assert_false(opens_with(sn, leg - 2, 0xFFFE0003u));
    assert_false(opens_with(sn, offsetof(struct snapshot, legs), 1u << 31));
    assert_false(opens_with(sn, offsetof(struct snapshot, legs) + 4, 1u << 19));
    assert_false(opens_with(sn, offsetof(struct snapshot, head) + 16, 1));
    assert_false(opens_with(sn, target + offsetof(struct snap_target, name), 0xFFFFFFF0u));
    assert_false(opens_with(sn, target + offsetof(struct snap_target, name) + 4, 0xFFFFFFF0u));
    for (size_t at = 0; at + 4 <= sn->seg.bytes;
         at += 4) { /* every word, once high: opened or not, never read outside */
        opens_with(sn, at, 0xFFFFFFFFu);
        opens_with(sn, at, 0x00010000u);
    }
    snap_unref(&sn);
}

static void a_changed_byte_is_seen_by_the_checksum(void **state)
{
    (void)state;
    struct snap *sn = open_example(NULL);
    struct segment seg;
    const char *why = NULL;
    int fd = segment_create("t", SHM_SNAPSHOT, sn->seg.bytes, &seg, &why);
    struct segment secret;
    int secrets = segment_create("t", SHM_SECRETS, sn->secret_seg.bytes, &secret, &why);

    memcpy(secret.base, sn->secret_seg.base, secret.bytes);
    for (size_t at = sizeof(struct snapshot); at < sn->seg.bytes; at += 61) {
        memcpy(seg.base, sn->seg.base, sn->seg.bytes);
        ((char *)seg.base)[at] ^= 1;
        assert_null(snap_open(fd, secrets, &why));
        assert_string_equal(why, "snapshot: checksum");
    }
    segment_unmap(&seg);
    segment_unmap(&secret);
    close(fd);
    close(secrets);
    snap_unref(&sn);
}

static void what_workers_would_refuse_is_not_published(void **state)
{
    (void)state;
    struct snap_builder *b = example();
    struct snap_leg leg = {.target = 99};
    const char *why = NULL;
    int fd = -1, secrets = -1;

    snap_add_leg(b, &leg);
    assert_false(snap_builder_finish(b, &fd, &secrets, &why));
    assert_string_equal(why, "snapshot: number of a leg");
    assert_int_equal(fd, -1);
    snap_builder_free(&b);
}

static void many_texts_are_kept_once(void **state)
{
    (void)state;
    struct snap_builder *b = snap_builder_new();
    struct snap_str first[2000];
    char text[32];

    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < 2000; i++) {
            int n = snprintf(text, sizeof text, "model-%u", i);
            struct snap_str s = snap_add_text(b, (struct str){text, (size_t)n});
            if (pass == 0)
                first[i] = s;
            else
                assert_int_equal(s.off, first[i].off);
        }
    snap_builder_free(&b);
    snap_builder_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(keys_are_found_by_their_hash),
        cmocka_unit_test(names_lead_to_routes_in_order),
        cmocka_unit_test(a_secret_goes_only_to_its_origin),
        cmocka_unit_test(a_sealed_snapshot_cannot_be_written),
        cmocka_unit_test(an_index_out_of_range_is_refused),
        cmocka_unit_test(a_changed_byte_is_seen_by_the_checksum),
        cmocka_unit_test(what_workers_would_refuse_is_not_published),
        cmocka_unit_test(many_texts_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
