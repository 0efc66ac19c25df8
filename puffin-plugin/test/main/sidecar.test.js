'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { createSidecar } = require('../../lib/sidecar')
const { RemoteError } = require('../../lib/errors')

const FAKE = path.join(__dirname, 'fake-daemon.js')

/** A sidecar whose daemon does what `mode` says; `modes` are those of its starts, one after the other. */
function setUp(t, ...modes) {
  const lines = []
  const notes = []
  const states = []
  const watchers = new Set()
  const note = level => line => lines.push(`${level} ${line}`)
  const args = [FAKE]
  const sidecar = createSidecar({
    findBinary: () => {
      args[1] = modes.length > 1 ? modes.shift() : modes[0]
      return process.execPath
    },
    args,
    firstWaitMs: 10,
    hello: async () => ({ protocolVersion: 1 }),
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
    onNotification: (method, params) => notes.push(params),
    onRequest: async () => ({}),
    onPhase: state => {
      states.push(state)
      for (const watch of [...watchers]) watch(state)
    }
  })
  t.after(() => sidecar.stop())
  const phase = wanted => new Promise(resolve => {
    const look = state => {
      if (state.phase !== wanted) return
      watchers.delete(look)
      resolve(state)
    }
    watchers.add(look)
  })
  return { sidecar, lines, notes, states, phase }
}

const isAlive = pid => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('it is started, asked, logged by the line, and ended', async t => {
  const { sidecar, lines, states } = setUp(t, 'well')
  sidecar.start()
  assert.deepEqual(await sidecar.call('remote-llm/echo', { x: 1 }), { x: 1 })
  assert.deepEqual(sidecar.state, { phase: 'ready', error: null, vault: { state: 'session-only' }, version: null })
  const { pid } = sidecar
  await sidecar.stop()
  assert.equal(isAlive(pid), false)
  assert.deepEqual(states.map(({ phase }) => phase), ['starting', 'ready', 'stopped'])
  assert.deepEqual(lines, ['warn 2026-01-01  WARN a warning', 'debug 2026-01-01  INFO a remark'])
  await assert.rejects(sidecar.call('remote-llm/echo'), { code: 'DAEMON_UNAVAILABLE' })
  sidecar.start()
  assert.equal(sidecar.pid, undefined, 'what was ended stays ended')
})

test('one that dies is started again, what it had said is heard, and who waits for it is told', async t => {
  const { sidecar, notes, states, phase } = setUp(t, 'well')
  sidecar.start()
  const { pid } = await sidecar.call('remote-llm/pid')
  const waiting = phase('waiting')
  await assert.rejects(sidecar.call('remote-llm/die'), error => error.code === 'DAEMON_GONE' && /ended with 3/.test(error.message))
  assert.match((await waiting).error.message, /ended with 3/)
  assert.equal(notes.length, 500)
  const again = await sidecar.call('remote-llm/pid')
  assert.notEqual(again.pid, pid)
  assert.deepEqual(states.filter(({ phase: name }) => name === 'ready').map(({ isNew }) => isNew), [false, true])
})

test('one that dies again and again is started later and later, and comes back', async t => {
  const { sidecar, lines, phase } = setUp(t, 'crash', 'crash', 'crash', 'well')
  sidecar.start()
  await phase('ready')
  const waits = lines.map(line => /started again in (\d+) ms/.exec(line)?.[1]).filter(Boolean)
  assert.deepEqual(waits, ['10', '20', '40'])
  assert.ok(lines.includes('error 2026-01-01 ERROR boom'), lines.join('\n'))
  assert.ok(lines.includes('debug last words without an end of line'))
})

test('one that refuses its settings is not started in a circle, but when somebody asks', async t => {
  const { sidecar, phase } = setUp(t, 'refuse', 'well')
  const failed = phase('failed')
  sidecar.start()
  assert.equal((await failed).error.message, 'No such version.')
  await assert.rejects(sidecar.call('remote-llm/echo'), { code: 'INVALID_REQUEST' })
  while (sidecar.pid !== undefined) await new Promise(resolve => setImmediate(resolve))
  sidecar.restart()
  assert.deepEqual(await sidecar.call('remote-llm/echo', { x: 1 }), { x: 1 })
})

test('a program that is not there, or can’t be started, is told of', async t => {
  const missing = createSidecarWith(t, () => { throw new RemoteError('DAEMON_MISSING', 'It is not there.') })
  missing.start()
  await assert.rejects(missing.call('x'), { code: 'DAEMON_MISSING' })
  const directory = createSidecarWith(t, () => __dirname)
  directory.start()
  while (directory.state.phase !== 'waiting') await new Promise(resolve => setImmediate(resolve))
  assert.match(directory.state.error.message, /could not be started \(EACCES\)/)
})

test('one that neither answers nor ends is killed, with a page or without', async t => {
  const { sidecar } = setUp(t, 'mute')
  sidecar.start()
  const { pid } = sidecar
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const stopped = sidecar.stop()
  t.mock.timers.tick(10_000)
  await stopped
  assert.equal(isAlive(pid), false)
})

test('a call that is cancelled while the daemon is on its way ends', async t => {
  const { sidecar } = setUp(t, 'mute')
  sidecar.start()
  const stop = new AbortController()
  const asked = sidecar.call('remote-llm/echo', {}, { signal: stop.signal })
  stop.abort()
  await assert.rejects(asked, { code: 'CANCELLED' })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const stopped = sidecar.stop()
  t.mock.timers.tick(10_000)
  await stopped
})

test('no daemon outlives a host that just exits', async () => {
  const script = `
    const { createSidecar } = require(${JSON.stringify(path.join(__dirname, '../../lib/sidecar'))})
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const sidecar = createSidecar({ findBinary: () => process.execPath, args: [${JSON.stringify(FAKE)}, 'mute'], hello: async () => ({}), log, onNotification() {}, onRequest() {}, onPhase() {} })
    sidecar.start()
    console.log(sidecar.pid)
    process.exit(0)`
  const pid = Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 10_000 }))
  for (let tries = 0; isAlive(pid) && tries < 200; tries++) await new Promise(resolve => setTimeout(resolve, 10))
  assert.equal(isAlive(pid), false)
})

function createSidecarWith(t, findBinary) {
  const nothing = () => {}
  const sidecar = createSidecar({ findBinary, hello: async () => ({}), log: { debug: nothing, info: nothing, warn: nothing, error: nothing }, onNotification: nothing, onRequest: nothing, onPhase: nothing })
  t.after(() => sidecar.stop())
  return sidecar
}

test('one that is stopped while it starts is gone, and does not come back when it answers', async t => {
  const { sidecar, states } = setUp(t, 'late')
  sidecar.start()
  // Its answer is on its way when it is stopped.
  await new Promise(resolve => setImmediate(resolve))
  const { pid } = sidecar
  await sidecar.stop()
  assert.equal(isAlive(pid), false)
  assert.deepEqual([states.at(-1).phase, sidecar.pid], ['stopped', undefined])
  assert.deepEqual(states.map(({ phase }) => phase), ['starting', 'stopped'])
})
