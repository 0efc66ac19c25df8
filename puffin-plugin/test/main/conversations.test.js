'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const { lack } = require('./lab')
const { start, configured, submit, until } = require('./app')

const skip = lack() ?? false
const options = { skip, timeout: 60_000 }

/** A server that says `first`, and to whatever comes after the first prompt `then`. */
const script = (first, then) => {
  let prompts = 0
  return body => (prompts++ === 0 ? first : typeof then === 'function' ? then(body) : then)
}

const textOf = ({ content }) => content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
const said = messages => messages.map(message => `${message.role}: ${textOf(message)}${message.partial ? ' ✂' : ''}`)

/** Processes that serve a connection of an sshd. */
const childrenOf = pid => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Starts what goes on with a conversation, and waits for its end. @returns {Promise<object>} the last event */
async function goOn(app, name, params) {
  const { streamId } = await app.ok(name, { configId: 'gpu', model: 'smol', ...params })
  const { event } = await until('its end', () => app.events.find(({ type, streamId: id, event }) => type === 'stream-chunk' && id === streamId && ['finished', 'failed'].includes(event.type)))
  await until('that it is over', async () => !(await app.ok('get-state')).streams.some(stream => stream.streamId === streamId))
  return event
}

test('an answer that broke off is interrupted in the history, goes on where it was cut, and is one message', options, async t => {
  const app = await start(t)
  const llm = await configured(t, app, script([{ role: 'assistant', content: 'One, two' }, 'break'], [{ role: 'assistant', content: ', three.' }]))
  const { sessionId: conversationId } = await submit(app.claudeService, { prompt: 'Count to three.' }).done
  const { conversations: [row], total } = await app.ok('list-conversations', {})
  assert.deepEqual([total, row.title, row.state, row.configId, row.model], [1, 'Count to three.', 'interrupted', 'gpu', 'smol'])
  const before = await app.ok('get-conversation', { conversationId })
  assert.deepEqual(said(before.messages), ['user: Count to three.', 'assistant: One, two ✂'])
  assert.deepEqual([before.ending.canContinue, before.ending.canRetry, before.unsaved], [true, true, null])

  const ended = await goOn(app, 'continue-answer', { conversationId })
  assert.equal(textOf(ended.result.message), 'One, two, three.')
  const after = await app.ok('get-conversation', { conversationId })
  assert.deepEqual(said(after.messages), ['user: Count to three.', 'assistant: One, two, three.'])
  assert.deepEqual([after.ending.state, after.ending.canContinue, after.ending.canRetry], ['whole', false, false])
  assert.equal(llm.seen.chats.at(-1).tools.length > 0, true, 'with the tools that the prompt had')
  for (const name of ['continue-answer', 'retry-answer']) {
    const { error } = await app.call(name, { conversationId, configId: 'gpu' })
    assert.deepEqual([error.code, error.message.includes('whole')], ['INVALID_PARAMS', true], name)
  }
})

test('an answer that a person stopped is asked for again: nothing is said twice, and what was said stays', options, async t => {
  const app = await start(t)
  await configured(t, app, script([{ role: 'assistant', content: 'Half' }, 'hang'], [{ role: 'assistant', content: 'All of it.' }]))
  const { seen, done } = submit(app.claudeService, { prompt: 'Tell me.' })
  await until('the first words', () => seen.chunks === 'Half')
  app.claudeService.cancel()
  const { sessionId: conversationId } = await done
  await until('the end', async () => (await app.ok('get-state')).streams.length === 0)
  await goOn(app, 'retry-answer', { conversationId })
  const { messages, ending } = await app.ok('get-conversation', { conversationId })
  assert.deepEqual(said(messages), ['user: Tell me.', 'assistant: Half ✂', 'user: Your answer was cut off there. Answer again, from the beginning.', 'assistant: All of it.'])
  assert.equal(ending.state, 'whole')
})

