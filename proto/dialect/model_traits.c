#include "proto/dialect/model_traits.h"

enum { NEWEST = 999 };

enum family { OTHER, OPUS, SONNET, HAIKU, FABLE, MYTHOS };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next word of a name, split at anything that is no letter or digit. */
static struct str next_word(struct str *s)
{
    static const struct str separators = STR("-._@:/ ");
    while (s->n > 0 && str_chr(separators, s->p[0]) >= 0) *s = str_slice(*s, 1, s->n);
    size_t n = 0;
    while (n < s->n && str_chr(separators, s->p[n]) < 0) n++;
    struct str word = str_slice(*s, 0, n);
    *s = str_slice(*s, n, s->n);
    return word;
}

static enum family family_of(struct str word)
{
    static const char *const WORDS[] = {"", "opus", "sonnet", "haiku", "fable", "mythos"};
    for (unsigned i = 1; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_iis(word, WORDS[i])) return (enum family)i;
    return OTHER;
}

/* "claude-opus-4-5-20251101" is 45, "claude-3-7-sonnet" 37, "claude-sonnet-4@2025…" 40. Words of one or two digits are the
 * version; longer ones are dates. */
static unsigned read_version(struct str rest, enum family *ret_family)
{
    unsigned part[2] = {0, 0}, n = 0;
    *ret_family = OTHER;
    while (rest.n > 0) {
        struct str word = next_word(&rest);
        uint64_t v;
        if (family_of(word) != OTHER)
            *ret_family = family_of(word);
        else if (n < 2 && word.n <= 2 && str_u64(word, &v))
            part[n++] = (unsigned)v;
        else if (n > 0)
            break;
    }
    return n == 0 ? NEWEST : part[0] * 10 + (part[1] < 10 ? part[1] : 9);
}

static enum claude_off off_of(enum family family, unsigned version)
{
    if (version <= 48) return CLAUDE_OFF_BY_DEFAULT;
    if (family == SONNET && version >= 55) return CLAUDE_OFF_BETWEEN_TOOLS;
    if (family == FABLE || family == MYTHOS || family == OTHER || (family == OPUS && version >= 55))
        return CLAUDE_OFF_NEVER;
    return CLAUDE_OFF_DISABLED;
}

struct claude_traits claude_traits_of(struct str model)
{
    static const struct str claude = STR("claude");
    size_t at = 0;
    while (at + claude.n <= model.n && !str_ieq(str_slice(model, at, at + claude.n), claude)) at++;
    if (at + claude.n >
        model.n) /* another maker's model behind an Anthropic-compatible host: takes the classic fields */
        return (struct claude_traits){.forced_tools = true,
                                      .forced_tools_thinking = true,
                                      .sampling = true,
                                      .both_samplings = true,
                                      .prefill = true};
    enum family f;
    unsigned v = read_version(str_slice(model, at + claude.n, model.n), &f);
    bool refuses_force = f == OTHER ? v >= 51 : f == HAIKU ? false : f == FABLE || f == MYTHOS ? v >= 51 : v >= 55;
    return (struct claude_traits){
        .adaptive = v >= 46,
        .off = off_of(f, v),
        .forced_tools = !refuses_force,
        .forced_tools_thinking = !refuses_force && v >= 47,
        .sampling = v <= 46 || (f == SONNET && v < 50),
        .both_samplings = v < 45,
        .prefill = v <= 45,
        .mid_system = v >= 55,
        .xhigh = v >= 47,
        .json_schema = v >= 45 || v == 41,
        .omits_thinking = v >= 50,
    };
}

/* "gpt-5.6-luna": 56; "gpt-4o": 40; "gpt-6-sol": 60. 0: no number. */
static unsigned gpt_version(struct str s)
{
    unsigned major = 0, minor = 0;
    size_t i = 0;
    while (i < s.n && is_digit(s.p[i]) && major < 100) major = major * 10 + (unsigned)(s.p[i++] - '0');
    if (i + 1 < s.n && s.p[i] == '.' && is_digit(s.p[i + 1])) minor = (unsigned)(s.p[i + 1] - '0');
    return major * 10 + minor;
}

