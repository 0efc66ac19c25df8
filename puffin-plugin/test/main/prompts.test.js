'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createPrompts } = require('../../lib/prompts')
const { createPeople } = require('../../lib/people')
const { createUnsaved } = require('../../lib/unsaved')
const { RemoteError } = require('../../lib/errors')

/** Prompts over a daemon that the test plays, and one tool that asks first. */
function setUp(play, { watched = true } = {}) {
  const told = []
  const notes = []
  const disposed = []
  const people = createPeople({ emit: event => told.push(event) })
  const sidecar = { call: (method, params, options) => play(params, options), notify: (method, params) => notes.push(params) }
  const tools = {
    definitions: () => [{ name: 'Bash', description: 'Runs.', input_schema: { type: 'object' }, readOnly: false }],
    createTools: ({ ask }) => ({
      execute: async ({ callId, name, input, signal }) => {
        const said = await ask({ callId, tool: name, summary: 'Run it', command: input.command, pattern: 'ls *' }, signal)
        if (said === 'abort') return { content: 'No.', isError: true, denied: true, abort: true }
        return said === 'deny' ? { content: 'The user denied it.', isError: true, denied: true } : { content: said, isError: false }
      },
      dispose: () => disposed.push(true)
    })
  }
  const prompts = createPrompts({ sidecar, emit: event => told.push(event), isWatched: () => watched, people, tools, place: { projectPath: '/p', dataDir: '/d', log: {} }, unsaved: createUnsaved() })
  return { prompts, people, told, notes, disposed }
}

const policy = { additionalDirs: [], codeModificationAllowed: true }
const call = (prompts, requestId, { name = 'Bash', input = { command: 'ls' }, signal = new AbortController().signal } = {}) =>
  prompts.executeTool({ requestId, toolCallId: 'c1', name, input, afterUntrustedRead: true }, { signal })
/** Decides about what is open. */
const decide = (people, decision) => people.approvals().forEach(({ callId }) => people.decide({ callId, decision }))
const turn = () => new Promise(resolve => setImmediate(resolve))

test('a tool waits for the person, with the clock stopped, and does what they say', async () => {
  for (const [decision, expected] of [['allow', 'allow-once'], ['allow-always', 'allow-always'], ['deny', 'The user denied it.']]) {
    let prompt
    const { prompts, people, told, notes, disposed } = setUp(async params => {
      prompt = params
      const asked = call(prompts, params.requestId)
      await turn()
      decide(people, decision)
      return { answer: await asked }
    })
    const { answer } = await prompts.run({ configId: 'gpu' }, { policy })
    assert.equal(answer.content, expected)
    assert.equal(answer.denied, decision === 'deny' ? true : undefined)
    assert.deepEqual(prompt.tools, [{ name: 'Bash', description: 'Runs.', inputSchema: { type: 'object' } }])
    assert.deepEqual(notes.map(({ waiting }) => waiting), [true, false])
    const { approval } = told.find(({ type }) => type === 'approval')
    assert.deepEqual([approval.command, approval.afterUntrustedRead, approval.canAlways, approval.pattern], ['ls', true, true, 'ls *'])
    assert.equal(disposed.length, 1)
  }
})

test('a stop takes the open question back and reaches the daemon', async () => {
  let seen
  const { prompts, people } = setUp(async (params, { signal }) => {
    const asked = call(prompts, params.requestId)
    await turn()
    assert.equal(prompts.cancel(params.requestId), true)
    seen = [signal.aborted, (await asked).denied]
    return { stopReason: 'cancelled' }
  })
  assert.equal((await prompts.run({ configId: 'gpu' }, { policy })).stopReason, 'cancelled')
  assert.deepEqual([seen, people.approvals(), prompts.streams()], [[true, true], [], []])
  assert.equal(prompts.cancel('nobody'), false)
})

test('a person can end the whole prompt from the question', async () => {
  const { prompts, people } = setUp(async params => {
    const asked = call(prompts, params.requestId)
    await turn()
    decide(people, 'abort')
    return { said: await asked }
  })
  const { said } = await prompts.run({ configId: 'gpu' }, { policy })
  assert.equal(said.abort, true)
})

