// node main.mjs direct|gateway BASE PREFIX…   Each prefix is a provider behind the gateway ("oa", "an"), whose models are PREFIX-large,
// PREFIX-status-429 …; direct: BASE is the fake itself, "openai", "responses" or "anthropic" the clients that can speak to it.
import { adapters } from './adapters.mjs';
import { checkError, checks, classesOf } from './checks.mjs';
import { helperChecks } from './helpers.mjs';
import { plainChecks } from './plain.mjs';
import { videoChecks } from './videos.mjs';

const [mode, base, ...prefixes] = process.argv.slice(2);
const only = process.env.ONLY ?? '';
const TIMEOUT_MS = 30000;
// Bedrock takes pictures as bytes only, and only its Claude models can be told to make one call at a time; Gemini cannot be told so.
const lacks = { be: ['image: URL, two', 'parallel tool calls forbidden'], ge: ['parallel tool calls forbidden'],
  // Cohere cannot be told how many calls to make or which one, and says neither what it refused nor, in what is billed, what was cached.
  co: ['parallel tool calls forbidden', 'tool call: a named one', 'refusal', 'cached tokens'],
  // Ollama takes pictures as bytes, no choice of tools, and says only that it stopped.
  ol: ['parallel tool calls forbidden', 'tool call: a named one', 'tool call: any', 'refusal', 'cached tokens', 'image: URL, two'] };
let passed = 0;
let failed = 0;

async function run(name, check) {
  if (only && !name.includes(only)) return;
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no end within ${TIMEOUT_MS} ms`)), TIMEOUT_MS); });
  try {
    await Promise.race([check(), late]);
    passed++;
  } catch (e) {
    failed++;
    console.log(`FAILED ${name}: ${e?.constructor?.name}: ${String(e?.message ?? e).replace(/\s+/g, ' ').slice(0, 400)}`);
  } finally {
    clearTimeout(timer);
  }
}

for (const make of adapters) {
  const client = make(base, 'sk-app-key');
  for (const prefix of prefixes) {
    if (mode === 'direct' && prefix !== client.dialect) continue;
    if (prefix === 'vi') continue; // videos alone
    // "or" is "oa" that answers Responses itself: to other clients the same, but for "br", a model of it that takes tools there alone.
    if (prefix === 'or' && client.dialect !== 'responses') continue;
    if (prefix === 'br' && client.dialect === 'responses') continue;
    const model = name => (mode === 'direct' ? name : `${prefix}-${name}`);
    const lookAlike = ['co', 'ol'].includes(prefix) && client.dialect === 'openai'; // both speak it as well
    const sameDialect = lookAlike || prefix === client.dialect || { oa: 'openai', an: 'anthropic', be: 'converse', ge: 'gemini', or: 'responses', co: 'cohere', ol: 'ollama' }[prefix] === client.dialect;
    const title = `${client.name} -> ${mode === 'direct' ? 'fake' : prefix}`;
    for (const [name, check] of Object.entries(checks))
      if (!(mode === 'direct' && client.lacksAlone?.includes(name)) && !client.lacks?.includes(name) && !lacks[prefix]?.includes(name)) await run(`${title}: ${name}`, () => check(client, model));
    if (prefix === 'br') continue; // its errors are those of "oa"
    for (const [status, name] of Object.entries(classesOf(mode, sameDialect)))
      for (const stream of [false, true])
        await run(`${title}: ${status}${stream ? ', streaming' : ''} is ${name}`, () => checkError(client, model(`status-${status}`), name, stream));
    await run(`${title}: an unknown model is NotFoundError`, () => checkError(client, model('missing'), 'NotFoundError', false));
  }
}
if (prefixes.includes(mode === 'direct' ? 'openai' : 'oa'))
  for (const [name, check] of Object.entries(plainChecks)) await run(`openai -> ${mode === 'direct' ? 'fake' : 'oa'}: ${name}`, () => check(mode, base));
for (const prefix of prefixes.filter(p => p !== 'vi' && (mode === 'gateway' || p === 'openai' || p === 'responses')))
  for (const [name, { to, check }] of Object.entries(helperChecks))
    if (to.includes(prefix)) await run(`openai helpers -> ${prefix}: ${name}`, () => check(base, n => (mode === 'direct' ? n : `${prefix}-${n}`)));
if (prefixes.includes('vi')) for (const [name, check] of Object.entries(videoChecks)) await run(`openai -> vi: ${name}`, () => check(base));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
