// What OpenAI's SDK builds upon the two APIs: tool loops, parsing, event helpers; and the forms of tools that only OpenAI has, before each
// provider's dialect. `to`: the prefixes of main.mjs (and, without weir, the fake's own dialects) a check is for.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { makeParseableResponseFormat } from 'openai/lib/parser';

const CITY = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'], additionalProperties: false };
const FUNCTION = { type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: CITY, strict: true } };
const EVERY = ['openai', 'oa', 'br', 'an', 'be', 'ge'];
const open = base => new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000 });

const runnable = asked => ({
  ...FUNCTION,
  function: { ...FUNCTION.function, parse: JSON.parse, function: args => { asked.push(args); return `${args.city}: -3 C`; } },
});

export const helperChecks = {
  'runTools': { to: EVERY, async check(base, m) {
    const asked = [];
    const runner = open(base).chat.completions.runTools({ model: m('large'), messages: [{ role: 'user', content: 'weather?' }], tools: [runnable(asked)] });
    assert.match(await runner.finalContent(), /The tool said: Oslo: -3 C/);
    assert.deepEqual(asked, [{ city: 'Oslo', days: 7 }]);
  } },
  'runTools, streaming': { to: EVERY, async check(base, m) {
    const asked = [];
    const runner = open(base).chat.completions.runTools({ model: m('large'), stream: true, messages: [{ role: 'user', content: 'weather?' }], tools: [runnable(asked)] });
    assert.match(await runner.finalContent(), /The tool said: Oslo: -3 C/);
    assert.equal(asked.length, 1);
  } },
  'parse': { to: EVERY, async check(base, m) {
    const format = makeParseableResponseFormat({ type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: CITY } }, text => JSON.parse(text));
    const body = { model: m('claude-sonnet-4-6'), messages: [{ role: 'user', content: 'as JSON' }], response_format: format };
    const whole = await open(base).chat.completions.parse(body);
    assert.equal(whole.choices[0].message.parsed.days, 7);
    const streamed = await open(base).chat.completions.stream(body).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, whole.choices[0].message.parsed);
  } },
  'events of the chat stream': { to: EVERY, async check(base, m) {
    const seen = { done: [], pieces: '' };
    const stream = open(base).chat.completions.stream({ model: m('large'), messages: [{ role: 'user', content: 'both [[fake:parallel]]' }], tools: [FUNCTION, { type: 'function', function: { name: 'get_time', parameters: CITY, strict: true } }], stream_options: { include_usage: true } });
    stream.on('tool_calls.function.arguments.delta', e => { seen.pieces += e.arguments_delta; });
    stream.on('tool_calls.function.arguments.done', e => seen.done.push([e.index, e.name, e.parsed_arguments?.city]));
    const final = await stream.finalChatCompletion();
    assert.deepEqual(seen.done, [[0, 'get_weather', 'Oslo'], [1, 'get_time', 'Bergen']]);
    assert.equal(seen.pieces, final.choices[0].message.tool_calls.map(c => c.function.arguments).join(''));
    assert.ok((await stream.totalUsage()).completion_tokens > 0);
  } },
  'functions, the first form of tools': { to: ['an', 'be', 'ge'], async check(base, m) {
    const body = { model: m('large'), messages: [{ role: 'user', content: 'weather?' }], functions: [FUNCTION.function], function_call: 'auto' };
    const { choices: [{ message, finish_reason: finish }] } = await open(base).chat.completions.create(body);
    assert.equal(finish, 'function_call');
    assert.deepEqual(JSON.parse(message.function_call.arguments), { city: 'Oslo', days: 7 });
    const stream = open(base).chat.completions.stream(body);
    assert.equal((await stream.finalMessage()).function_call.name, 'get_weather');
    const messages = [...body.messages, message, { role: 'function', name: 'get_weather', content: '-3 C' }];
    assert.match((await open(base).chat.completions.create({ ...body, messages })).choices[0].message.content, /The tool said: -3 C/);
  } },
  'a custom tool in Chat': { to: EVERY, async check(base, m) {
    const body = { model: m('large'), messages: [{ role: 'user', content: 'sql [[fake:call=sql]]' }], tools: [{ type: 'custom', custom: { name: 'sql', description: 'A query', format: { type: 'grammar', grammar: { syntax: 'regex', definition: '.+' } } } }] };
    const { choices: [{ message }] } = await open(base).chat.completions.create(body);
    assert.equal(message.tool_calls[0].type, 'custom');
    assert.ok(message.tool_calls[0].custom.input.length > 0);
    let input = '';
    for await (const c of await open(base).chat.completions.create({ ...body, stream: true })) input += c.choices[0].delta.tool_calls?.[0].custom?.input ?? '';
    assert.equal(input, message.tool_calls[0].custom.input);
    const messages = [...body.messages, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '3 rows' }];
    assert.match((await open(base).chat.completions.create({ ...body, messages })).choices[0].message.content, /The tool said: 3 rows/);
  } },
  'allowed tools': { to: EVERY, async check(base, m) {
    const second = { type: 'function', function: { name: 'get_time', parameters: CITY } };
    const { choices: [{ message }] } = await open(base).chat.completions.create({
      model: m('large'), messages: [{ role: 'user', content: 'time?' }], tools: [FUNCTION, second],
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'get_time' } }] } },
    });
    assert.equal(message.tool_calls[0].function.name, 'get_time');
  } },
  'a custom tool in Responses': { to: ['responses', 'or', 'oa', 'an', 'be', 'ge'], async check(base, m) {
    const body = { model: m('large'), store: false, input: [{ role: 'user', content: 'sql [[fake:call=sql]]' }], tools: [{ type: 'custom', name: 'sql', description: 'A query' }] };
    const events = [];
    for await (const e of await open(base).responses.create({ ...body, stream: true })) events.push(e);
    const { response } = events.at(-1);
    const call = response.output.find(i => i.type === 'custom_tool_call');
    assert.equal(events.filter(e => e.type === 'response.custom_tool_call_input.delta').map(e => e.delta).join(''), call.input);
    const input = [...body.input, ...response.output, { type: 'custom_tool_call_output', call_id: call.call_id, output: '3 rows' }];
    assert.match((await open(base).responses.create({ ...body, input })).output_text, /The tool said: 3 rows/);
  } },
  'what was asked for stands in the response': { to: ['oa', 'an', 'be', 'ge'], async check(base, m) {
    const said = { instructions: 'Be brief.', tools: [{ type: 'function', name: 'get_weather', parameters: CITY, strict: false }], tool_choice: 'none', metadata: { a: 'b' }, max_output_tokens: 64, parallel_tool_calls: true };
    const response = await open(base).responses.create({ model: m('large'), input: 'hello', store: false, ...said });
    for (const [name, value] of Object.entries(said)) assert.deepEqual(response[name], value, name);
  } },
  'what needs stored conversations is refused by name': { to: ['oa', 'an', 'be', 'ge'], async check(base, m) {
    for (const stored of [{ previous_response_id: 'resp_1' }, { conversation: 'conv_1' }, { background: true }, { prompt: { id: 'pmpt_1' } }])
      await assert.rejects(open(base).responses.create({ model: m('large'), input: 'x', ...stored }),
        e => e instanceof OpenAI.BadRequestError && e.message.includes(Object.keys(stored)[0]));
  } },
};
