'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createTranscript } = require('../../lib/transcript')

function setUp() {
  const seen = { chunks: [], lines: [] }
  const transcript = createTranscript({ onChunk: text => seen.chunks.push(text), onRaw: line => seen.lines.push(JSON.parse(line)) })
  return { seen, transcript }
}

const end = { sessionId: 's', rounds: 1, durationMs: 5, result: 'r', usage: null, isError: false }

test('text is shown word by word, and is one block in the raw lines', () => {
  const { seen, transcript } = setUp()
  for (const text of ['a', 'b', 'c']) transcript.event({ type: 'text-delta', text }, { round: 1 })
  transcript.event({ type: 'reasoning-delta', text: 'thoughts' }, { round: 1 })
  transcript.end(end)
  assert.deepEqual(seen.chunks, ['a', 'b', 'c'])
  assert.deepEqual(seen.lines[0].message.content, [{ type: 'text', text: 'abc' }])
  assert.equal(transcript.shown, 'abc')
})

test('several calls of one round are one line, each result is its own', () => {
  const { seen, transcript } = setUp()
  for (const id of ['1', '2']) transcript.event({ type: 'tool-call-ready', id, name: 'Read', input: { file_path: id } }, { round: 1 })
  for (const id of ['1', '2']) transcript.event({ type: 'tool-result', id, isError: id === '2', preview: `of ${id}` }, { round: 1 })
  transcript.event({ type: 'text-delta', text: 'Done' }, { round: 2 })
  transcript.end(end)
  assert.deepEqual(seen.lines.map(({ type, message }) => [type, message?.content.map(block => block.id ?? block.tool_use_id ?? block.text)]), [
    ['assistant', ['1', '2']], ['user', ['1']], ['user', ['2']], ['assistant', ['Done']], ['result', undefined]
  ])
  assert.equal(seen.lines[2].message.content[0].is_error, true)
})

test('every line is one line, whatever the model says', () => {
  const { transcript } = setUp()
  const raw = []
  const other = createTranscript({ onChunk() {}, onRaw: line => raw.push(line) })
  other.event({ type: 'text-delta', text: 'a\nb\r\u2028' }, { round: 1 })
  other.end(end)
  assert.ok(raw.every(line => !/[\n\r]/.test(line)))
  assert.equal(transcript.shown, '')
})

test('a failed end says so in the form that Puffin reads', () => {
  const { seen, transcript } = setUp()
  transcript.end({ ...end, isError: true, usage: { inputTokens: 3, outputTokens: 4 } })
  const [{ subtype, is_error: isError, num_turns: turns, usage, cost_usd: cost }] = seen.lines
  assert.deepEqual([subtype, isError, turns, usage, cost], ['error_during_execution', true, 1, { input_tokens: 3, output_tokens: 4 }, 0])
})
