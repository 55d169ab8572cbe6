#include "controlplane/key_check.h"

#include "controlplane/config/config.h"
#include "proto/dialect/dialect.h"
#include "proto/dialect/provider_type.h"

#include <string.h>

enum { CALL_MS = 10000, MODELS_BYTES = 4 << 20 };

struct fetch *key_check_start(uv_loop_t *loop, const struct config_provider *p, enum signer_kind signer,
                              const struct credential *c, struct arena *a, struct tls_trust **ret_trust,
                              fetch_done done, void *context, const char **ret_why)
{
    const struct provider_type *type = provider_type_of((unsigned)p->type);
    struct buf head = {0};
    *ret_trust = NULL;
    if (type->models_path == NULL) {
        *ret_why = "it has nothing that is free to ask";
        return NULL;
    }
    if (p->url.tls && (*ret_trust = tls_trust_new(p->ca_pem, ret_why)) == NULL) return NULL;
    const struct sign_request request = {.method = STR("GET"), .host = p->url.host, .region = p->region};
    if (c->secret.n > 0 && signer_sign(signer, &request, c, a, &head) != WEIR_OK) {
        *ret_why = "the key holds bytes that no header may; read it again from where it came from";
        tls_trust_free(ret_trust);
        buf_fini(&head);
        return NULL;
    }
    if (type->dialect == DIALECT_ANTHROPIC) http1_write_header(&head, STR("anthropic-version"), STR("2023-06-01"));
    const struct fetch_request get = {.url = arena_printf(a, "%.*s%s", STR_FMT(p->base_url), type->models_path),
                                      .headers = buf_view(&head),
                                      .deadline_ms = CALL_MS,
                                      .body_limit = MODELS_BYTES,
                                      .trust = *ret_trust};
    struct fetch *fetch = fetch_start(loop, &get, done, context);
    if (head.p != NULL) explicit_bzero(head.p, head.cap);
    buf_fini(&head);
    return fetch;
}

static struct key_verdict verdict(enum finding_state state, const char *hint, struct str text)
{
    return (struct key_verdict){state, text, hint};
}

static struct key_verdict refused(const struct key_asked *asked, uint16_t status, struct str code, struct arena *arena)
{
    uint64_t number;
    if (str_u64(code, &number)) code = STR_NULL; /* Google's: the status once more */
    const char *hint =
        !asked->has_key        ? "give providers.NAME.api_key or api_key_file"
        : asked->fetches_token ? "has its account or role the right to use this service, and is it this one's scope?"
        : status == 403
            ? "a key that may not list models can still be good for calls: weir call MODEL \"hello\" tries it"
            : "is it of this provider, whole, and not revoked?";
    return verdict(FINDING_BAD, hint,
                   arena_printf(arena, "%s: %u%s%.*s", asked->has_key ? "refused" : "there is none, and one is wanted",
                                status, code.n > 0 ? " " : "", STR_FMT(code)));
}

struct key_verdict key_check_judge(const struct key_asked *asked, const struct fetch_answer *a, struct arena *arena)
{
    const struct provider_type *type = provider_type_of(asked->type);
    struct upstream_error said = {.retry_after_ms = -1};
    const struct answer_headers none = {0};
    if (a->status >= 400) dialect_of(type->dialect)->read_error(a->status, &none, a->body, arena, &said);
    if (a->status / 100 == 2)
        return verdict(FINDING_OK, NULL, asked->has_key ? STR("accepted") : STR("none is needed to list its models"));
    if (said.err == WEIR_UP_AUTH || said.err == WEIR_UP_PERMISSION) /* Google says so with a 400 */
        return refused(asked, a->status, said.code, arena);
    if (said.err == WEIR_UP_QUOTA)
        return verdict(
            FINDING_BAD, "pay, or raise the limit there; calls go to other targets meanwhile",
            arena_printf(arena, "known, but its account is used up: %u %.*s", a->status, STR_FMT(said.message)));
    if (a->status == 404 || a->status == 405)
        return verdict(FINDING_LOOK, "if calls fail as well: has base_url the right path?",
                       arena_printf(arena, "cannot be tried: it has no list of models behind %.*s%s",
                                    STR_FMT(asked->base_url), type->models_path));
    if (a->status == 429)
        return verdict(FINDING_LOOK, "a limit of its account; calls go to other targets meanwhile",
                       arena_printf(arena, "known, and limited now: %.*s", STR_FMT(said.message)));
    if (a->status / 100 == 3)
        return verdict(
            FINDING_LOOK, "weir follows no redirects: give the address that it leads to",
            arena_printf(arena, "cannot be tried: a redirect to %.*s", STR_FMT(http1_get(a->head, "location"))));
    return verdict(FINDING_LOOK, "a bad moment of the provider? try again",
                   arena_printf(arena, "cannot be tried: status %u %.*s", a->status, STR_FMT(said.message)));
}
