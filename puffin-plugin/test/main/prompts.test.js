'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createPrompts } = require('../../lib/prompts')
const { createPeople } = require('../../lib/people')
const { RemoteError } = require('../../lib/errors')

/** Prompts over a daemon that the test plays, and one tool that asks first. */
function setUp(play) {
  const told = []
  const notes = []
  const disposed = []
  const people = createPeople({ emit: event => told.push(event) })
  const sidecar = { call: (method, params, options) => play(params, options), notify: (method, params) => notes.push(params) }
  const tools = {
    definitions: () => [{ name: 'Bash', description: 'Runs.', input_schema: { type: 'object' }, readOnly: false }],
    createTools: ({ ask }) => ({
      execute: async ({ callId, name, input }) => {
        const said = await ask({ callId, tool: name, summary: 'Run it', command: input.command, pattern: 'ls *' })
        return said === 'deny' ? { content: 'The user denied it.', isError: true, denied: true } : { content: said, isError: false }
      },
      dispose: () => disposed.push(true)
    })
  }
  const prompts = createPrompts({ sidecar, emit: event => told.push(event), people, tools, place: { projectPath: '/p', dataDir: '/d', log: {} } })
  return { prompts, people, told, notes, disposed }
}

const policy = { additionalDirs: [], codeModificationAllowed: true }
const call = (prompts, requestId) => prompts.executeTool({ requestId, toolCallId: 'c1', name: 'Bash', input: { command: 'ls' }, afterUntrustedRead: true }, { signal: new AbortController().signal })
const turn = () => new Promise(resolve => setImmediate(resolve))

test('a tool waits for the person, with the clock stopped, and does what they say', async () => {
  for (const [decision, expected] of [['allow', 'allow-once'], ['allow-always', 'allow-always'], ['deny', 'The user denied it.']]) {
    let prompt
    const { prompts, people, told, notes, disposed } = setUp(async params => {
      prompt = params
      const asked = call(prompts, params.requestId)
      await turn()
      people.decide({ callId: 'c1', decision })
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
  const { prompts, people } = setUp(async (params, { signal }) => {
    const asked = call(prompts, params.requestId)
    await turn()
    people.decide({ callId: 'c1', decision: 'abort' })
    await asked
    return { aborted: signal.aborted }
  })
  assert.deepEqual(await prompts.run({ configId: 'gpu' }, { policy }), { aborted: true })
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
