'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { wrapClaudeService, parsePicked } = require('../../lib/claude-service')
const { RemoteError } = require('../../lib/errors')

/** Puffin's service as far as it matters: its methods are on the prototype. */
class ClaudeService {
  constructor() {
    this.calls = []
    this.locked = false
  }

  isProcessRunning() {
    return this.locked
  }

  async submit(data) {
    this.calls.push(data.model)
    return { content: 'claude' }
  }

  cancel() {
    this.calls.push('cancel')
  }

  sendAnswer() {
    return true
  }

  async deriveStories(prompt, path, project, progress, context, model = null) {
    return model ?? 'sonnet'
  }

  async generateInspectionAssertions(stories, plan, standard, progress, model = null) {
    return model ?? 'sonnet'
  }

  async sendPrompt(prompt, options = {}) {
    return { success: true, response: `${options.model || 'haiku'} ${options.sessionId || 'alone'}` }
  }

  async buildPrompt(data) {
    return `${data.sessionId ? '' : 'project, '}${data.prompt}`
  }
}

function setUp(run, picked = '') {
  const service = new ClaudeService()
  const asked = []
  const prompts = {
    isOurs: id => String(id).startsWith('rllm-'),
    knows: async id => String(id).startsWith('rllm-'),
    toolNames: () => ['Read'],
    newConversationId: () => 'rllm-1',
    run: (params, options) => {
      asked.push({ params, options })
      return run(params, options)
    }
  }
  const door = wrapClaudeService({ service, prompts, picked: () => picked, log: { warn() {} } })
  return { service, asked, door }
}

/** Submits as Puffin does. */
async function submit(service, data, onQuestion) {
  const seen = { chunks: '', raw: [], complete: [], full: null }
  const response = await service.submit({ prompt: 'Hi', branchId: 'b', sessionId: null, maxTurns: 40, model: 'remote-llm:gpu:a/b:30b', ...data },
    piece => { seen.chunks += piece }, done => seen.complete.push(done), line => seen.raw.push(JSON.parse(line)), text => { seen.full = text }, question => onQuestion?.(question))
  return { ...seen, response }
}

const say = async (params, { onEvent }) => {
  onEvent({ type: 'text-delta', text: 'Let me ' }, { round: 1 })
  onEvent({ type: 'text-delta', text: 'look.' }, { round: 1 })
  onEvent({ type: 'tool-call-ready', id: 't1', name: 'Read', input: { file_path: 'a' } }, { round: 1 })
  onEvent({ type: 'tool-result', id: 't1', isError: false, preview: 'A' }, { round: 1 })
  onEvent({ type: 'text-delta', text: 'Done.' }, { round: 2 })
  return { message: { role: 'assistant', content: [{ type: 'text', text: 'Done.' }] }, rounds: 2, usage: { inputTokens: 7, outputTokens: 3 }, stopReason: 'end_turn' }
}

test('a picked model has a server and an id that may hold colons', () => {
  assert.deepEqual(parsePicked('remote-llm:gpu:a/b:30b'), { configId: 'gpu', modelId: 'a/b:30b' })
  for (const other of ['opus', 'remote-llm:gpu', 'remote-llm::m', undefined, 5]) assert.equal(parsePicked(other), null)
})

