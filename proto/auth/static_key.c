#include "proto/auth/static_key.h"

#include <string.h>

static enum weir_err show(struct buf *head, struct str name, struct str value)
{
    return http1_write_header(head, name, value) ? WEIR_OK : WEIR_UP_AUTH;
}

enum weir_err static_key_bearer(const struct sign_request *r, const struct credential *c, struct arena *a,
                                struct buf *head)
{
    (void)r;
    char *value = arena_alloc(a, 7 + c->secret.n);
    memcpy(value, "Bearer ", 7);
    memcpy(value + 7, c->secret.p, c->secret.n);
    enum weir_err e = show(head, STR("Authorization"), (struct str){value, 7 + c->secret.n});
    if (e == WEIR_OK && c->project.n > 0) e = show(head, STR("x-goog-user-project"), c->project);
    return e;
}

enum weir_err static_key_x_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                   struct buf *head)
{
    (void)r, (void)a;
    return show(head, STR("x-api-key"), c->secret);
}

enum weir_err static_key_x_goog_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                        struct buf *head)
{
    (void)r, (void)a;
    return show(head, STR("x-goog-api-key"), c->secret);
}

enum weir_err static_key_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                 struct buf *head)
{
    (void)r, (void)a;
    return show(head, STR("api-key"), c->secret);
}
