/** The report of a test, as text that can be shown to others: without names, addresses, accounts, paths or keys. */

import { duration } from './format.js'

const PATTERNS = [
  [/\b(?:\d{1,3}\.){3}\d{1,3}\b/g, match => (match.startsWith('127.') || match === '0.0.0.0' ? match : '<address>')],
  // IPv6: eight groups, or a gap. A time has neither.
  [/(?<![\w:])(?=[0-9a-f:]*::|(?:[0-9a-f]{1,4}:){7})[0-9a-f:]{3,}(?![\w:])/gi, match => (match === '::1' ? match : '<address>')],
  [/\b(?:sk|hf|ghp|gsk|pk|xox[a-z])[-_][\w-]{8,}/g, () => '<key>'],
  [/\b(bearer|api[-_ ]?key|password|passphrase|token|secret)(["']?\s*[:=]\s*["']?|\s+)[^\s"',;]{4,}/gi, (match, word) => `${word} <secret>`],
  [/(?:\/home\/|\/Users\/|[A-Z]:\\Users\\)[^\s/\\:"']+/g, () => '~'],
  // What the keys of an agent are called is their owner's business.
  [/\(agent: (?!SHA256:)[^)]*\)/g, match => (match.endsWith(', certificate)') ? '(agent: <key>, certificate)' : '(agent: <key>)')],
  [/[\w.+-]+@[\w.-]+/g, () => '<user>@<host>']
]

/**
 * @param {string} text
 * @param {Array<[string, string]>} names what must not be in it, and what stands there instead
 */
export function redact(text, names = []) {
  let redacted = String(text ?? '')
  const longestFirst = names.filter(([name]) => name && name.length > 1).sort(([a], [b]) => b.length - a.length)
  for (const [name, instead] of longestFirst) {
    redacted = redacted.replace(new RegExp(`(?<![\\w-])${escapeRegExp(name)}(?![\\w-])`, 'gi'), instead)
  }
  for (const [pattern, replacement] of PATTERNS) redacted = redacted.replace(pattern, replacement)
  return redacted
}

function escapeRegExp(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Names of machines and accounts in a draft. */
function namesOf(draft) {
  const names = []
  const last = draft.hops.length + 1
  const machine = (values, hop) => {
    names.push([values.host?.trim(), last > 1 ? `<host ${hop}>` : '<host>'], [values.username?.trim(), '<user>'])
  }
  draft.hops.forEach((hop, index) => machine(hop.values, index + 1))
  machine(draft.ssh, last)
  names.push([draft.name.trim(), '<name>'])
  const endpoint = /^https?:\/\/\[?([^\]/:]+)/i.exec(draft.llm.apiEndpoint.trim())?.[1]
  if (endpoint && !['localhost', '::1'].includes(endpoint.toLowerCase())) names.push([endpoint, '<llm host>'])
  return names.filter(([name]) => name && name.toLowerCase() !== 'localhost' && !name.startsWith('127.'))
}

/**
 * @param {object} test as the state has it
 * @param {object} draft what was tested
 * @param {{plugin?: string, daemon?: string}} versions
 */
export function reportOf(test, draft, versions = {}) {
  const lines = ['Connection test', `  Versions: plugin ${versions.plugin ?? 'unknown'}, daemon ${versions.daemon ?? 'unknown'}`]
  lines.push(`  Sign-in: ${draft.ssh.authMethod}${test.result?.authMethod ? `, by ${test.result.authMethod}` : ''}`)
  lines.push(`  Jump hosts: ${draft.hops.length}`)
  lines.push(`  LLM address: ${draft.llm.apiEndpoint.trim() || 'detect'}`)
  const { server, hostKey, models } = test.result ?? {}
  if (hostKey) lines.push(`  Host key: ${hostKey.type}`)
  if (server) lines.push(`  Server: ${[server.kind, server.version].filter(Boolean).join(' ')} (API: ${server.apiType}; ${server.apiTypeReason})`)
  if (models) lines.push(`  Models: ${models.length}`)
  lines.push('Stages')
  for (const stage of test.stages) {
    const hop = stage.hop && test.stages.some(other => other.hop > 1) ? ` (hop ${stage.hop})` : ''
    const took = stage.durationMs === null || stage.durationMs === undefined ? '' : `, ${duration(stage.durationMs)}`
    lines.push(`  ${stage.status.padEnd(8)} ${stage.name}${hop}${took}${stage.detail ? `: ${stage.detail}` : ''}`)
    if (stage.error) lines.push(`           ${stage.error.data?.code ?? stage.error.code}: ${stage.error.message}`)
  }
  if (test.error) lines.push(`Error: ${test.error.data?.code ?? test.error.code}: ${test.error.message}${test.error.data?.hint ? ` ${test.error.data.hint}` : ''}`)
  for (const warning of test.result?.warnings ?? []) lines.push(`Warning: ${warning}`)
  return redact(lines.join('\n'), namesOf(draft))
}
