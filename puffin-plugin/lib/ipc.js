'use strict'

const crypto = require('node:crypto')
const { createConversations } = require('./conversations')
const { RemoteError, toAnswer } = require('./errors')
const { version } = require('../package.json')

const CALL_MS = 30_000
/** People answer questions meanwhile; the daemon has clocks of its own. */
const CONNECT_MS = 280_000

/** Methods of the daemon that are passed on as they are, and what their result is called. */
const PLAIN = {
  'delete-config': {},
  disconnect: { as: 'status' },
  status: { as: 'status' },
  connect: { as: 'status', timeoutMs: CONNECT_MS },
  configure: { as: 'config' },
  'get-config': { as: 'config' },
  'trust-config': { as: 'config' },
  'select-model': { as: 'config' },
  'list-configs': {},
  'list-presets': {},
  'list-ssh-hosts': {},
  'parse-target': {},
  'list-models': { timeoutMs: CONNECT_MS },
  'vault-status': { as: 'vault' },
  'vault-unlock': { as: 'vault' },
  'vault-reset': { as: 'vault' }
}
/** What a page may give to open the vault: the key is Puffin's. */
const VAULT_PARAMS = { 'vault-unlock': ['passphrase'] }

/**
 * The handlers of `remote-llm:*`; IPC.md has the contract. Whatever happens, an object is answered:
 * Puffin loses codes of what is thrown, and takes nothing for something else.
 *
 * @param {object} options
 * @param {object} options.sidecar
 * @param {object} options.events
 * @param {object} options.people
 * @param {object} options.prompts
 * @param {ReturnType<import('./unsaved').createUnsaved>} options.unsaved
 * @param {() => Promise<object>} options.listIdentities
 * @param {(value: string) => void} options.onPicked
 * @param {{warn: Function}} options.log
 * @returns {Object<string, (params?: object) => Promise<object>>} by name without `remote-llm:`
 */
function createHandlers({ sidecar, events, people, prompts, unsaved, listIdentities, onPicked, log }) {
  const tests = new Map()
  /** What the last daemon had, for a page that comes while there is none. */
  let known = { configs: [], problems: [] }
  const conversations = createConversations({ sidecar, prompts, unsaved, stream: streamPrompt })

  const handlers = {
    'get-state': getState,
    'next-events': params => events.next(params),
    'test-connection': testConnection,
    'list-identities': () => listIdentities(),
    'submit-prompt': async params => ({ result: await prompts.run({ ...params, requestId: idOf(params.requestId) ?? crypto.randomUUID() }) }),
    'stream-prompt': params => streamPrompt(params),
    'list-conversations': conversations.list,
    'get-conversation': conversations.get,
    'delete-conversation': conversations.remove,
    'continue-answer': conversations.continueAnswer,
    'retry-answer': conversations.retryAnswer,
    'ask-in-conversation': conversations.ask,
    cancel,
    answer(params) {
      people.answer(params)
      return {}
    },
    'approve-tool'(params) {
      people.decide(params)
      return {}
    },
    'set-picked-model'({ value }) {
      onPicked(typeof value === 'string' ? value : '')
      return {}
    }
  }
  for (const [name, { as, timeoutMs = CALL_MS }] of Object.entries(PLAIN)) {
    handlers[name] = async params => {
      const taken = VAULT_PARAMS[name] ? pick(params, VAULT_PARAMS[name]) : params
      const result = await sidecar.call(`remote-llm/${name}`, taken, { timeoutMs })
      if (as === 'vault') sidecar.noteVault(result)
      return as ? { [as]: result } : result
    }
  }

  async function getState() {
    // Before the question: what happens meanwhile comes as an event, too.
    const { seq } = events
    sidecar.restart()
    const { phase, error, vault } = sidecar.state
    const daemon = { phase, error: error ? toAnswer(error) : null, vault }
    const open = { seq, daemon, questions: people.questions(), approvals: people.approvals(), streams: prompts.streams() }
    // One that is on its way is waited for. When one that ended is back, pages are told to ask again.
    if (phase === 'failed' || phase === 'waiting') {
      const configs = known.configs.map(config => ({ ...config, status: { ...config.status, state: 'off' } }))
      return { ...open, configs, problems: known.problems }
    }
    const { configs, problems } = await sidecar.call('remote-llm/list-configs', {}, { timeoutMs: CALL_MS })
    known = { configs, problems }
    const { phase: now, vault: opened, version: daemonVersion } = sidecar.state
    return { ...open, daemon: { phase: now, error: null, vault: opened, versions: { plugin: version, daemon: daemonVersion } }, ...known }
  }

  async function testConnection({ requestId, ...params }) {
    const testId = idOf(requestId) ?? crypto.randomUUID()
    if (tests.has(testId)) throw new RemoteError('INVALID_PARAMS', 'A test of this `requestId` is running.')
    const stop = new AbortController()
    tests.set(testId, stop)
    try {
      return await sidecar.call('remote-llm/test-connection', { ...params, requestId: testId }, { timeoutMs: CONNECT_MS, signal: stop.signal })
    } finally {
      tests.delete(testId)
    }
  }

  /** Answers at once; what becomes of it is told by events. */
  function streamPrompt(params, options) {
    const streamId = idOf(params.requestId) ?? crypto.randomUUID()
    if (prompts.isRunning(streamId)) throw new RemoteError('INVALID_PARAMS', 'A prompt of this `requestId` is running.')
    prompts.run({ ...params, requestId: streamId }, options).catch(error => log.warn(`a prompt failed: ${error.code}`))
    return { streamId }
  }

  function cancel({ requestId }) {
    if (idOf(requestId) === null) throw new RemoteError('INVALID_PARAMS', '`requestId` says which prompt or test is meant.')
    tests.get(requestId)?.abort()
    return { cancelled: prompts.cancel(requestId) || tests.has(requestId) }
  }

  const answered = Object.entries(handlers).map(([name, handler]) => [name, async params => {
    try {
      if (params !== undefined && params !== null && (typeof params !== 'object' || Array.isArray(params))) {
        throw new RemoteError('INVALID_PARAMS', `remote-llm:${name} takes one object.`)
      }
      return { ok: true, ...(await handler(params ?? {})) }
    } catch (error) {
      if (!(error instanceof RemoteError)) log.warn(`remote-llm:${name} has a defect: ${error.stack}`)
      return { ok: false, error: toAnswer(error) }
    }
  }])
  return { handlers: Object.fromEntries(answered), isTesting: () => tests.size > 0 }
}

const pick = (params, names) => Object.fromEntries(names.filter(name => params[name] !== undefined).map(name => [name, params[name]]))

/** @returns {string|null} an id as a page may choose it; null: it has chosen none */
function idOf(value) {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value === '' || value.length > 200) throw new RemoteError('INVALID_PARAMS', '`requestId` is a text of at most 200 characters.')
  return value
}

module.exports = { createHandlers }
