/* provider_types.tbl.h — what a provider can be: one row for each word behind `type:` in weir.yaml
 *
 * PROVIDER_TYPE(ID, name, dialect, base_url, variable, …)
 *   name      the word
 *   dialect   what it is asked in, unless it speaks the client's own
 *   base_url  the vendor's; "" where there is none, and weir.yaml must say it
 *   variable  the environment's name for its key; "" none. It alone makes a provider where there is no weir.yaml
 *   …         further fields of struct provider_type, by name
 * PROVIDER_TYPE_LATER(name)  known, refused with "not in this version"
 *
 * The order of the rows is that of the provider's words everywhere. */

PROVIDER_TYPE(OPENAI, "openai", OPENAI_CHAT, "https://api.openai.com/v1", "OPENAI_API_KEY", .signer = SIGNER_BEARER,
              .also = PROVIDER_SPEAKS(RESPONSES), .models_path = "/models",
              .aliases = "gpt-* chatgpt-* o1* o3* o4* codex-*", .client_variable = "OPENAI_BASE_URL",
              .client_base = "/v1")
PROVIDER_TYPE(ANTHROPIC, "anthropic", ANTHROPIC, "https://api.anthropic.com", "ANTHROPIC_API_KEY",
              .signer = SIGNER_X_API_KEY, .models_path = "/v1/models", .aliases = "claude-*",
              .client_variable = "ANTHROPIC_BASE_URL", .client_base = "")
PROVIDER_TYPE(GEMINI, "gemini", GEMINI, "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY",
              .signer = SIGNER_X_GOOG_API_KEY, .models_path = "/models", .aliases = "gemini-*",
              .client_variable = "GOOGLE_GEMINI_BASE_URL", .client_base = "")
PROVIDER_TYPE(AZURE, "azure", OPENAI_CHAT, "", "", .signer = SIGNER_API_KEY, .credentials = "azure",
              .also = PROVIDER_SPEAKS(RESPONSES), .token_signer = SIGNER_BEARER, .path = provider_path_azure,
              .newer_max_tokens = true, .claude = true, .models_path = "/openai/v1/models")
PROVIDER_TYPE(VERTEX, "vertex", GEMINI, "https://{location}aiplatform.googleapis.com/v1", "",
              .signer = SIGNER_X_GOOG_API_KEY, .credentials = "google", .token_signer = SIGNER_BEARER,
              .path = provider_path_vertex, .claude = true, .claude_version = "vertex-2023-10-16")
PROVIDER_TYPE(BEDROCK, "bedrock", CONVERSE, "https://bedrock-runtime.{region}.amazonaws.com", "",
              .signer = SIGNER_SIGV4, .credentials = "aws", .token_signer = SIGNER_SIGV4, .path = provider_path_bedrock,
              .claude = true, .claude_version = "bedrock-2023-05-31", .claude_invoked = true,
              .claude_also = PROVIDER_SPEAKS(CONVERSE))
PROVIDER_TYPE(SEEDANCE, "seedance", OPENAI_CHAT, "https://ark.ap-southeast.bytepluses.com/api/v3", "ARK_API_KEY",
              .signer = SIGNER_BEARER, .models_path = "/contents/generations/tasks?page_num=1&page_size=1",
              .aliases = "seedance-* doubao-seedance-* dreamina-seedance-*", .tasks = true)
/* Hosts that speak OpenAI's chat completions: a name for their address and key. What a host refuses of a body is a row of
 * host_quirks.tbl.h; where it must differ by the model, model_traits.h knows. Cohere is asked through its Compatibility API, which has no list of models. */
#define LOOK_ALIKE(id, name, base_url, variable) \
    PROVIDER_TYPE(id, name, OPENAI_CHAT, base_url, variable, .signer = SIGNER_BEARER, .models_path = "/models")
LOOK_ALIKE(MISTRAL, "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY")
LOOK_ALIKE(GROQ, "groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY")
LOOK_ALIKE(DEEPSEEK, "deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY")
PROVIDER_TYPE(XAI, "xai", OPENAI_CHAT, "https://api.x.ai/v1", "XAI_API_KEY", .signer = SIGNER_BEARER,
              .also = PROVIDER_SPEAKS(RESPONSES), .models_path = "/models", .aliases = "grok-*")
LOOK_ALIKE(OPENROUTER, "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY")
LOOK_ALIKE(TOGETHER, "together", "https://api.together.ai/v1", "TOGETHER_API_KEY")
LOOK_ALIKE(FIREWORKS, "fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY")
LOOK_ALIKE(MOONSHOT, "moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY")
LOOK_ALIKE(ZAI, "zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY")
LOOK_ALIKE(CEREBRAS, "cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY")
LOOK_ALIKE(NVIDIA, "nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY")
LOOK_ALIKE(HUGGINGFACE, "huggingface", "https://router.huggingface.co/v1", "")
LOOK_ALIKE(FUTURMIX, "futurmix", "https://futurmix.ai/v1", "FUTURMIX_API_KEY")
#undef LOOK_ALIKE
/* Its paths have no version before them, and it lists no models. */
PROVIDER_TYPE(PERPLEXITY, "perplexity", OPENAI_CHAT, "https://api.perplexity.ai", "PERPLEXITY_API_KEY",
              .signer = SIGNER_BEARER, .path = provider_path_bare, .aliases = "sonar*")
/* On one's own machine, at the ports that they take by themselves, without a key. */
PROVIDER_TYPE(VLLM, "vllm", OPENAI_CHAT, "http://127.0.0.1:8000/v1", "", .signer = SIGNER_BEARER,
              .models_path = "/models")
PROVIDER_TYPE(LLAMACPP, "llamacpp", OPENAI_CHAT, "http://127.0.0.1:8080/v1", "", .signer = SIGNER_BEARER,
              .models_path = "/models")
PROVIDER_TYPE(OLLAMA, "ollama", OLLAMA, "http://127.0.0.1:11434/v1", "", .signer = SIGNER_BEARER,
              .also = PROVIDER_SPEAKS(OPENAI_CHAT), .models_path = "/models")
PROVIDER_TYPE(COHERE, "cohere", COHERE, "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY",
              .signer = SIGNER_BEARER, .also = PROVIDER_SPEAKS(OPENAI_CHAT), .aliases = "command-*")
PROVIDER_TYPE_LATER("fake")
