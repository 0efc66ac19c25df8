import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configAcceptors } from '../../renderer/state/config-acceptors.js'
import { draftAcceptors } from '../../renderer/state/draft-acceptors.js'
import { promptAcceptors, TAIL } from '../../renderer/state/prompt-acceptors.js'
import { combineAcceptors, createInstance } from '../../renderer/state/sam.js'
import { initialState } from '../../renderer/state/state.js'
import { expectedStages, rowOf, testAcceptors, verdictOf } from '../../renderer/state/test-acceptors.js'

const config = (configId, more) => ({
  configId, name: configId, ssh: { host: configId, jumpHosts: [] }, llm: { apiEndpoint: 'http://127.0.0.1:1' },
  selectedModel: null, status: { configId, state: 'off' }, trust: { state: 'trusted', digest: `d-${configId}` }, warnings: [], ...more
})

function instance(...proposals) {
  let renders = 0
  const sam = createInstance({
    initialState: initialState(),
    acceptors: combineAcceptors(configAcceptors, draftAcceptors, testAcceptors, promptAcceptors),
    render: () => { renders++ }
  })
  for (const proposal of proposals) sam.present(proposal)
  return { ...sam, renders: () => renders }
}

const known = (...ids) => ({ type: 'REMOTE_STATE_REPLACED', configs: ids.map(id => config(id)) })

test('proposals that come together are accepted in order and rendered once', () => {
  const sam = instance()
  sam.present(known('b', 'a'), { type: 'REMOTE_CONFIG_DELETED', configId: 'b' }, { type: 'NO_SUCH_PROPOSAL' })
  assert.deepEqual(sam.state().remoteConfigs.map(({ configId }) => configId), ['a'])
  assert.equal(sam.renders(), 1)
})

test('what a next action presents waits until the step is done', () => {
  const seen = []
  const sam = createInstance({
    initialState: { n: 0 },
    acceptors: { ADD: (state, { by }) => ({ n: state.n + by }) },
    nextActions: [(state, previous, { by }) => {
      if (by === 1) sam.present({ type: 'ADD', by: 10 })
      seen.push([previous.n, state.n])
    }],
    render: state => seen.push(['rendered', state.n])
  })
  sam.present({ type: 'ADD', by: 1 })
  assert.deepEqual(seen, [[0, 1], [1, 11], ['rendered', 11]])
})

test('a connection makes its server the active one, and losing it keeps the choice', () => {
  const sam = instance(known('gpu1', 'gpu2'))
  const ready = { configId: 'gpu1', state: 'ready', latencyMs: 38 }
  sam.present({ type: 'REMOTE_CONNECTION_ESTABLISHED', status: ready, receivedAt: 1_700_000_000_000 })
  sam.present({ type: 'MODELS_LOADED', configId: 'gpu1', at: 1, result: { server: { kind: 'ollama' }, models: [{ id: 'qwen3:30b' }] } })
  sam.present({ type: 'REMOTE_MODEL_SELECTED', configId: 'gpu1', modelId: 'qwen3:30b' })
  assert.deepEqual(sam.state().activeRemoteConnection, { configId: 'gpu1', isConnected: true, selectedModel: 'qwen3:30b', models: [{ id: 'qwen3:30b' }] })
  assert.equal(sam.state().remoteConfigs[0].lastCheckedAt, '2023-11-14T22:13:20.000Z')

  sam.present({ type: 'REMOTE_CONNECTION_FAILED', status: { configId: 'gpu1', state: 'failed' } })
  assert.equal(sam.state().activeRemoteConnection.isConnected, false)
  assert.equal(sam.state().activeRemoteConnection.configId, 'gpu1')
  sam.present({ type: 'REMOTE_CONFIG_DELETED', configId: 'gpu1' })
  assert.deepEqual(sam.state().activeRemoteConnection, { configId: null, isConnected: false, selectedModel: null, models: [] })
})

test('a status of a server that is not known changes nothing', () => {
  const sam = instance(known('a'))
  const before = sam.state()
  sam.present({ type: 'REMOTE_CONNECTION_CHANGED', status: { configId: 'ghost', state: 'ready' } })
  assert.equal(sam.state(), before)
})