struct openai_traits openai_traits_of(struct str model)
{
    struct str name = str_slice(model, (size_t)(str_rchr(model, '/') + 1), model.n);
    if (str_starts(name, STR("ft:"))) name = str_slice(name, 3, name.n); /* fine-tuned: "ft:gpt-4.1-mini:org::id" */
    unsigned gpt = str_starts(name, STR("gpt-")) ? gpt_version(str_slice(name, 4, name.n)) : 0;
    bool o = name.n >= 2 && name.p[0] == 'o' && is_digit(name.p[1]);
    bool codex = str_starts(name, STR("codex-"));
    if (gpt == 0 && !o && !codex && !str_starts(name, STR("chatgpt"))) {
        /* Others refuse the field or know other words; losing the hint is the lesser harm. */
        bool effort = str_icontains(name, STR("gpt-oss")) || str_icontains(name, STR("gemini")) ||
                      str_icontains(name, STR("deepseek")) || str_starts(name, STR("kimi-k3")) ||
                      (str_starts(name, STR("grok-")) && gpt_version(str_slice(name, 5, name.n)) >= 43);
        return (struct openai_traits){.sampling = true, .stop = true, .effort = effort};
    }
    bool reasons = o || codex || gpt >= 50;
    return (struct openai_traits){
        .completion_tokens = true,
        .effort = reasons,
        .effort_none = gpt >= 51 && !str_contains(name, STR("astra")),
        .effort_minimal = gpt == 50,
        .effort_xhigh = gpt >= 52 || (gpt == 51 && str_contains(name, STR("max"))),
        .effort_max = gpt >= 56,
        .tools_without_reasoning = gpt >= 54 && !str_contains(name, STR("astra")),
        .tools_in_responses = gpt >= 54,
        .responses_only = reasons && (str_contains(name, STR("codex")) || str_contains(name, STR("-pro")) ||
                                      str_contains(name, STR("deep-research"))),
        .reasons_unasked = gpt >= 56,
        .reasons_always = gpt >= 54 && str_contains(name, STR("astra")),
        .sampling = !reasons || (gpt >= 51 && gpt < 56),
        .sampling_unless_reasoning = gpt >= 51 && gpt < 56,
        .stop = !reasons,
        .verbosity = gpt >= 50 && !str_contains(name, STR("codex")),
        .custom_tools = gpt >= 50,
        .breakpoints = gpt >= 56,
        .user = true,
    };
}

/* "gemini-2.5-pro" is 25, "gemini-3-flash" 30; a name without a version counts as the newest. */
static unsigned gemini_version(struct str rest, bool *ret_pro)
{
    unsigned part[2] = {0, 0}, n = 0;
    while (rest.n > 0) {
        struct str word = next_word(&rest);
        uint64_t v;
        if (str_iis(word, "pro"))
            *ret_pro = true;
        else if (n < 2 && word.n <= 2 && str_u64(word, &v))
            part[n++] = (unsigned)v;
    }
    return n == 0 ? NEWEST : part[0] * 10 + (part[1] < 10 ? part[1] : 9);
}

struct gemini_traits gemini_traits_of(struct str model)
{
    bool pro = false, gemma = str_icontains(model, STR("gemma")) || str_icontains(model, STR("learnlm"));
    unsigned version = gemini_version(model, &pro);
    return (struct gemini_traits){
        .thinking = gemma || version < 25 ? GEMINI_NO_THINKING
                    : version < 30        ? GEMINI_BUDGET
                                          : GEMINI_LEVEL,
        .pro = pro,
        .signatures = !gemma && version >= 30,
        .json_with_tools = !gemma && version >= 30,
        .media_in_results = !gemma && version >= 30,
    };
}

/* "us.anthropic.claude-haiku-4-5-20251001-v1:0", an ARN with such a name behind its last slash, or one that tells nothing. */
struct converse_traits converse_traits_of(struct str model)
{
    bool nova_2 = str_icontains(model, STR("nova-2")), nova = nova_2 || str_icontains(model, STR("amazon.nova"));
    bool claude = str_icontains(model, STR("claude"));
    return (struct converse_traits){
        .family = claude                                 ? CONVERSE_CLAUDE
                  : nova_2                               ? CONVERSE_NOVA_2
                  : nova                                 ? CONVERSE_NOVA
                  : str_icontains(model, STR("gpt-oss")) ? CONVERSE_GPT_OSS
                                                         : CONVERSE_OTHER,
        .cache_points = claude || nova,
        .nine_ids = str_icontains(model, STR("mistral")) || str_icontains(model, STR("pixtral")),
    };
}
