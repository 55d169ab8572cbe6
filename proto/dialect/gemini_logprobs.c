/* logprobsResult of a candidate and OpenAI's list of the same: token by token, with the likeliest alternatives of each. */
#include "proto/dialect/gemini.h"

#include "proto/dialect/tree.h"

/* ---- Gemini's as OpenAI's ---- */

static void add_bytes(struct str token, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < token.n; i++) buf_addf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)token.p[i]);
    buf_addc(out, ']');
}

static void add_token(yyjson_val *candidate, struct buf *out)
{
    struct str token = gemini_get_str(candidate, "token"), value = tree_num(gemini_get(candidate, "logProbability"));
    buf_add(out, STR("{\"token\":"));
    buf_add_json_str(out, token);
    buf_add(out, STR(",\"logprob\":"));
    buf_add(out, value.n > 0 ? value : STR("0"));
    buf_add(out, STR(",\"bytes\":"));
    add_bytes(token, out);
}

struct str gemini_read_logprobs(yyjson_val *candidate, struct arena *a)
{
    yyjson_val *result = gemini_get(candidate, "logprobsResult"), *chosen = gemini_get(result, "chosenCandidates"), *v;
    yyjson_val *top = gemini_get(result, "topCandidates"), *alternatives = yyjson_arr_get_first(top), *one;
    size_t i, n, j, k, tops = yyjson_arr_size(top);
    if (yyjson_arr_size(chosen) == 0) return STR_NULL;
    struct buf b = {0};
    yyjson_arr_foreach(chosen, i, n, v)
    {
        buf_addc(&b, i == 0 ? '[' : ',');
        add_token(v, &b);
        buf_add(&b, STR(",\"top_logprobs\":["));
        yyjson_arr_foreach(i < tops ? gemini_get(alternatives, "candidates") : NULL, j, k, one)
        {
            if (j > 0) buf_addc(&b, ',');
            add_token(one, &b);
            buf_addc(&b, '}');
        }
        if (i < tops) alternatives = unsafe_yyjson_get_next(alternatives);
        buf_add(&b, STR("]}"));
    }
    buf_addc(&b, ']');
    struct str text = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return text;
}

/* ---- OpenAI's as Gemini's ---- */

static void add_candidate(yyjson_val *token, struct buf *out)
{
    struct str value = tree_num(tree_get(token, "logprob"));
    buf_add(out, STR("{\"token\":"));
    buf_add_json_str(out, tree_get_str(token, "token"));
    buf_add(out, STR(",\"logProbability\":"));
    buf_add(out, value.n > 0 ? value : STR("0"));
    buf_addc(out, '}');
}

static void add_candidates(yyjson_val *list, struct buf *out)
{
    size_t i, n;
    yyjson_val *token;
    yyjson_arr_foreach(list, i, n, token)
    {
        if (i > 0) buf_addc(out, ',');
        add_candidate(token, out);
    }
}

void gemini_write_logprobs(struct str list, struct buf *out)
{
    yyjson_val *root, *token;
    struct arena a; /* of its own: a stream would keep every tree */
    struct str why;
    size_t i, n;
    if (list.n == 0) return;
    arena_init(&a, 4096);
    if (tree_read(list, &a, &root, &why) == WEIR_OK) {
        buf_add(out, STR(",\"logprobsResult\":{\"topCandidates\":["));
        yyjson_arr_foreach(root, i, n, token)
        {
            buf_addz(out, i == 0 ? "{\"candidates\":[" : ",{\"candidates\":[");
            add_candidates(tree_get(token, "top_logprobs"), out);
            buf_add(out, STR("]}"));
        }
        buf_add(out, STR("],\"chosenCandidates\":["));
        add_candidates(root, out);
        buf_add(out, STR("]}"));
    }
    arena_fini(&a);
}
