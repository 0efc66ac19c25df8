'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createEvents } = require('../../lib/events')
const { createHandlers } = require('../../lib/ipc')
const { createPeople } = require('../../lib/people')
const { createUnsaved } = require('../../lib/unsaved')
const { RemoteError } = require('../../lib/errors')

/** Handlers over a daemon and prompts that the test plays. */
function setUp({ daemon = async () => ({}), run = async () => ({}), state = { phase: 'ready', error: null, vault: null } } = {}) {
  const asked = []
  const vaults = []
  const picked = []
  const running = new Set()
  const events = createEvents()
  const people = createPeople({ emit: events.emit })
  const sidecar = {
    state,
    restart() {},
    noteVault: vault => vaults.push(vault),
    call: (method, params, options) => {
      asked.push({ method, params, options })
      return daemon(method, params, options)
    }
  }
  const prompts = {
    run(params) {
      running.add(params.requestId)
      return run(params).finally(() => running.delete(params.requestId))
    },
    isRunning: id => running.has(id),
    cancel: id => running.has(id),
    streams: () => []
  }
  const { handlers } = createHandlers({ sidecar, events, people, prompts, unsaved: createUnsaved(), listIdentities: async () => ({ agent: null, keyFiles: [] }), onPicked: value => picked.push(value), log: { warn() {} } })
  return { handlers, asked, vaults, picked, people, sidecar, events }
}

test('what the daemon answers goes to the page under its name, and its errors with code and hint', async () => {
  const { handlers } = setUp({
    daemon: async method => {
      if (method === 'remote-llm/configure') return { configId: 'gpu' }
      throw new RemoteError('SSH_AUTH_FAILED', 'gpu did not accept you.', { hint: 'Add the key.', stage: 'auth', retryable: false })
    }
  })
  assert.deepEqual(await handlers.configure({ name: 'GPU' }), { ok: true, config: { configId: 'gpu' } })
  assert.deepEqual(await handlers.connect({ configId: 'gpu' }), {
    ok: false,
    error: { code: 'SSH_AUTH_FAILED', message: 'gpu did not accept you.', hint: 'Add the key.', data: { stage: 'auth', retryable: false } }
  })
})

test('a defect is an answer, too, and params of the wrong form are refused', async () => {
  const { handlers } = setUp({ daemon: async () => { throw new TypeError('x is undefined') } })
  assert.equal((await handlers.status({})).error.code, 'PLUGIN_DEFECT')
  for (const params of ['text', 5, [], () => {}]) assert.equal((await handlers.status(params)).error.code, 'INVALID_PARAMS', String(params))
  for (const [name, params] of [
    ['next-events', { after: 'x' }], ['cancel', {}], ['cancel', { requestId: {} }], ['stream-prompt', { requestId: 7 }], ['test-connection', { requestId: '' }],
    ['approve-tool', { callId: 'c', decision: 'yes' }]
  ]) assert.equal((await handlers[name](params)).error.code, 'INVALID_PARAMS', name)
  assert.equal((await handlers.answer({ questionId: 'nobody' })).error.code, 'PLUGIN_QUESTION_GONE')
})

test('a stream is answered at once, and its name is taken as long as it runs', async () => {
  let finish
  const { handlers } = setUp({ run: () => new Promise(resolve => { finish = resolve }) })
  assert.deepEqual(await handlers['stream-prompt']({ requestId: 's1', configId: 'gpu' }), { ok: true, streamId: 's1' })
  assert.equal((await handlers['stream-prompt']({ requestId: 's1' })).error.code, 'INVALID_PARAMS')
  assert.deepEqual(await handlers.cancel({ requestId: 's1' }), { ok: true, cancelled: true })
  finish({})
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(await handlers.cancel({ requestId: 's1' }), { ok: true, cancelled: false })
})

test('a test of a connection can be cancelled by its name', async () => {
  const { handlers, asked } = setUp({
    daemon: (method, params, { signal }) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(new RemoteError('CANCELLED', 'It was cancelled.'))))
  })
  const testing = handlers['test-connection']({ requestId: 't1', ssh: { host: 'gpu' } })
  assert.deepEqual(await handlers.cancel({ requestId: 't1' }), { ok: true, cancelled: true })
  assert.equal((await testing).error.code, 'CANCELLED')
  assert.deepEqual(asked[0].params, { requestId: 't1', ssh: { host: 'gpu' } })
  assert.deepEqual(await handlers.cancel({ requestId: 't1' }), { ok: true, cancelled: false })
})

test('a page that comes while there is no daemon gets what was known, and none of it as connected', async () => {
  const config = { configId: 'gpu', status: { state: 'ready' } }
  const { handlers, sidecar } = setUp({ daemon: async () => ({ configs: [config], problems: [] }) })
  assert.deepEqual((await handlers['get-state']()).configs, [config])
  sidecar.state = { phase: 'waiting', error: new RemoteError('DAEMON_GONE', 'It ended.'), vault: null }
  const { ok, configs, daemon } = await handlers['get-state']()
  assert.deepEqual([ok, configs[0].status.state, daemon.phase, daemon.error.code], [true, 'off', 'waiting', 'DAEMON_GONE'])
})

test('a page opens the vault with a passphrase and never with a key', async () => {
  const { handlers, asked, vaults } = setUp({ daemon: async () => ({ state: 'unlocked', entries: 0, warnings: [] }) })
  const { vault } = await handlers['vault-unlock']({ passphrase: 'p', key: 'k' })
  assert.equal(vault.state, 'unlocked')
  assert.deepEqual(asked[0].params, { passphrase: 'p' })
  assert.deepEqual(vaults, [vault])
})

test('a person’s answer is passed on in the daemon’s form and no other', async () => {
  const { handlers, people } = setUp()
  const key = people.verifyHostKey({ host: 'gpu', fingerprint: 'SHA256:x' })
  const [{ questionId }] = people.questions()
  assert.equal((await handlers.answer({ questionId, decision: 'maybe', fingerprint: 'SHA256:x' })).error.code, 'INVALID_PARAMS')
  assert.equal((await handlers.answer({ questionId, decision: 'accept' })).error.code, 'INVALID_PARAMS')
  assert.deepEqual(await handlers.answer({ questionId, decision: 'accept-once', fingerprint: 'SHA256:x', more: 1 }), { ok: true })
  assert.deepEqual(await key, { decision: 'accept-once', fingerprint: 'SHA256:x' })
  const password = people.answerPrompt({ kind: 'password', prompts: [{ text: 'Password:', echo: false }] })
  const [{ questionId: second }] = people.questions()
  assert.equal((await handlers.answer({ questionId: second, answers: [1] })).error.code, 'INVALID_PARAMS')
  await handlers.answer({ questionId: second, answers: ['x'], remember: true })
  assert.deepEqual(await password, { answers: ['x'], remember: true })
})

test('what the picker holds is a text', async () => {
  const { handlers, picked } = setUp()
  await handlers['set-picked-model']({ value: 'remote-llm:gpu:m' })
  await handlers['set-picked-model']({ value: { a: 1 } })
  assert.deepEqual(picked, ['remote-llm:gpu:m', ''])
})
