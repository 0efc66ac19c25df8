'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { createEvents } = require('../../lib/events')

const delta = (text, streamId = 's', type = 'text-delta') => ({ type: 'stream-chunk', streamId, event: { type, text } })

test('a poll answers at once when there is news, else when it comes, else when its time is up', async () => {
  const events = createEvents()
  events.emit({ type: 'a' })
  assert.deepEqual(await events.next({ after: 0 }), { events: [{ type: 'a', seq: 1 }], seq: 1 })
  const waiting = events.next({ after: 1, timeoutMs: 5000 })
  events.emit({ type: 'b' })
  assert.deepEqual((await waiting).events, [{ type: 'b', seq: 2 }])
  assert.deepEqual(await events.next({ after: 2, timeoutMs: 10 }), { events: [], seq: 2 })
})

test('every page that waits is woken, and each sees everything once', async () => {
  const events = createEvents()
  const pages = [events.next({ after: 0 }), events.next({ after: 0 })]
  events.emit({ type: 'a' })
  for (const answer of await Promise.all(pages)) assert.equal(answer.events.length, 1)
})

test('deltas that nobody has seen yet are one event; one that was seen stays as it was', async () => {
  const events = createEvents()
  events.emit(delta('a'))
  events.emit(delta('b'))
  events.emit(delta('x', 's', 'reasoning-delta'))
  events.emit(delta('c'))
  events.emit(delta('y', 'other'))
  const texts = ({ events: list }) => list.map(({ event }) => event.text)
  const first = await events.next({ after: 0 })
  assert.deepEqual(texts(first), ['ab', 'x', 'c', 'y'])
  events.emit(delta('z', 'other'))
  const second = await events.next({ after: first.seq })
  assert.deepEqual(texts(second), ['z'])
  assert.deepEqual(texts(first), ['ab', 'x', 'c', 'y'])
})

test('a page that was away too long, or is of another time, is told to start again', async () => {
  const events = createEvents({ limit: 3 })
  for (const type of 'abcde') events.emit({ type })
  assert.equal((await events.next({ after: 1 })).reset, true)
  assert.deepEqual((await events.next({ after: 2 })).events.map(({ type }) => type), ['c', 'd', 'e'])
  assert.equal((await events.next({ after: 99 })).reset, true)
})

test('ten thousand deltas that nobody reads are few events, and no letter is lost', async () => {
  const events = createEvents()
  let whole = ''
  for (let n = 0; n < 10_000; n++) {
    whole += `${n},`
    events.emit(delta(`${n},`))
  }
  const { events: list } = await events.next({ after: 0 })
  assert.equal(list.map(({ event }) => event.text).join(''), whole)
  assert.ok(list.length < 5)
})

test('long events are kept as far as there is room, and the newest always', async () => {
  const events = createEvents({ room: 1000 })
  for (const name of 'abc') events.emit({ type: name, text: name.repeat(400) })
  assert.deepEqual((await events.next({ after: 1 })).events.map(({ type }) => type), ['b', 'c'])
  assert.equal((await events.next({ after: 0 })).reset, true)
  events.emit({ type: 'd', text: 'd'.repeat(5000) })
  assert.deepEqual((await events.next({ after: 3 })).events.map(({ type }) => type), ['d'])
})

test('a question that makes no sense is refused, and does not answer in a circle', async () => {
  const events = createEvents()
  for (const params of [{ after: 'x' }, { after: -1 }, { after: 1.5 }, { after: null }, { timeoutMs: 'soon' }, { timeoutMs: NaN }]) {
    await assert.rejects(events.next(params), { code: 'INVALID_PARAMS' })
  }
})

test('it is known whether a page looks', async () => {
  const events = createEvents()
  assert.equal(events.watched, false)
  const waiting = events.next({ after: 0 })
  assert.equal(events.watched, true)
  events.emit({ type: 'a' })
  await waiting
  assert.equal(events.watched, true)
})

test('nobody waits for events of a plugin that is switched off', async () => {
  const events = createEvents()
  const waiting = events.next({ after: 0, timeoutMs: 20_000 })
  events.close()
  for (const answer of [await waiting, await events.next({ after: 0, timeoutMs: 20_000 })]) assert.deepEqual(answer, { events: [], seq: 0 })
})
