#include "proto/dialect/provider_type.h"

static const struct provider_type types[PROVIDER_TYPES] = {
#define PROVIDER_TYPE(i, n, d, b, v, ...) \
    [PROVIDER_##i] = {.name = n, .dialect = DIALECT_##d, .base_url = b, .variable = v, __VA_ARGS__},
#define PROVIDER_TYPE_LATER(n)
#include "proto/dialect/provider_types.tbl.h"
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER
};

const char provider_type_words[] =
#define PROVIDER_TYPE(i, n, ...) n " "
#define PROVIDER_TYPE_LATER(n)
#include "proto/dialect/provider_types.tbl.h"
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER
    "|"
#define PROVIDER_TYPE(i, n, ...)
#define PROVIDER_TYPE_LATER(n) " " n
#include "proto/dialect/provider_types.tbl.h"
    ;
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER

const struct provider_type *provider_type_of(unsigned id)
{
    return &types[id < PROVIDER_TYPES ? id : 0];
}

uint32_t provider_type_dialects(unsigned id)
{
    const struct provider_type *t = provider_type_of(id);
    return t->also | UINT32_C(1) << t->dialect;
}

enum dialect_id provider_dialect(enum dialect_id own, uint32_t dialects, enum dialect_id client)
{
    return (dialects >> client & 1) != 0 ? client : own;
}