test('a remote prompt goes to its server and comes back in Puffin’s words, once', async () => {
  const { service, asked } = setUp(say)
  const { chunks, raw, complete, full, response } = await submit(service, { additionalDirs: [{ path: '/x' }], codeModificationAllowed: false })
  const [{ params, options }] = asked
  assert.deepEqual([params.configId, params.model, params.conversationId, params.limits], ['gpu', 'a/b:30b', 'rllm-1', { maxRounds: 40 }])
  assert.deepEqual(params.messages, [{ role: 'user', content: 'project, Hi' }])
  assert.deepEqual(options.policy, { additionalDirs: [{ path: '/x' }], codeModificationAllowed: false })
  assert.equal(full, 'project, Hi')
  assert.equal(chunks, 'Let me look.\n\nDone.')
  assert.deepEqual(raw.map(({ type }) => type), ['system', 'assistant', 'user', 'assistant', 'result'])
  assert.deepEqual(raw[0], { type: 'system', subtype: 'init', session_id: 'rllm-1', model: 'a/b:30b', tools: ['Read'] })
  assert.deepEqual(raw[1].message.content, [{ type: 'text', text: 'Let me look.' }, { type: 'tool_use', id: 't1', name: 'Read', input: { file_path: 'a' } }])
  assert.deepEqual(raw[2].message.content[0], { type: 'tool_result', tool_use_id: 't1', content: 'A', is_error: false })
  assert.deepEqual(raw[4].usage, { input_tokens: 7, output_tokens: 3 })
  assert.equal(complete.length, 1)
  assert.equal(complete[0], response)
  assert.deepEqual([response.content, response.sessionId, response.turns, response.cancelled, response.exitCode], ['Done.', 'rllm-1', 2, false, 0])
  assert.deepEqual(service.calls, [])
  assert.equal(service.isProcessRunning(), false)
})

test('a conversation of ours goes on, one of Claude’s starts fresh with the project', async () => {
  const { service, asked } = setUp(say)
  await submit(service, { sessionId: 'rllm-9' })
  await submit(service, { sessionId: 'a-claude-session' })
  assert.deepEqual(asked.map(({ params }) => [params.conversationId, params.messages[0].content]), [['rllm-9', 'Hi'], ['rllm-1', 'project, Hi']])
})

test('Claude’s own prompts go to Claude', async () => {
  const { service, asked } = setUp(say)
  assert.deepEqual(await service.submit({ model: 'sonnet' }), { content: 'claude' })
  service.cancel()
  assert.equal(service.sendAnswer('t', {}), true)
  assert.deepEqual([service.calls, asked], [['sonnet', 'cancel'], []])
})

test('stories and assertions are asked of Claude, with a model that Claude knows', async () => {
  const { service } = setUp(say)
  const remote = 'remote-llm:gpu:m'
  assert.equal(await service.deriveStories('p', '/p', null, null, null, remote), 'sonnet')
  assert.equal(await service.deriveStories(remote, '/p', null, null, null, 'haiku'), 'haiku')
  assert.equal(await service.generateInspectionAssertions([], '', '', null, remote), 'sonnet')
})

test('a side question of a remote thread is not put to Claude, who would not find the thread', async () => {
  const { service } = setUp(say)
  assert.deepEqual(await service.sendPrompt('p', { sessionId: 'of-claude', model: 'remote-llm:gpu:m' }), { success: true, response: 'haiku of-claude' })
  assert.deepEqual(await service.sendPrompt('p'), { success: true, response: 'haiku alone' })
  const { success, error } = await service.sendPrompt('p', { sessionId: 'rllm-1' })
  assert.equal(success, false)
  assert.match(error, /Ask in the thread itself/)
})

test('a thinking budget that asks for opus stays with the model that is picked', async () => {
  const { service, asked } = setUp(say, 'remote-llm:gpu:m')
  await submit(service, { model: 'opus' })
  assert.equal(asked[0].params.model, 'm')
  await service.submit({ model: 'sonnet' })
  assert.deepEqual(service.calls, ['sonnet'])
})

test('stop ends the remote prompt, keeps what was said, and leaves Claude’s lock alone', async () => {
  const { service } = setUp((params, { signal, onEvent }) => new Promise(resolve => {
    onEvent({ type: 'text-delta', text: 'Half' }, { round: 1 })
    signal.addEventListener('abort', () => resolve({ message: { content: [{ type: 'text', text: 'Half' }] }, rounds: 1, stopReason: 'cancelled' }))
  }))
  const running = submit(service)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(service.isProcessRunning(), true)
  await assert.rejects(submit(service), /already running/)
  service.cancel()
  const { response } = await running
  assert.deepEqual([response.content, response.cancelled, service.calls], ['Half', true, []])
})

