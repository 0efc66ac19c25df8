'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createQuestionWindow } = require('../../lib/question-window')

const approval = { name: 'Bash', summary: 'Run a command', command: 'rm -r build' }

/** Asks whether the call may run, and says what a person chose. */
async function decided(answers, about = approval) {
  const window = createQuestionWindow()
  let asked
  const deciding = window.approver(question => { asked = question })(about, new AbortController().signal)
  if (answers !== undefined) window.answer(asked.toolUseId, answers)
  return { asked, decision: await deciding }
}

test('only the word for yes is a yes, and no is what is preselected', async () => {
  const { asked, decision } = await decided({ 0: 'Allow once' })
  assert.equal(decision, 'allow')
  const [{ question, options }] = asked.questions
  assert.match(question, /rm -r build/)
  assert.equal(options[0].label, 'Deny')
  for (const answers of [{ 0: 'Deny' }, { 0: 'allow once' }, { 0: 'Deny, Allow once' }, { 0: 'yes please' }, {}, null]) {
    assert.equal((await decided(answers)).decision, 'deny', JSON.stringify(answers))
  }
})

test('nothing in a question can hide or turn around what it is about', async () => {
  const { asked } = await decided({}, { ...approval, command: 'ls \u202Etxt.exe' })
  assert.match(asked.questions[0].question, /\\u\{202e\}/)
})

test('what nobody could read there is not asked there', async () => {
  const window = createQuestionWindow()
  const asked = []
  const deciding = window.approver(question => asked.push(question))({ ...approval, command: 'x'.repeat(5000) }, new AbortController().signal)
  assert.equal(await Promise.race([deciding, new Promise(resolve => setImmediate(resolve, 'open'))]), 'open')
  assert.deepEqual(asked, [])
})

test('a question is answered once, and one that was taken back not at all', async () => {
  const window = createQuestionWindow()
  const stop = new AbortController()
  let id
  const { execute } = window.tool(({ toolUseId }) => { id = toolUseId })
  const input = { questions: [{ question: 'A or B?', options: [{ label: 'A' }, { label: 'B' }] }] }
  const first = execute({ input, signal: stop.signal })
  assert.equal(window.answer(id, { 0: 'B' }), true)
  assert.equal(window.answer(id, { 0: 'A' }), false)
  assert.deepEqual(await first, { content: 'A or B?\nB', isError: false })
  const second = execute({ input, signal: stop.signal })
  stop.abort()
  await assert.rejects(second, { code: 'CANCELLED' })
  assert.equal(window.answer(id, { 0: 'A' }), false)
})
