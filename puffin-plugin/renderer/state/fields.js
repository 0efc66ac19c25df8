/**
 * The form's fields: one table for the form, the draft and the parameters. A path is where the value
 * stands in the wire's `ssh` or `llm`. Kinds: text, number, seconds and minutes (milliseconds on the
 * wire), select (an option's third part is its wire value, where that is another), check, lines (`Name: value`, an object on the wire), secret.
 */

export const AUTH_METHODS = [
  ['auto', 'Automatic: as ssh would'],
  ['agent', 'SSH agent'],
  ['privateKey', 'Key file'],
  ['password', 'Password'],
  ['keyboardInteractive', 'Questions of the server (one-time codes)'],
  ['none', 'None']
]

const text = (path, label, extra) => ({ path, label, kind: 'text', ...extra })
const number = (path, label, min, max, extra) => ({ path, label, kind: 'number', min, max, ...extra })
const seconds = (path, label, extra) => ({ path, label, kind: 'seconds', unit: 's', min: 0, max: 86_400, ...extra })
const select = (path, label, options, extra) => ({ path, label, kind: 'select', options, ...extra })
/** Where a secret comes from; a program that the profile names is kept, and not written here. */
const source = (path, label, methods) => ({ path, label, kind: 'source', methods, options: [['', 'saved here, else asked'], ['ask', 'asked every time'], ['command', 'the program in the profile']] })
const secret = (path, label, extra) => ({ path, label, kind: 'secret', ...extra })

const host = text('host', 'Host', { required: true, placeholder: 'name, address or ssh_config alias' })
const username = text('username', 'User', { placeholder: 'from ~/.ssh/config, else your user name' })
const port = number('port', 'Port', 1, 65_535, { placeholder: '22, or from ~/.ssh/config' })

/** The fields of a way to sign in, each with the methods that use it. */
const AUTH = [
  text('privateKeyPath', 'Key file', { methods: ['auto', 'privateKey'], suggestions: 'keyFiles', placeholder: '~/.ssh/id_ed25519' }),
  source('passphraseSource', 'The passphrase is', ['privateKey']),
  secret('passphrase', 'Passphrase of the key', { methods: ['privateKey'], source: 'passphraseSource', saved: 'A passphrase is saved', flag: 'hasPassphrase' }),
  text('certificatePath', 'Certificate', { methods: ['privateKey'], placeholder: 'beside the key, if there is one' }),
  text('identityAgent', 'Agent socket', { methods: ['agent'], placeholder: 'SSH_AUTH_SOCK' }),
  { path: 'identitiesOnly', label: 'Offer only the configured keys', kind: 'check', methods: ['agent', 'privateKey'] },
  source('passwordSource', 'The password is', ['password']),
  secret('password', 'Password', { methods: ['password'], source: 'passwordSource', saved: 'A password is saved', flag: 'hasPassword' })
]

export const SSH_BASIC = [host, username]
export const SSH_AUTH = [select('authMethod', 'Sign in with', AUTH_METHODS, { initial: 'auto' }), ...AUTH]

export const SSH_MORE = [
  port,
  { path: 'useSshConfig', label: 'Use ~/.ssh/config', kind: 'check', initial: true },
  select('hostKeyPolicy', 'A host key that is not known', [
    ['', 'as ssh_config says, else ask'],
    ['ask', 'ask me'],
    ['accept-new', 'accept and remember'],
    ['strict', 'refuse']
  ]),
  seconds('connectTimeout', 'Time to connect'),
  seconds('keepaliveInterval', 'Keepalive every'),
  number('keepaliveCountMax', 'Keepalives that may go unanswered', 1, 100),
  number('maxConnections', 'Connections at a time', 1, 4, { placeholder: '1' }),
  { path: 'idleTimeout', label: 'Close when unused for', kind: 'minutes', unit: 'min', min: 0, max: 1440, hint: '0 keeps it open.' },
  text('proxyCommand', 'Proxy command', { hint: 'Runs on this computer. “none” switches that of ssh_config off.' }),
  select('transport', 'SSH is spoken by', [['auto', 'the daemon itself'], ['system', 'this computer’s ssh program']], { initial: 'auto' })
]