test('the model asks in Puffin’s own window, and gets what was chosen there', async () => {
  const { service } = setUp(async (params, { more, signal }) => {
    const [tool] = more.tools
    assert.equal(tool.definition.name, 'AskUserQuestion')
    const input = { questions: [{ question: 'Which colour?', options: [{ label: 'Red' }, { label: 'Blue', description: 'as the sea' }] }] }
    const { content } = await tool.execute({ input, signal })
    return { message: { content: [{ type: 'text', text: content }] }, rounds: 1, stopReason: 'end_turn' }
  })
  const asked = []
  const { response } = await submit(service, {}, question => {
    asked.push(question)
    assert.equal(service.sendAnswer('another', { 0: 'No' }), true, 'that one is Claude’s')
    assert.equal(service.sendAnswer(question.toolUseId, { 0: 'Blue' }), true)
  })
  assert.deepEqual(asked[0].questions, [{ header: 'Question', question: 'Which colour?', multiSelect: false, options: [{ label: 'Red', description: '' }, { label: 'Blue', description: 'as the sea' }] }])
  assert.equal(response.content, 'Which colour?\nBlue')
})

test('what the page does with the end is not taken for a failure of the prompt, and it ends once', async () => {
  const { service } = setUp(say)
  let ends = 0
  await assert.rejects(service.submit({ prompt: 'Hi', model: 'remote-llm:gpu:m' }, () => {}, () => {
    ends++
    throw new Error('the page is gone')
  }), /the page is gone/)
  assert.deepEqual([ends, service.isProcessRunning()], [1, false])
})

test('a failure before the first word is a rejection; after it, the text stays with the reason', async () => {
  const broken = new RemoteError('STREAM_INTERRUPTED', 'The connection to gpu broke.', { hint: 'Send it again.' })
  const before = setUp(async () => { throw broken })
  await assert.rejects(submit(before.service), /The connection to gpu broke\. Send it again\./)
  assert.equal(before.service.isProcessRunning(), false)
  const after = setUp(async (params, { onEvent }) => {
    onEvent({ type: 'text-delta', text: 'So far' }, { round: 1 })
    throw broken
  })
  const { response, raw, chunks } = await submit(after.service)
  assert.match(response.content, /^So far\n\n\*\*The answer was interrupted\.\*\* The connection to gpu broke/)
  assert.equal(chunks, response.content)
  assert.equal(raw.at(-1).is_error, true)
})

test('no words of a server open Claude’s sign-in, and none end the session by accident', async () => {
  const signIn = /authentication_error|OAuth token|token.*expired|Failed to authenticate|not logged in|please run \/login/i
  const refused = setUp(async () => { throw new RemoteError('API_AUTH_FAILED', 'gpu said: authentication_error, your OAuth token has expired, please run /login') })
  await assert.rejects(submit(refused.service), error => !signIn.test(error.message))
  for (const text of ['You are not logged in.', 'Prompt is too long', '']) {
    const { service } = setUp(async () => ({ message: { content: [{ type: 'text', text }] }, rounds: 0, stopReason: 'end_turn' }))
    const { response } = await submit(service)
    assert.doesNotMatch(response.content, signIn)
    assert.notEqual(response.content, 'Prompt is too long')
    assert.notEqual(response.content, '')
  }
})

test('afterwards the service is exactly what it was', async () => {
  const { service, door } = setUp(say)
  door.restore()
  assert.deepEqual(Object.keys(service), ['calls', 'locked'])
  assert.equal(service.submit, ClaudeService.prototype.submit)
  const later = setUp(say)
  const ours = later.service.submit
  later.service.submit = function (data) { return ours.call(this, { ...data, seen: true }) }
  const theirsOnTop = later.service.submit
  later.door.restore()
  assert.equal(later.service.submit, theirsOnTop, 'what another has put before it is theirs')
  assert.deepEqual(await later.service.submit({ model: 'remote-llm:gpu:m' }), { content: 'claude' })
  assert.deepEqual(Object.keys(later.service).sort(), ['calls', 'locked', 'submit'])
  const patched = new ClaudeService()
  const theirs = async () => 'theirs'
  patched.submit = theirs
  wrapClaudeService({ service: patched, prompts: {}, picked: () => '', log: { warn() {} } }).restore()
  assert.equal(patched.submit, theirs)
  assert.equal(wrapClaudeService({ service: {}, prompts: {}, picked: () => '', log: { warn() {} } }), null)
})