test('a profile that was changed elsewhere does not overwrite what a person types', () => {
  const sam = instance(known('a', 'b'), { type: 'SERVER_SELECTED', key: 'a' }, { type: 'SERVER_SELECTED', key: 'b' })
  sam.present({ type: 'DRAFT_FIELD_CHANGED', key: 'a', section: 'ssh', path: 'username', value: 'mine' })
  const changed = id => ({ type: 'REMOTE_CONFIG_SAVED', config: config(id, { ssh: { host: 'moved', jumpHosts: [] }, trust: { state: 'untrusted', digest: 'new' } }) })
  sam.present(changed('a'), changed('b'))
  const { a, b } = sam.state().drafts
  assert.deepEqual([a.ssh.host, a.ssh.username, a.outdated], ['a', 'mine', true])
  assert.equal(b.ssh.host, 'moved')
})

test('a new server that was saved stays open under its id, with its test', () => {
  const sam = instance({ type: 'SERVER_SELECTED', key: 'new' }, { type: 'TEST_STARTED', key: 'new', testId: 't', hops: 1 })
  sam.present({ type: 'REMOTE_CONFIG_SAVED', config: config('gpu1') }, { type: 'DRAFT_SAVED', key: 'new', config: config('gpu1') })
  const { selected, drafts, tests } = sam.state()
  assert.deepEqual([selected, Object.keys(drafts), Object.keys(tests)], ['gpu1', ['gpu1'], ['gpu1']])
})

test('jump hosts are moved within their list', () => {
  const key = 'new'
  const sam = instance({ type: 'SERVER_SELECTED', key }, { type: 'HOP_ADDED', key }, { type: 'HOP_ADDED', key }, { type: 'HOP_ADDED', key })
  sam.present({ type: 'HOP_MOVED', key, hop: 'hop2', by: -1 }, { type: 'HOP_MOVED', key, hop: 'hop0', by: -1 }, { type: 'HOP_REMOVED', key, hop: 'hop1' })
  assert.deepEqual(sam.state().drafts.new.hops.map(({ id }) => id), ['hop0', 'hop2'])
})

test('a question tells how far a test has come, and stands in the row that needs it', () => {
  const sam = instance({ type: 'TEST_STARTED', key: 'new', testId: 't', hops: 2 })
  const question = { questionId: 'q', kind: 'host-key', hop: 2, hops: 2, host: 'gpu1' }
  sam.present({ type: 'QUESTION_ASKED', question })
  const { stages } = sam.state().tests.new
  assert.deepEqual(stages.slice(0, 10).map(({ status }) => status), [...Array(8).fill('reached'), 'running', 'waiting'])
  assert.deepEqual(rowOf(sam.state(), question), { key: 'new', index: 8 })
})

test('a question of a machine that only ssh_config names makes its rows', () => {
  const sam = instance({ type: 'TEST_STARTED', key: 'new', testId: 't', hops: 1 })
  sam.present({ type: 'QUESTION_ASKED', question: { questionId: 'q', kind: 'password', hop: 1, hops: 3 } })
  const { stages } = sam.state().tests.new
  assert.equal(stages.length, expectedStages(3).length)
  assert.deepEqual(stages.find(({ status }) => status === 'running'), { name: 'auth', hop: 1, status: 'running' })
})

test('stages that are told one by one fill the list, the unexpected ones too', () => {
  const sam = instance({ type: 'TEST_STARTED', key: 'a', testId: 't', hops: 1 })
  const hop = name => (['resolve', 'tcp', 'ssh-handshake', 'host-key', 'auth'].includes(name) ? 1 : undefined)
  const stage = (name, status) => ({ type: 'TEST_STAGE', testId: 't', stage: { name, hop: hop(name), hops: 1, status, durationMs: 1, detail: '' } })
  for (const name of ['resolve', 'tcp', 'ssh-handshake', 'host-key', 'auth', 'forward', 'tls']) sam.present(stage(name, 'passed'))
  assert.deepEqual(sam.state().tests.a.stages.map(({ name, status }) => `${name} ${status}`).slice(5), ['forward passed', 'tls passed', 'http running', 'server waiting', 'models waiting'])
  sam.present({ type: 'TEST_STAGE', testId: 'another', stage: { name: 'http', status: 'failed' } })
  assert.equal(sam.state().tests.a.stages[7].status, 'running')
})