/** One row of the jump hosts' table. */
export const HOP_FIELDS = [host, username, port, select('authMethod', 'Sign in with', AUTH_METHODS, { initial: 'auto' }), ...AUTH]

export const LLM_BASIC = [
  text('apiEndpoint', 'LLM address on that machine', { placeholder: '127.0.0.1:11434', suggestions: 'endpoints' })
]

export const LLM_MORE = [
  select('apiType', 'API', [['auto', 'detect'], ['openai-compatible', 'OpenAI-compatible'], ['ollama', 'Ollama']], { initial: 'auto' }),
  secret('apiKey', 'API key', { placeholder: 'none', saved: 'An API key is saved', flag: 'hasApiKey' }),
  { path: 'headers', label: 'Headers', kind: 'lines', hint: 'One a line, Name: value. Not for secrets.' },
  secret('secretHeaders', 'Secret headers', { lines: true, saved: 'Secret headers are saved', flag: 'secretHeaderNames' }),
  text('hostHeader', 'Host header', { placeholder: 'the address above' }),
  text('affinityHeader', 'Header with the conversation’s id', { placeholder: 'X-Session-Id' }),
  text('tls.caPath', 'CA or certificate file (TLS)', { placeholder: 'this computer’s authorities' }),
  text('tls.serverName', 'Name in the certificate (TLS)'),
  seconds('timeouts.connectMs', 'Time to reach the LLM server', { placeholder: '10' }),
  seconds('timeouts.firstTokenMs', 'Time to the first token', { placeholder: '600', hint: 'Loading a large model takes minutes.' }),
  seconds('timeouts.idleMs', 'Silence in an answer', { placeholder: '120; 300 for Ollama and vLLM' }),
  seconds('timeouts.discoveryMs', 'Time to find out what the server is', { placeholder: '10' }),
  seconds('timeouts.totalMs', 'Time for a whole answer', { placeholder: 'none' }),
  number('maxRetries', 'Attempts after a failure', 0, 10, { placeholder: '2' }),
  { path: 'retryAmbiguous', label: 'Ask once more where the connection died before any answer', kind: 'check', initial: true },
  number('ollama.numCtx', 'Ollama: context size', 1, 16_777_216, { placeholder: 'the server’s' }),
  select('ollama.think', 'Ollama: the model thinks first', [
    ['', 'if it can'], ['yes', 'yes', true], ['no', 'no', false], ['low', 'a little'], ['medium', 'some'], ['high', 'a lot'], ['max', 'as much as it can']
  ]),
  text('ollama.keepAlive', 'Ollama: keep the model loaded for', { placeholder: '10m; -1 for ever' })
]

export const SSH_FIELDS = [...SSH_BASIC, ...SSH_AUTH, ...SSH_MORE]
export const LLM_FIELDS = [...LLM_BASIC, ...LLM_MORE]

/** Whether a field is of use with this way to sign in; a secret only where it is kept here. */
export function usedWith(field, { authMethod, ...values }) {
  return (!field.methods || field.methods.includes(authMethod)) && !values[field.source]
}

/** The value at a dotted path. */
export function valueAt(object, path) {
  return path.split('.').reduce((inner, key) => inner?.[key], object)
}

/** Sets the value at a dotted path, or removes it where it is undefined; empty objects on the way stay away. */
export function setAt(object, path, value) {
  const keys = path.split('.')
  const last = keys.pop()
  let inner = object
  for (const key of keys) {
    if (inner[key] === undefined || inner[key] === null) {
      if (value === undefined) return
      inner[key] = {}
    }
    inner = inner[key]
  }
  if (value === undefined) delete inner[last]
  else inner[last] = value
}

const SCALE = { seconds: 1000, minutes: 60_000 }

