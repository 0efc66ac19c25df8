import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoff, createEventLoop } from '../../renderer/event-loop.js'

/** A main half that answers from a list; after its last answer it stays silent, as a long poll does. */
function scripted(answers) {
  const asked = []
  let silent
  const done = new Promise(resolve => { silent = resolve })
  const call = async (handler, params) => {
    asked.push([handler, params.after])
    if (answers.length === 0) {
      silent()
      return new Promise(() => {})
    }
    const answer = answers.shift()
    if (answer instanceof Error) throw answer
    return answer
  }
  return { call, asked, done }
}

function loopOver(answers, { now = () => 0 } = {}) {
  const main = scripted(answers)
  const seen = { events: [], states: [], reachable: [], waits: [] }
  const loop = createEventLoop({
    call: main.call,
    onEvents: events => seen.events.push(...events),
    onState: state => seen.states.push(state),
    onReachable: error => seen.reachable.push(error?.message ?? null),
    wait: async ms => { seen.waits.push(ms) },
    now
  })
  return { loop, main, seen }
}

test('events are asked for after the state, and each is given once', async () => {
  const { loop, main, seen } = loopOver([{ seq: 3 }, { seq: 5, events: [{ seq: 4 }, { seq: 5 }] }, { seq: 6, events: [{ seq: 6 }] }])
  loop.start()
  await main.done
  loop.stop()
  assert.deepEqual(main.asked, [['get-state', undefined], ['next-events', 3], ['next-events', 5], ['next-events', 6]])
  assert.deepEqual(seen.events.map(event => event.seq), [4, 5, 6])
  assert.deepEqual(seen.waits, [])
})

test('after a gap the whole state is asked for again', async () => {
  const { loop, main, seen } = loopOver([{ seq: 1 }, { reset: true, seq: 9000 }, { seq: 9000, configs: [] }])
  loop.start()
  await main.done
  loop.stop()
  assert.deepEqual(main.asked.at(-1), ['next-events', 9000])
  assert.equal(seen.states.length, 2)
})

test('a main half that does not answer is asked ever more seldom, and then from the start', async () => {
  const { loop, main, seen } = loopOver([new Error('gone'), new Error('gone'), new Error('gone'), { seq: 7 }])
  loop.start()
  await main.done
  loop.stop()
  assert.deepEqual(seen.waits, [500, 1000, 2000])
  assert.deepEqual(seen.reachable, ['gone', 'gone', 'gone', null])
  assert.deepEqual(main.asked.at(-1), ['next-events', 7])
})

test('empty answers that come at once do not become a busy loop', async () => {
  const empty = () => ({ seq: 1, events: [] })
  const { loop, main, seen } = loopOver([{ seq: 1 }, empty(), empty(), empty(), empty()])
  loop.start()
  await main.done
  loop.stop()
  assert.deepEqual(seen.waits, [500, 1000, 2000])
})

test('an empty answer after a whole poll is asked again at once', async () => {
  let time = 0
  const { loop, main, seen } = loopOver([{ seq: 1 }, { seq: 1, events: [] }, { seq: 1, events: [] }, { seq: 1, events: [] }], { now: () => (time += 20_000) })
  loop.start()
  await main.done
  loop.stop()
  assert.deepEqual(seen.waits, [])
})

test('a stopped loop asks no more', async () => {
  let answer
  const asked = []
  const loop = createEventLoop({
    call: async handler => {
      asked.push(handler)
      return handler === 'get-state' ? { seq: 1 } : new Promise(resolve => { answer = resolve })
    },
    onEvents: () => assert.fail('nothing is told after the stop'),
    onState: () => {},
    onReachable: () => {}
  })
  loop.start()
  await new Promise(setImmediate)
  loop.stop()
  answer({ seq: 2, events: [{ seq: 2 }] })
  await new Promise(setImmediate)
  assert.deepEqual(asked, ['get-state', 'next-events'])
})

test('the wait grows to a quarter of a minute and no further', () => {
  assert.deepEqual([1, 2, 3, 6, 100].map(backoff), [500, 1000, 2000, 15_000, 15_000])
})