test('a stage that has begun is under way, on as many machines as the daemon knows of', () => {
  const sam = instance({ type: 'TEST_STARTED', key: 'a', testId: 't', hops: 1 })
  sam.present({ type: 'TEST_STAGE', testId: 't', stage: { name: 'tcp', hop: 1, hops: 2, status: 'started', detail: '' } })
  const { stages } = sam.state().tests.a
  assert.equal(stages.length, expectedStages(2).length)
  assert.deepEqual(stages.filter(({ status }) => status === 'running').map(({ name, hop }) => [name, hop]), [['tcp', 1]])
})

test('a finished test is judged by its answer, and an answer to an older test by nobody', () => {
  const sam = instance({ type: 'TEST_STARTED', key: 'a', testId: 'old', hops: 1 }, { type: 'TEST_STARTED', key: 'a', testId: 'now', hops: 1 })
  const result = { success: true, stages: [{ name: 'resolve', status: 'passed', durationMs: 8 }, { name: 'models', status: 'passed', durationMs: 30 }], server: { kind: 'ollama', version: '0.6' }, models: [{}, {}] }
  sam.present({ type: 'TEST_FINISHED', key: 'a', testId: 'old', result: { ...result, success: false } })
  assert.equal(sam.state().tests.a.running, true)
  sam.present({ type: 'TEST_FINISHED', key: 'a', testId: 'now', result })
  assert.equal(verdictOf(sam.state().tests.a, 'gpu1'), 'Ready: Ollama 0.6 on gpu1, 2 models, 38 ms')
})

test('of a running answer only the end is kept, and its tokens are added up', () => {
  const sam = instance({ type: 'STREAM_STARTED', streamId: 's', configId: 'a', at: 1 })
  for (let n = 0; n < 3000; n++) sam.present({ type: 'STREAM_TEXT', streamId: 's', text: 'four', kind: 'text' })
  sam.present({ type: 'STREAM_USAGE', streamId: 's', usage: { inputTokens: 5, outputTokens: 2 } }, { type: 'STREAM_USAGE', streamId: 's', usage: { inputTokens: 6, outputTokens: 3, reasoningTokens: null } })
  const { tail, characters, chunks, usage } = sam.state().streams.s
  assert.deepEqual([tail.length, characters, chunks, usage], [TAIL, 12_000, 3000, { inputTokens: 11, outputTokens: 5 }])
  sam.present({ type: 'STREAM_ENDED', streamId: 's', at: 9, result: { model: 'm', stopReason: 'end_turn', usage: { inputTokens: 11, outputTokens: 5 }, timing: { totalMs: 8 } } })
  assert.deepEqual(sam.state().streams, {})
  assert.equal(sam.state().finishedPrompts[0].stopReason, 'end_turn')
})

test('a question is asked once, however often it is told', () => {
  const asked = { type: 'QUESTION_ASKED', question: { questionId: 'q', kind: 'password' } }
  const sam = instance(asked, asked)
  assert.equal(sam.state().questions.length, 1)
  sam.present({ type: 'QUESTION_CLOSED', questionId: 'q' })
  assert.deepEqual(sam.state().questions, [])
})

test('an answer that completes a partial one takes its place in the history', () => {
  const message = text => ({ role: 'assistant', content: [{ type: 'text', text }] })
  const updated = (conversationId, text, completesPartial = false) => ({ type: 'REMOTE_CONVERSATION_UPDATED', conversationId, messages: [message(text)], completesPartial })
  const sam = instance(updated('c', 'half'), updated('c', 'whole', true))
  assert.deepEqual(sam.state().remoteConversationHistory.map(({ content }) => content[0].text), ['whole'])
  sam.present(updated('other', 'new'))
  assert.equal(sam.state().remoteConversationHistory.length, 1)
})
