import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCall, errorForState } from '../../renderer/ipc.js'

test('a call names the plugin and the handler, and gives what main answered', async () => {
  const asked = []
  const call = createCall(async (...args) => {
    asked.push(args)
    return { ok: true, configs: [] }
  })
  assert.deepEqual((await call('list-configs')).configs, [])
  assert.deepEqual(asked, [['remote-llm-plugin', 'remote-llm:list-configs', {}]])
})

test('a refusal becomes an error with its code, its sentence and its hint', async () => {
  const call = createCall(async () => ({ ok: false, error: { code: 'SSH_AUTH_FAILED', message: 'gpu1 did not accept user ai.', hint: 'Add a key.', data: { stage: 'auth' } } }))
  const error = await call('connect').catch(thrown => thrown)
  assert.deepEqual(errorForState(error), { code: 'SSH_AUTH_FAILED', message: 'gpu1 did not accept user ai.', data: { code: 'SSH_AUTH_FAILED', hint: 'Add a key.', stage: 'auth' } })
})

test('what Puffin throws, and answers without a form, are told as such', async () => {
  const thrown = await createCall(async () => { throw new Error('No handler registered') })('connect').catch(error => error)
  assert.equal(thrown.code, 'PLUGIN_UNREACHABLE')
  // Puffin gives its own wrapper where a handler answered nothing.
  const nothing = await createCall(async () => ({ success: true }))('connect').catch(error => error)
  assert.equal(nothing.code, 'PLUGIN_ANSWER')
})

test('a main half that never answers is given up at the deadline', async () => {
  const setTimeout = (fire, ms, value) => queueMicrotask(() => fire(value))
  const call = createCall(() => new Promise(() => {}), { setTimeout, clearTimeout: () => {} })
  const error = await call('list-configs', {}, { deadlineMs: 7000 }).catch(thrown => thrown)
  assert.equal(error.code, 'PLUGIN_TIMEOUT')
  assert.match(error.message, /within 7 s/)
})
