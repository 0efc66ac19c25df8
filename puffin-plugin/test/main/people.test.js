'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createPeople } = require('../../lib/people')

function room() {
  const told = []
  const people = createPeople({ emit: event => told.push(event) })
  return { people, told }
}

test('a host key is asked about once and answered once', async () => {
  const { people, told } = room()
  const asked = people.verifyHostKey({ host: 'gpu', fingerprint: 'SHA256:x' })
  const [{ question }] = told
  assert.equal(question.kind, 'host-key')
  assert.deepEqual(people.questions(), [question])
  people.answer({ questionId: question.questionId, decision: 'accept', fingerprint: 'SHA256:x' })
  assert.deepEqual(await asked, { decision: 'accept', fingerprint: 'SHA256:x' })
  assert.throws(() => people.answer({ questionId: question.questionId }), { code: 'PLUGIN_QUESTION_GONE' })
  assert.deepEqual(told.map(({ type }) => type), ['question', 'question-closed'])
})

test('what the daemon takes back is closed and not answered', async () => {
  const { people, told } = room()
  const stop = new AbortController()
  const asked = people.answerPrompt({ kind: 'password', prompts: [] }, stop.signal)
  stop.abort()
  await assert.rejects(asked, { code: 'CANCELLED' })
  assert.deepEqual(people.questions(), [])
  assert.equal(told.at(-1).type, 'question-closed')
})

test('a tool is allowed by one of four words and no other', async () => {
  const { people } = room()
  const asked = people.approve({ callId: 'c', name: 'Bash' })
  assert.throws(() => people.decide({ callId: 'c', decision: 'yes' }), { code: 'INVALID_PARAMS' })
  assert.throws(() => people.decide({ callId: 'other', decision: 'allow' }), { code: 'PLUGIN_QUESTION_GONE' })
  people.decide({ callId: 'c', decision: 'deny' })
  assert.equal(await asked, 'deny')
})