test('a question about a call that the daemon gives up is taken back', async () => {
  const { prompts, people } = setUp(async params => {
    const stop = new AbortController()
    const asked = call(prompts, params.requestId, { signal: stop.signal })
    await turn()
    const before = people.approvals().length
    stop.abort()
    return { before, said: await asked, after: people.approvals().length }
  })
  const { before, said, after } = await prompts.run({ configId: 'gpu' }, { policy })
  assert.deepEqual([before, said.denied, after], [1, true, 0])
})

test('two prompts whose models call their calls the same are two questions', async () => {
  const { prompts, people } = setUp(async params => ({ said: await call(prompts, params.requestId) }))
  const both = [prompts.run({ configId: 'gpu' }, { policy }), prompts.run({ configId: 'gpu' }, { policy })]
  await turn()
  const [first, second] = people.approvals()
  people.decide({ callId: first.callId, decision: 'deny' })
  people.decide({ callId: second.callId, decision: 'allow' })
  const [one, two] = await Promise.all(both)
  assert.deepEqual([one.said.denied, two.said.content], [true, 'allow-once'])
})

test('where no page shows it, the prompt’s own window asks, and the panel may still answer', async () => {
  for (const [watched, window, expected] of [
    [true, async () => 'allow', 'The user denied it.'], // the panel is there, and nobody else is asked
    [false, async () => 'allow', 'allow-once'],
    [false, () => new Promise(() => {}), 'The user denied it.']
  ]) {
    const { prompts, people } = setUp(async params => {
      const asked = call(prompts, params.requestId)
      await turn()
      await turn()
      decide(people, 'deny')
      return { said: await asked, open: people.approvals().length }
    }, { watched })
    const { said, open } = await prompts.run({ configId: 'gpu' }, { policy, more: { approve: window } })
    assert.deepEqual([said.content, open], [expected, 0])
  }
})

test('a prompt may bring a tool of its own', async () => {
  const definition = { name: 'Ask', description: 'Asks.', input_schema: { type: 'object' }, readOnly: false }
  const { prompts, notes } = setUp(async params => {
    assert.deepEqual(params.tools.map(({ name }) => name), ['Ask', 'Bash'])
    return { said: await call(prompts, params.requestId, { name: 'Ask', input: { x: 1 } }) }
  })
  const more = { tools: [{ definition, execute: async ({ input }) => ({ content: `x is ${input.x}`, isError: false }) }] }
  assert.deepEqual(prompts.toolNames(policy, more), ['Ask', 'Bash'])
  const { said } = await prompts.run({ configId: 'gpu' }, { policy, more })
  assert.equal(said.content, 'x is 1')
  assert.deepEqual(notes.map(({ waiting }) => waiting), [true, false])
})

test('a conversation is known if it is ours and the daemon still has it', async () => {
  const answers = { 'rllm-here': async () => ({}), 'rllm-gone': async () => { throw new RemoteError('CONFIG_NOT_FOUND', 'No.') }, 'rllm-broken': async () => { throw new RemoteError('STORE_IO', 'No.') } }
  const { prompts } = setUp(({ conversationId }) => answers[conversationId]())
  const ids = ['rllm-here', 'rllm-gone', 'rllm-broken', 'of-claude', null]
  assert.deepEqual(await Promise.all(ids.map(id => prompts.knows(id))), [true, false, true, false, false])
})

test('a prompt without tools has none, and a name is taken as long as it runs', async () => {
  const { prompts } = setUp(async params => {
    assert.equal(params.tools, undefined)
    await assert.rejects(call(prompts, params.requestId), { code: 'TOOL_NOT_FOUND' })
    await assert.rejects(prompts.run({ requestId: params.requestId }), { code: 'INVALID_PARAMS' })
    return {}
  })
  await prompts.run({ configId: 'gpu' })
})

test('the page hears one end, from the daemon or for it', async () => {
  const ends = told => told.filter(({ event }) => ['finished', 'failed'].includes(event?.type)).map(({ event }) => event.type)
  const told = setUp(async params => {
    told.prompts.chunk({ requestId: params.requestId, round: 1, event: { type: 'failed', error: {} } })
    throw new RemoteError('API_ERROR', 'No.')
  })
  await assert.rejects(told.prompts.run({ configId: 'gpu' }))
  const gone = setUp(async () => { throw new RemoteError('DAEMON_GONE', 'It ended.') })
  await assert.rejects(gone.prompts.run({ configId: 'gpu' }))
  assert.deepEqual([ends(told.told), ends(gone.told)], [['failed'], ['failed']])
})
