'use strict'

const crypto = require('node:crypto')
const { RemoteError, toAnswer } = require('./errors')

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
  'list-conversations': {},
  'get-conversation': {},
  'delete-conversation': {}
}

/**
 * The handlers of `remote-llm:*`; IPC.md has the contract. Whatever happens, an object is answered:
 * Puffin loses codes of what is thrown, and takes nothing for something else.
 *
 * @param {object} options
 * @param {object} options.sidecar
 * @param {object} options.events
 * @param {object} options.people
 * @param {object} options.prompts
 * @param {() => Promise<object>} options.listIdentities
 * @param {(value: string) => void} options.onPicked
 * @param {{warn: Function}} options.log
 * @returns {Object<string, (params?: object) => Promise<object>>} by name without `remote-llm:`
 */
function createHandlers({ sidecar, events, people, prompts, listIdentities, onPicked, log }) {
  const tests = new Map()

  const handlers = {
    'get-state': getState,
    'next-events': params => events.next(params),
    'test-connection': testConnection,
    'list-identities': () => listIdentities(),
    'submit-prompt': async params => ({ result: await prompts.run(params) }),
    'stream-prompt': streamPrompt,
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
      const result = await sidecar.call(`remote-llm/${name}`, params, { timeoutMs })
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
    if (phase === 'failed') return { ...open, configs: [], problems: [] }
    const { configs, problems } = await sidecar.call('remote-llm/list-configs', {}, { timeoutMs: CALL_MS })
    return { ...open, daemon: { phase: sidecar.state.phase, error: null, vault: sidecar.state.vault }, configs, problems }
  }

  async function testConnection({ requestId, ...params }) {
    const testId = requestId ?? crypto.randomUUID()
    const stop = new AbortController()
    tests.set(testId, stop)
    try {
      return await sidecar.call('remote-llm/test-connection', { ...params, requestId: testId }, { timeoutMs: CONNECT_MS, signal: stop.signal })
    } finally {
      tests.delete(testId)
    }
  }

  /** Answers at once; what becomes of it is told by events. */
  function streamPrompt(params) {
    const streamId = params.requestId ?? crypto.randomUUID()
    prompts.run({ ...params, requestId: streamId }).catch(error => log.warn(`a prompt failed: ${error.code}`))
    return { streamId }
  }

  function cancel({ requestId }) {
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

module.exports = { createHandlers }
