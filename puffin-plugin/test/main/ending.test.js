'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { endingOf } = require('../../lib/ending')
const { apart, titleOf, wordsOf } = require('../../lib/person')

const text = words => ({ type: 'text', text: words })
const user = (...content) => ({ role: 'user', content, partial: false })
const model = (content, partial = false) => ({ role: 'assistant', content: [content].flat(), partial })
const result = { type: 'tool_result', tool_use_id: 't', content: [text('x')] }
const call = { type: 'tool_use', id: 't', name: 'Read', input: {} }

test('what can be done about the end of a conversation', () => {
  const cases = [
    ['nothing yet', [], 'whole'],
    ['a whole answer', [user(text('q')), model(text('a'))], 'whole'],
    ['an answer that calls a tool and is whole', [user(text('q')), model([text('a'), call])], 'whole'],
    ['a cut answer', [user(text('q')), model(text('a'), true)], 'interrupted continue retry'],
    ['only the model’s message is known', [model(text('a'), true)], 'interrupted continue retry'],
    ['thoughts alone', [user(text('q')), model({ type: 'thinking', thinking: 'hm' }, true)], 'interrupted retry'],
    ['blanks alone', [user(text('q')), model(text(' \n'), true)], 'interrupted retry'],
    ['after tools', [user(result), model(text('a'), true)], 'interrupted retry tools'],
    ['stopped while a tool ran', [model([text('a'), call]), user(result)], 'interrupted retry tools'],
    ['a question that nobody answered', [user(text('q'))], 'interrupted retry']
  ]
  for (const [name, tail, expected] of cases) {
    const { state, canContinue, canRetry, usedTools } = endingOf(tail)
    assert.equal([state, canContinue && 'continue', canRetry && 'retry', usedTools && 'tools'].filter(Boolean).join(' '), expected, name)
  }
  const unsaved = { text: 'Half', usedTools: false, error: { code: 'DAEMON_GONE' } }
  assert.deepEqual(endingOf([user(text('q')), model(text('a'))], unsaved), { state: 'interrupted', canContinue: true, canRetry: true, usedTools: false, error: { code: 'DAEMON_GONE' } })
  assert.equal(endingOf([], { ...unsaved, text: '' }).canContinue, false)
})

test('the person’s words are kept apart from what Puffin says with them, and to the model nothing changes', () => {
  const whole = content => (typeof content === 'string' ? content : content.map(block => block.text).join('\n'))
  for (const [built, words, title] of [
    ['Hello', 'Hello', 'Hello'],
    ['## Project\n\nx\n\n---\n\nHello\nyou', 'Hello\nyou', 'Hello you'],
    ['## Project says Hello\n\nHello\n\n## UI Layout Reference\nboxes', 'Hello', 'Hello'],
    ['Hello\n\n## UI Layout Reference\nboxes', 'Hello', 'Hello ## UI Layout Reference boxes'],
    ['before Hello', 'Hello', 'before Hello'],
    ['something else', 'Hello', 'something else'],
    ['x\n', '', 'x']
  ]) {
    const content = apart(built, words)
    assert.equal(whole(content), built)
    assert.equal(titleOf(content), title)
  }
  assert.equal(apart('a\nHello', undefined), 'a\nHello')
  assert.equal(wordsOf(null), '')
  assert.equal(titleOf('x'.repeat(200)).length, 100)
})
