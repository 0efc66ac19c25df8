'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { lack } = require('./lab')
const { start, configured, submit, until } = require('./app')

const skip = lack() ?? false

test('a daemon that dies in the middle of an answer costs the rest of it, and nothing else', { skip }, async t => {
  const app = await start(t)
  await configured(t, app, () => [{ role: 'assistant', content: 'Half' }, 'hang'])
  const { seen, done } = submit(app.claudeService)
  await until('the first words', () => seen.chunks === 'Half')
  process.kill(app.daemonPid(), 'SIGKILL')
  const response = await done
  assert.match(response.content, /^Half\n\n\*\*The answer was interrupted\.\*\* The Remote LLM daemon was killed by SIGKILL/)
  assert.deepEqual([response.exitCode, response.cancelled, app.claudeService.isProcessRunning()], [1, false, false])
  const failed = () => app.events.filter(({ type, event }) => type === 'stream-chunk' && event.type === 'failed')
  await until('the news', () => failed().length > 0)
  assert.deepEqual(failed().map(({ event }) => event.error.data.code), ['DAEMON_GONE'])
})

test('a server that breaks off in the middle leaves what it said, with the reason', { skip }, async t => {
  const app = await start(t)
  await configured(t, app, () => [{ role: 'assistant', content: 'Half' }, 'break'])
  const { seen, done } = submit(app.claudeService)
  const response = await done
  assert.match(response.content, /^Half\n\n\*\*The answer was interrupted\.\*\*/)
  assert.equal(seen.chunks, response.content)
  assert.equal(seen.raw.at(-1).is_error, true)
})

test('a model asks the user, and goes on with the answer', { skip }, async t => {
  const app = await start(t)
  const input = { questions: [{ question: 'Tabs or spaces?', header: 'Style', options: [{ label: 'Spaces' }, { label: 'Tabs' }] }] }
  const call = { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'AskUserQuestion', arguments: JSON.stringify(input) } }] }
  const llm = await configured(t, app, ({ messages }) => (messages.some(({ role }) => role === 'tool') ? [{ content: 'Thanks.' }] : [call]))
  const asked = []
  const { done } = submit(app.claudeService, {}, question => {
    asked.push(question.questions[0].header)
    app.claudeService.sendAnswer(question.toolUseId, { 0: 'Tabs' })
  })
  assert.equal((await done).content, 'Thanks.')
  assert.deepEqual(asked, ['Style'])
  assert.equal(llm.seen.chats.at(-1).messages.find(({ role }) => role === 'tool').content, 'Tabs or spaces?\nTabs')
})

test('where no page listens, Puffin’s own window asks before something is written', { skip }, async t => {
  const app = await start(t)
  const call = { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'Write', arguments: JSON.stringify({ file_path: 'a.txt', content: 'x' }) } }] }
  await configured(t, app, ({ messages }) => (messages.some(({ role }) => role === 'tool') ? [{ content: 'As you wish.' }] : [call]))
  await app.ok('connect', { configId: 'gpu' })
  await app.blind()
  let asked
  const { seen, done } = submit(app.claudeService, {}, question => {
    asked = question.questions[0]
    app.claudeService.sendAnswer(question.toolUseId, { 0: 'Deny' })
  })
  assert.equal((await done).content, 'As you wish.')
  assert.deepEqual(asked.options.map(({ label }) => label), ['Deny', 'Allow once'])
  assert.match(asked.question, /a\.txt/)
  assert.equal(seen.raw.find(({ type }) => type === 'user').message.content[0].is_error, true)
})

test('ten thousand pieces of an answer reach the page whole, in far fewer answers', { skip }, async t => {
  const app = await start(t)
  const words = Array.from({ length: 10_000 }, (_, n) => `${n} `)
  await configured(t, app, () => words.map(content => ({ content })))
  const { streamId } = await app.ok('stream-prompt', { configId: 'gpu', model: 'smol', messages: [{ role: 'user', content: 'Count.' }] })
  const ended = () => app.events.find(({ type, event }) => type === 'stream-chunk' && event.type === 'finished')
  await until('the end', ended)
  const deltas = app.events.filter(({ type, event }) => type === 'stream-chunk' && event.type === 'text-delta')
  assert.ok(deltas.every(event => event.streamId === streamId))
  assert.equal(deltas.map(({ event }) => event.text).join(''), words.join(''))
  assert.equal(app.events.some(({ type }) => type === 'state'), false, 'nothing was missed')
  t.diagnostic(`${words.length} pieces came as ${deltas.length} events in ${app.polls()} answers`)
})