/** @returns {string|boolean} what the form shows for a wire value */
export function toForm(field, value) {
  if (field.kind === 'check') return value ?? field.initial ?? false
  if (field.kind === 'source') return value?.command ? 'command' : value === 'ask' ? 'ask' : ''
  if (field.kind === 'lines') return Object.entries(value ?? {}).map(([name, content]) => `${name}: ${content}`).join('\n')
  if (value === undefined || value === null) return field.initial ?? ''
  if (field.kind === 'select') return field.options.find(option => option.length > 2 && option[2] === value)?.[0] ?? String(value)
  return SCALE[field.kind] ? String(value / SCALE[field.kind]) : String(value)
}

/** @returns {any} the wire value of what the form has; undefined where it says nothing */
export function toWire(field, value) {
  if (field.kind === 'check') return value === (field.initial ?? false) ? undefined : value
  const trimmed = String(value ?? '').trim()
  if (trimmed === '') return undefined
  if (field.kind === 'source') return trimmed === 'ask' ? 'ask' : undefined
  if (field.kind === 'number') return Number(trimmed)
  if (SCALE[field.kind]) return Math.round(Number(trimmed) * SCALE[field.kind])
  if (field.kind === 'lines') return linesToObject(trimmed)
  if (field.kind === 'select') {
    const option = field.options.find(([shown]) => shown === trimmed)
    return trimmed === field.initial ? undefined : option?.length > 2 ? option[2] : trimmed
  }
  if (field.path === 'ollama.keepAlive' && /^-?\d+$/.test(trimmed)) return Number(trimmed)
  return trimmed
}

/** `Name: value` lines as an object. */
export function linesToObject(text) {
  const object = {}
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) object[line.slice(0, colon).trim()] = line.slice(colon + 1).trim()
  }
  return object
}

/** @returns {string|null} what is wrong with what the form has, as a sentence beside the field */
export function problemOf(field, value) {
  const trimmed = String(value ?? '').trim()
  if (trimmed === '') return field.required ? `${field.label} is missing.` : null
  if (field.path === 'host' && /\s/.test(trimmed)) return 'A host has no spaces. An ssh command goes into the top line.'
  if (field.path === 'apiEndpoint') return endpointProblem(trimmed)
  if (field.kind === 'lines') return lineProblem(trimmed)
  if (!['number', 'seconds', 'minutes'].includes(field.kind)) return null
  const number = Number(trimmed)
  if (!Number.isFinite(number)) return `${field.label} is a number.`
  if (field.kind === 'number' && !Number.isInteger(number)) return `${field.label} is a whole number.`
  if (number < field.min || number > field.max) return `${field.label} is from ${field.min} to ${field.max}.`
  return null
}

function lineProblem(text) {
  const wrong = text.split('\n').find(line => line.trim() !== '' && !/^[^\s:]+\s*:/.test(line.trim()))
  return wrong === undefined ? null : `“${wrong.trim().slice(0, 40)}” is not of the form Name: value.`
}

function endpointProblem(text) {
  const endpoint = normaliseEndpoint(text)
  if (/\s/.test(endpoint)) return 'An address has no spaces.'
  if (endpoint.startsWith('unix:')) return /^unix:\/./.test(endpoint) ? null : 'A socket is written unix:/path.'
  if (!/^https?:\/\//i.test(endpoint)) return 'Write http://host:port, https://host:port or unix:/path.'
  try {
    const url = new URL(endpoint)
    if (url.username || url.password) return 'No user or password here; an API key has a field under More.'
    if (url.search || url.hash) return 'The address ends before “?” and “#”.'
    return null
  } catch {
    return 'Write http://host:port, https://host:port or unix:/path.'
  }
}

/** What a person writes for short: a port, or host:port. @returns {string} the address the daemon takes */
export function normaliseEndpoint(text) {
  const trimmed = text.trim()
  if (/^\d{1,5}$/.test(trimmed)) return `http://127.0.0.1:${trimmed}`
  if (trimmed.startsWith('/')) return `unix:${trimmed}`
  if (/^(unix:|[a-z][a-z0-9+.-]*:\/\/)/i.test(trimmed)) return trimmed
  return trimmed === '' ? '' : `http://${trimmed}`
}