test('what a daemon that died had not kept is kept here, and given back with the next words', options, async t => {
  const app = await start(t)
  const llm = await configured(t, app, script([{ role: 'assistant', content: 'Half' }, 'hang'], [{ role: 'assistant', content: ' and half.' }]))
  const { seen, done } = submit(app.claudeService, { prompt: 'Tell me.' })
  await until('the first words', () => seen.chunks === 'Half')
  process.kill(app.daemonPid(), 'SIGKILL')
  const { sessionId: conversationId } = await done
  await until('a daemon', async () => (await app.ok('get-state')).daemon.phase === 'ready')
  const { conversations: [row] } = await app.ok('list-conversations', {})
  assert.deepEqual([row.conversationId, row.title, row.state], [conversationId, 'Tell me.', 'interrupted'])
  const lost = await app.ok('get-conversation', { conversationId })
  assert.deepEqual([lost.messages, lost.unsaved.text, lost.ending.canContinue, lost.ending.error.code], [[], 'Half', true, 'DAEMON_GONE'])

  await goOn(app, 'continue-answer', { conversationId })
  const { messages, unsaved, ending } = await app.ok('get-conversation', { conversationId })
  assert.deepEqual(said(messages), ['user: Tell me.', 'assistant: Half', 'user: Your answer was cut off there. Go on exactly where it stops, and repeat nothing.', 'assistant:  and half.'])
  assert.deepEqual([unsaved, ending.state], [null, 'whole'])
  assert.deepEqual(llm.seen.chats.at(-1).messages.filter(({ content }) => content === 'Tell me.').length, 1)
})

test('a question that never got a word is sent once more, as it was, and is in the history once', options, async t => {
  const app = await start(t)
  const llm = await configured(t, app, script(['hang'], [{ role: 'assistant', content: 'Here.' }]))
  const { done } = submit(app.claudeService, { prompt: 'Anybody there?' })
  await until('the prompt at the server', () => llm.seen.chats.length === 1)
  app.claudeService.cancel()
  const { sessionId: conversationId } = await done
  const lost = await app.ok('get-conversation', { conversationId })
  assert.deepEqual([lost.ending.state, lost.ending.canContinue, lost.ending.canRetry, lost.ending.error], ['interrupted', false, true, null])
  assert.equal((await app.call('continue-answer', { conversationId, configId: 'gpu' })).error.code, 'INVALID_PARAMS')
  await goOn(app, 'retry-answer', { conversationId })
  assert.deepEqual(said((await app.ok('get-conversation', { conversationId })).messages), ['user: Anybody there?', 'assistant: Here.'])
})

test('an answer that broke off after tools is not gone on with: the model is asked to look, and nothing runs again by itself', options, async t => {
  const app = await start(t)
  const call = { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'Glob', arguments: JSON.stringify({ pattern: '*' }) } }] }
  const steps = [[call], [{ role: 'assistant', content: 'There is' }, 'break'], [{ role: 'assistant', content: 'There is nothing.' }]]
  const llm = await configured(t, app, () => steps.shift())
  const { sessionId: conversationId } = await submit(app.claudeService, { prompt: 'What is there?' }).done
  const cut = await app.ok('get-conversation', { conversationId })
  assert.deepEqual([cut.ending.state, cut.ending.canContinue, cut.ending.canRetry, cut.ending.usedTools, cut.messages.length], ['interrupted', false, true, true, 4])
  assert.equal((await app.call('continue-answer', { conversationId, configId: 'gpu' })).error.code, 'INVALID_PARAMS')
  await goOn(app, 'retry-answer', { conversationId })
  const { messages, ending } = await app.ok('get-conversation', { conversationId })
  assert.deepEqual(said(messages).slice(3), ['assistant: There is ✂', 'user: Your answer was cut off there, after tools had been used. What they did is done: look before you do anything again, then finish the answer.', 'assistant: There is nothing.'])
  assert.deepEqual([ending.state, llm.seen.chats.length], ['whole', 3])
})

test('a connection that is lost in the middle of an answer leaves it to be continued over a new one', options, async t => {
  const app = await start(t)
  const llm = await configured(t, app, script([{ role: 'assistant', content: 'Half' }, 'hang'], [{ role: 'assistant', content: ' and half.' }]))
  const { seen, done } = submit(app.claudeService, { prompt: 'Tell me.' })
  await until('the first words', () => seen.chunks === 'Half')
  for (const pid of childrenOf(llm.sshd)) process.kill(pid, 'SIGKILL')
  const { sessionId: conversationId, content } = await done
  assert.match(content, /^Half[^]*What was said is kept: it can be continued/)
  const ended = await goOn(app, 'continue-answer', { conversationId })
  assert.equal(ended.type, 'finished', JSON.stringify(ended.error))
  assert.deepEqual(said((await app.ok('get-conversation', { conversationId })).messages), ['user: Tell me.', 'assistant: Half and half.'])
})

