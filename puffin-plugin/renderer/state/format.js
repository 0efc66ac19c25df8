/** Values in a person's words. Unknown is said as unknown. */

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** Text of others with what would hide or reorder it made visible: control and direction characters. */
export function visible(text) {
  return String(text ?? '').replace(/\r\n/g, '\n').replace(CONTROL, c => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`)
}

/** "38 ms", "1.2 s", "3 min" */
export function duration(ms) {
  if (ms === null || ms === undefined) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  return `${Math.round(ms / 60_000)} min`
}

/** "32,768" */
export function count(number) {
  return number === null || number === undefined ? 'unknown' : String(number).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** "18.6 GB"; powers of 1000, as model pages have it */
export function bytes(number) {
  if (number === null || number === undefined) return ''
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = number
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** "30B", from a number of parameters */
export function parameters(number) {
  if (number === null || number === undefined) return ''
  const shown = value => String(Number(value.toFixed(1)))
  return number >= 1e9 ? `${shown(number / 1e9)}B` : `${shown(number / 1e6)}M`
}

/** "14:03:05" of today, with the date of another day. @param {string|number} at @param {Date} [now] */
export function clock(at, now = new Date()) {
  if (at === null || at === undefined) return 'never'
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return 'unknown'
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  return date.toDateString() === now.toDateString() ? time : `${date.toLocaleDateString()} ${time}`
}

/** The state of a connection: a shape (never colour alone) and words. `countdown` moves, and is no news. */
export function light(status, now = Date.now()) {
  const latency = typeof status?.latencyMs === 'number' ? `${Math.max(1, Math.round(status.latencyMs))} ms` : ''
  switch (status?.state) {
    case 'ready':
      return { state: 'ready', shape: '●', text: ['Ready', latency].filter(Boolean).join(', ') }
    case 'connecting':
      return { state: 'connecting', shape: '◐', text: status.step ? `Connecting: ${status.step}` : 'Connecting' }
    case 'reconnecting':
      return { state: 'reconnecting', shape: '◑', text: 'Reconnecting', countdown: retryText(status, now) }
    case 'needs-user':
      return { state: 'needs-user', shape: '▲', text: 'Needs you' }
    case 'failed':
      return { state: 'failed', shape: '✕', text: status.error?.data?.stage ? `Failed: ${status.error.data.stage}` : 'Failed' }
    default:
      return { state: 'off', shape: '○', text: 'Off' }
  }
}

function retryText(status, now) {
  if (typeof status.retryInMs !== 'number') return status.step ? `: ${status.step}` : undefined
  const left = Math.max(0, (status.receivedAt ?? now) + status.retryInMs - now)
  return ` in ${Math.ceil(left / 1000)} s`
}

const KINDS = {
  ollama: 'Ollama', vllm: 'vLLM', sglang: 'SGLang', 'lm-studio': 'LM Studio', tgi: 'Text Generation Inference', litellm: 'LiteLLM', localai: 'LocalAI',
  tabbyapi: 'TabbyAPI', koboldcpp: 'KoboldCpp', 'tensorrt-llm': 'TensorRT-LLM', mlx: 'MLX', openrouter: 'OpenRouter', 'ray-serve': 'Ray Serve', generic: 'an LLM server'
}

/** "vLLM 0.9": the program as its makers write it, and its version */
export function serverName({ kind, version }) {
  return [KINDS[kind] ?? kind, version].filter(Boolean).join(' ')
}

const STAGES = {
  resolve: 'Find the address',
  tcp: 'Reach the machine',
  'ssh-handshake': 'Speak SSH',
  'host-key': 'Check the host key',
  auth: 'Sign in',
  forward: 'Open the way to the LLM server',
  tls: 'Check the certificate',
  http: 'Speak HTTP',
  server: 'Recognise the server',
  models: 'List the models',
  model: 'Ask a model',
  tools: 'Try a tool'
}

export function stageName(name) {
  return STAGES[name] ?? name
}

const STATUSES = {
  waiting: ['·', 'waiting'],
  running: ['◐', 'under way'],
  reached: ['✓', 'done'],
  passed: ['✓', 'passed'],
  failed: ['✕', 'failed'],
  skipped: ['–', 'skipped']
}

/** @returns {[string, string]} a sign and a word */
export function stageStatus(status) {
  return STATUSES[status] ?? ['?', status]
}

/** "30B · Q4_K_M · 18 GB" */
export function modelSize({ parameters: found }) {
  return [parameters(found?.count), found?.quantization, bytes(found?.sizeBytes)].filter(Boolean).join(' · ') || 'unknown'
}

/** "32,768 of 262,144": what it takes now, and what it could */
export function modelContext({ contextWindow: context }) {
  if (!context || (context.effective == null && context.maximum == null)) return 'unknown'
  if (context.effective == null) return `up to ${count(context.maximum)}`
  if (context.maximum == null || context.maximum === context.effective) return count(context.effective)
  return `${count(context.effective)} of ${count(context.maximum)}`
}

/** @returns {string[]} what it can; what is not known is not among it */
export function modelCapabilities({ capabilities }) {
  const names = ['tools', 'vision', 'reasoning', 'embedding'].filter(name => capabilities?.[name] === true)
  const nothing = ['tools', 'vision', 'reasoning', 'embedding'].every(name => capabilities?.[name] == null)
  return nothing ? ['unknown'] : names
}
