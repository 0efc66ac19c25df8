/** A server as the form has it: strings as they are typed, over the profile they began with. */

import { modelProblems, modelRow, modelsToWire } from './models.js'
import { HOP_FIELDS, LLM_FIELDS, SSH_FIELDS, linesToObject, normaliseEndpoint, problemOf, setAt, toForm, toWire, usedWith, valueAt } from './fields.js'

/** Used where the address is left empty and no preset answered. */
export const DEFAULT_ENDPOINT = 'http://127.0.0.1:11434'

/** What `configure` answers and does not take. */
const READ_ONLY = ['hasPassword', 'hasPassphrase', 'hasApiKey', 'secretHeaderNames', 'jumpHosts']

/**
 * @param {object|null} config a saved profile (ConfigView), or nothing for a new one
 * @returns {object} the draft. `secrets` says what becomes of each secret, never what it is:
 *   'none', 'saved', 'replace' or 'forget'
 */
export function draftOf(config) {
  const { values: ssh, secrets: sshSecrets } = section(SSH_FIELDS, config?.ssh ?? {}, 'ssh')
  const { values: llm, secrets: llmSecrets } = section(LLM_FIELDS, config?.llm ?? {}, 'llm')
  const secrets = { ...sshSecrets, ...llmSecrets }
  const hops = (config?.ssh.jumpHosts ?? []).map((hop, index) => {
    const made = section(HOP_FIELDS, hop, `hop${index}`)
    Object.assign(secrets, made.secrets)
    return { id: `hop${index}`, base: hop, values: made.values }
  })
  const models = (config?.llm.models ?? []).map((model, index) => modelRow(`model${index}`, model))
  return { configId: config?.configId ?? null, name: config?.name ?? '', ssh, llm, hops, models, secrets, base: config ?? null, dirty: false, more: false, nextHop: hops.length, nextModel: models.length, warnings: [] }
}

function section(fields, source, prefix) {
  const values = {}
  const secrets = {}
  for (const field of fields) {
    if (field.kind === 'secret') secrets[`${prefix}.${field.path}`] = isSaved(source[field.flag]) ? 'saved' : 'none'
    else values[field.path] = toForm(field, valueAt(source, field.path))
  }
  return { values, secrets }
}

/** A flag of the profile's, or the names of what is saved. */
function isSaved(flag) {
  return Array.isArray(flag) ? flag.length > 0 : Boolean(flag)
}

/** A draft with what `parse-target` or a preset found. `ssh` is replaced as a whole, of `llm` the address. */
export function filled(draft, { ssh, llm, name, warnings = [] }) {
  let next = { ...draft, dirty: true, warnings }
  if (name && !draft.name) next.name = name
  if (ssh) {
    next = { ...next, extra: ssh, ssh: section(SSH_FIELDS, ssh, 'ssh').values, hops: [] }
    for (const hop of ssh.jumpHosts ?? []) next = withHop(next, hop)
  }
  if (llm?.apiEndpoint) next.llm = { ...next.llm, apiEndpoint: llm.apiEndpoint }
  return next
}

/** A draft with one more jump host at the end. */
export function withHop(draft, hop = {}) {
  const id = `hop${draft.nextHop}`
  const made = section(HOP_FIELDS, hop, id)
  return {
    ...draft,
    dirty: true,
    nextHop: draft.nextHop + 1,
    hops: [...draft.hops, { id, base: hop, values: made.values }],
    secrets: { ...draft.secrets, ...made.secrets }
  }
}

/** A draft with one more model at the end. */
export function withModel(draft) {
  return { ...draft, nextModel: draft.nextModel + 1, models: [...draft.models, modelRow(`model${draft.nextModel}`)] }
}

/** @returns {Object<string, string>} sentences by field: `ssh.host`, `llm.apiEndpoint`, `hop0.port` … */
export function problemsOf(draft) {
  const problems = {}
  const look = (fields, values, prefix) => {
    for (const field of fields) {
      if (field.kind === 'secret' || !usedWith(field, values)) continue
      const problem = problemOf(field, values[field.path])
      if (problem) problems[`${prefix}.${field.path}`] = problem
    }
  }
  look(SSH_FIELDS, draft.ssh, 'ssh')
  look(LLM_FIELDS, draft.llm, 'llm')
  for (const hop of draft.hops) look(HOP_FIELDS, hop.values, hop.id)
  return { ...problems, ...modelProblems(draft.models) }
}

/**
 * @param {object} draft
 * @param {(path: string) => string|undefined} secretOf what was typed into a secret field
 * @returns {{configId?: string, name: string, ssh: object, llm: object}} parameters of `configure`.
 *   Fields of the profile that the form does not show are kept
 */
export function paramsOf(draft, secretOf = () => undefined) {
  const ssh = wire(SSH_FIELDS, draft.ssh, { ...draft.base?.ssh, ...draft.extra }, 'ssh', draft, secretOf)
  const llm = wire(LLM_FIELDS, draft.llm, draft.base?.llm, 'llm', draft, secretOf)
  llm.apiEndpoint = normaliseEndpoint(draft.llm.apiEndpoint) || DEFAULT_ENDPOINT
  const models = modelsToWire(draft.models)
  if (models.length > 0) llm.models = models
  else delete llm.models
  const jumpHosts = draft.hops.map(hop => wire(HOP_FIELDS, hop.values, hop.base, hop.id, draft, secretOf))
  if (jumpHosts.length > 0) ssh.jumpHosts = jumpHosts
  const name = draft.name.trim() || draft.ssh.host.trim()
  return { ...(draft.configId ? { configId: draft.configId } : {}), name, ssh, llm }
}

function wire(fields, values, base, prefix, draft, secretOf) {
  const params = structuredClone(base ?? {})
  for (const name of READ_ONLY) delete params[name]
  for (const field of fields) {
    // What another way to sign in would use, or a program that stands in the profile, is not the form's to change.
    if (field.kind === 'source' && (values[field.path] === 'command' || !usedWith(field, values))) continue
    if (field.kind !== 'secret') {
      // What another way to sign in would use is no part of this profile.
      const value = usedWith(field, values) ? toWire(field, values[field.path]) : undefined
      setAt(params, field.path, value)
      continue
    }
    delete params[field.path]
    if (values[field.source]) continue
    const key = `${prefix}.${field.path}`
    const typed = secretOf(key)
    if (field.lines) {
      const forgotten = draft.secrets[key] === 'forget' ? base[field.flag].map(name => [name, null]) : []
      const headers = { ...Object.fromEntries(forgotten), ...linesToObject(typed ?? '') }
      if (Object.keys(headers).length > 0) params[field.path] = headers
    } else if (draft.secrets[key] === 'forget') params[field.path] = null
    else if (typed && usedWith(field, values)) params[field.path] = typed
  }
  for (const section of ['tls', 'timeouts', 'ollama']) {
    if (params[section] && Object.keys(params[section]).length === 0) delete params[section]
  }
  return params
}