test('an answer that Puffin’s own end cut off is in the history afterwards, and goes on', options, async t => {
  let app = await start(t)
  await configured(t, app, script([{ role: 'assistant', content: 'Half' }, 'hang'], [{ role: 'assistant', content: ' and half.' }]))
  const { seen, done } = submit(app.claudeService, { prompt: 'Tell me.' })
  await until('the first words', () => seen.chunks === 'Half')
  await app.stop()
  await done
  app = await start(t, app)
  app.on('question', ({ question }) => app.ok('answer', { questionId: question.questionId, decision: 'accept', fingerprint: question.fingerprint }))
  const { conversations: [{ conversationId, state }] } = await app.ok('list-conversations', {})
  assert.equal(state, 'interrupted')
  await goOn(app, 'continue-answer', { conversationId })
  assert.deepEqual(said((await app.ok('get-conversation', { conversationId })).messages), ['user: Tell me.', 'assistant: Half and half.'])
})

test('after a restart a conversation is found by its words, read in pages, gone on with by a model that may only read, and deleted', options, async t => {
  let app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Yes.' }])
  app.claudeService.buildPrompt = async ({ prompt, sessionId }) => (sessionId ? prompt : `## Project Context\n\nA shop.\n\n---\n\n${prompt}`)
  const { sessionId: conversationId } = await submit(app.claudeService, { prompt: 'Is it green?' }).done
  await submit(app.claudeService, { prompt: 'Really?', sessionId: conversationId }).done
  await submit(app.claudeService, { prompt: 'Another one' }).done
  assert.equal(llm.seen.chats[0].messages.at(-1).content, '## Project Context\n\nA shop.\n\n---\n\nIs it green?', 'to the model it is one text')
  await app.stop()

  app = await start(t, app)
  app.on('question', ({ question }) => app.ok('answer', { questionId: question.questionId, decision: 'accept', fingerprint: question.fingerprint }))
  const { conversations, total } = await app.ok('list-conversations', { search: 'GREEN smol', limit: 10 })
  assert.deepEqual([total, conversations[0].title, conversations[0].state, conversations[0].usage.inputTokens], [1, 'Is it green?', 'whole', 11])
  const newest = await app.ok('get-conversation', { conversationId, limit: 3 })
  assert.deepEqual([newest.from, said(newest.messages)], [1, ['assistant: Yes.', 'user: Really?', 'assistant: Yes.']])
  const older = await app.ok('get-conversation', { conversationId, before: 1, limit: 3 })
  assert.deepEqual([older.from, older.messages.length, older.messages[0].content[1].text], [0, 1, 'Is it green?'])

  const { readOnly, streamId } = await app.ok('ask-in-conversation', { conversationId, configId: 'gpu', text: 'And now?' })
  await until('its end', () => app.events.some(({ type, streamId: id, event }) => type === 'stream-chunk' && id === streamId && event.type === 'finished'))
  assert.equal(readOnly, true)
  assert.deepEqual(llm.seen.chats.at(-1).tools.map(({ function: { name } }) => name).filter(name => ['Write', 'Edit', 'Bash'].includes(name)), [])
  assert.deepEqual((await app.ok('delete-conversation', { conversationId })).deleted, true)
  assert.equal((await app.call('get-conversation', { conversationId })).error.code, 'CONFIG_NOT_FOUND')
  assert.equal((await app.ok('list-conversations', {})).total, 1)
})

test('what is no page, no text and no conversation is refused with its field', options, async t => {
  const app = await start(t)
  for (const [name, params, field] of [
    ['list-conversations', { from: -1 }, 'from'], ['list-conversations', { search: 7 }, 'search'], ['list-conversations', { limit: 'x' }, 'limit'],
    ['get-conversation', {}, 'conversationId'], ['get-conversation', { conversationId: 'x', before: 1.5 }, 'before'],
    ['ask-in-conversation', { conversationId: 'x', text: ' ' }, 'text'], ['continue-answer', {}, 'conversationId'], ['delete-conversation', {}, 'conversationId']
  ]) {
    const { error } = await app.call(name, params)
    assert.deepEqual([error.code, error.data.field], ['INVALID_PARAMS', field], name)
  }
})
