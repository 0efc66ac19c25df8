import assert from 'node:assert/strict'
import { test } from 'node:test'
import { optionsOf, parsePicked } from '../../renderer/picker.js'
import { proposalsOf } from '../../renderer/state/events.js'
import { sameFingerprint } from '../../renderer/state/fingerprint.js'
import { bytes, count, duration, light, modelCapabilities, modelContext, modelSize, visible } from '../../renderer/state/format.js'
import { initialState } from '../../renderer/state/state.js'
import { vaultProblem } from '../../renderer/state/vault.js'

test('text of others cannot hide or reorder anything', () => {
  assert.equal(visible('rm -rf ~ \u202E#\u0007\u200B'), 'rm -rf ~ ⟨U+202E⟩#⟨U+0007⟩⟨U+200B⟩')
  assert.equal(visible('two\r\nlines\tand tabs, ünd 🐧'), 'two\nlines\tand tabs, ünd 🐧')
})

test('what is not known is said as such, and nothing is guessed', () => {
  assert.equal(modelContext({ contextWindow: { effective: null, maximum: null } }), 'unknown')
  assert.equal(modelContext({ contextWindow: { effective: 32_768, maximum: 262_144 } }), '32,768 of 262,144')
  assert.equal(modelContext({ contextWindow: { effective: null, maximum: 8192 } }), 'up to 8,192')
  assert.equal(modelSize({ parameters: { count: 30_500_000_000, quantization: 'Q4_K_M', sizeBytes: 18_600_000_000 } }), '30.5B · Q4_K_M · 19 GB')
  assert.equal(modelSize({ parameters: {} }), 'unknown')
  assert.deepEqual(modelCapabilities({ capabilities: { tools: true, vision: false, reasoning: null } }), ['tools'])
  assert.deepEqual(modelCapabilities({ capabilities: {} }), ['unknown'])
  assert.deepEqual([count(null), count(1_234_567), bytes(999), bytes(4_300_000_000)], ['unknown', '1,234,567', '999 B', '4.3 GB'])
  assert.deepEqual([38, 1234, 45_000, 300_000].map(duration), ['38 ms', '1.2 s', '45 s', '5 min'])
})

test('a light has a shape and a word for every state', () => {
  const states = ['off', 'connecting', 'ready', 'reconnecting', 'needs-user', 'failed'].map(state => light({ state }))
  assert.equal(new Set(states.map(({ shape }) => shape)).size, 6)
  assert.equal(new Set(states.map(({ text }) => text)).size, 6)
  assert.equal(light({ state: 'ready', latencyMs: 37.6 }).text, 'Ready, 38 ms')
  assert.equal(light({ state: 'reconnecting', retryInMs: 4000, receivedAt: 1000 }, 2500).countdown, ' in 3 s')
  assert.equal(light({ state: 'failed', error: { data: { stage: 'auth' } } }).text, 'Failed: auth')
})

test('a fingerprint is compared as people copy it, and only as a whole', () => {
  const fingerprint = 'SHA256:uNiVztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk'
  for (const typed of [fingerprint, fingerprint.slice(7), `256 ${fingerprint} root@gpu1 (ED25519)`, `${fingerprint}=`]) assert.ok(sameFingerprint(typed, fingerprint), typed)
  for (const typed of ['', 'SHA256:', fingerprint.slice(0, -1), fingerprint.toLowerCase(), `${fingerprint} SHA256:${'A'.repeat(43)}`]) assert.ok(!sameFingerprint(typed, fingerprint), typed)
})

test('a picked value is taken apart at the first two colons', () => {
  assert.deepEqual(parsePicked('remote-llm:gpu1:hf.co/org/qwen3:30b'), { configId: 'gpu1', modelId: 'hf.co/org/qwen3:30b' })
  for (const other of ['opus', 'ollama:qwen3:30b', 'remote-llm:gpu1', '', undefined]) assert.equal(parsePicked(other), null)
})

test('the picker offers what is listed or chosen, of trusted servers, and no embedding model', () => {
  const server = (configId, more) => ({ configId, name: configId.toUpperCase(), llm: {}, trust: { state: 'trusted' }, ...more })
  const state = {
    ...initialState(),
    remoteConfigs: [server('a', { selectedModel: 'chosen' }), server('b', { llm: { defaultModel: 'd' } }), server('c', { trust: { state: 'untrusted' }, selectedModel: 'x' }), server('d')],
    modelLists: { a: { models: [{ id: 'listed' }, { id: 'embed', capabilities: { embedding: true } }] } }
  }
  assert.deepEqual(optionsOf(state).map(({ value }) => value), ['remote-llm:a:chosen', 'remote-llm:a:listed', 'remote-llm:b:d'])
})

test('an event of a kind that is not known says nothing', () => {
  for (const event of [{ type: 'later-version' }, { type: 'toString' }, {}, null]) assert.deepEqual(proposalsOf(event, 0), [])
})

test('a vault is told of only where a person should know', () => {
  assert.equal(vaultProblem({ state: 'unlocked' }), null)
  assert.equal(vaultProblem(null), null)
  assert.equal(vaultProblem({ state: 'session-only' }).passphrase, true)
  const locked = code => vaultProblem({ state: 'locked', problem: { message: 'So it is.', data: { code } } })
  assert.deepEqual(locked('VAULT_KEY_MISMATCH'), { sentence: 'So it is.', locked: true, passphrase: true, reset: true })
  assert.deepEqual([locked('VAULT_TOO_NEW').passphrase, locked('VAULT_TOO_NEW').reset, locked('LATER_CODE').reset], [false, false, false])
})
