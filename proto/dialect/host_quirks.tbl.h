/* host_quirks.tbl.h — what look-alikes refuse of OpenAI's chat completions
 *
 * HOST_QUIRKS(ID, …)  ID: the row of provider_types.tbl.h; …: fields of struct host_quirks, by name
 *
 * Only refusals are here that were seen or that the host's own pages state; each row names where. What a host ignores needs no row. */

/* Its own client's request type is the list of what exists (mistralai/client-python, ChatCompletionRequest, ReasoningEffort, ToolMessage);
 * the rest is a 422 "extra_forbidden", seen for max_completion_tokens (eca 231), stream_options.include_usage (avante.nvim 2347,
 * openai-agents-python 442), reasoning_content in messages (crush 1590); ids: opencode 1680, langchain 24668. Its streams end with usage unasked. */
HOST_QUIRKS(MISTRAL, .renames = "max_completion_tokens>max_tokens seed>random_seed",
            .drops = "logit_bias user store service_tier safety_identifier verbosity prompt_cache_options "
                     "prompt_cache_retention moderation",
            .ignores = "stream_options", .efforts = "none high",
            .message_keeps = "role content tool_calls tool_call_id prefix", .system_role = true, .nine_ids = true)
/* console.groq.com/docs/openai (logit_bias, messages[].name); its validator names unknown properties: store (fanenr/chatbot 21),
 * reasoning_content (jan 8136, vellum-assistant 42635). What it thinks itself is called reasoning and may come back. */
HOST_QUIRKS(GROQ, .drops = "logit_bias store",
            .message_keeps = "role content tool_calls tool_call_id function_call reasoning")
/* "unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`" (earendil-works/pi 1048, theia 15144);
 * api-docs.deepseek.com, create chat completion: max_tokens is its only limit. */
HOST_QUIRKS(DEEPSEEK, .renames = "max_completion_tokens>max_tokens", .system_role = true)
/* "Model … does not support parameter presencePenalty" of every Grok since 3 (NativeTavern 83, n8n 14581, NextChat 6593); reasoning_effort:
 * "Model grok-build-0.1 does not support", vercel/ai @ai-sdk/xai 4.0.8 (grok-4.20), catwalk 181 (grok-4), Vertex's page on Grok (4.1 fast). */
HOST_QUIRKS(XAI, .drops = "presence_penalty frequency_penalty",
            .models = "grok-build grok-code grok-4.20 grok-4.1 grok-4-", .model_drops = "reasoning_effort",
            .system_role = true)
/* inference-docs.cerebras.ai/resources/openai (the five fields; no role developer); "body.store: property 'body.store' is unsupported",
 * code wrong_api_format (huggingface.js 2268, openclaw 51058). */
HOST_QUIRKS(CEREBRAS, .drops = "frequency_penalty presence_penalty logit_bias parallel_tool_calls service_tier store",
            .message_keeps = "role content name tool_calls tool_call_id reasoning", .system_role = true)
/* docs.together.ai and earendil-works/pi's table of hosts: max_tokens, no strict, no developer, no store. */
HOST_QUIRKS(TOGETHER, .renames = "max_completion_tokens>max_tokens", .drops = "store", .system_role = true,
            .no_strict = true)
/* The same table; NIM answers what it does not know with a 422. */
HOST_QUIRKS(NVIDIA, .renames = "max_completion_tokens>max_tokens", .drops = "store", .system_role = true,
            .no_strict = true)
/* "tool_choice '…' is incompatible with thinking enabled" (harn-vm's probe of 2026-07); agentscope's page on Kimi: sampling is fixed for
 * kimi-*, no strict, reasoning_effort of kimi-k3 is low, high or max. */
HOST_QUIRKS(MOONSHOT, .models = "kimi-", .model_drops = "temperature top_p presence_penalty frequency_penalty",
            .drops = "store", .efforts = "low high max", .tool_choice = HOST_CHOICE_UNFORCED, .system_role = true,
            .no_strict = true)
/* docs.z.ai, core parameters (max_tokens, temperature 0 to 1); agentscope's page on GLM: tool_choice is auto alone, no penalties, no name in
 * messages, no strict; openclaw's model table: no developer. */
HOST_QUIRKS(ZAI, .renames = "max_completion_tokens>max_tokens", .drops = "presence_penalty frequency_penalty store",
            .message_drops = "name", .tool_choice = HOST_CHOICE_AUTO, .system_role = true, .no_strict = true,
            .temperature_to_1 = true)
/* It hands the body on to other hosts as it is, and those refuse store (huggingface.js 2268). */
HOST_QUIRKS(HUGGINGFACE, .drops = "store")
