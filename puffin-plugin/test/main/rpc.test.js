'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { PassThrough } = require('node:stream')
const { createRpc } = require('../../lib/rpc')
const { RemoteError } = require('../../lib/errors')

function pair(options = {}) {
  const input = new PassThrough()
  const output = new PassThrough()
  const notes = []
  const broken = []
  const defects = []
  const rpc = createRpc({
    input, output,
    onNotification: options.onNotification ?? ((method, params) => notes.push([method, params])),
    onDefect: error => defects.push(error.message),
    onRequest: options.onRequest ?? (async () => ({})),
    onBroken: reason => broken.push(reason)
  })
  const sent = () => String(output.read() ?? '').split('\n').filter(Boolean).map(line => JSON.parse(line))
  return { rpc, input, sent, notes, broken, defects, say: message => input.write(`${JSON.stringify(message)}\n`) }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

test('a message that is split at any byte arrives whole', async () => {
  const bytes = Buffer.from(`${JSON.stringify({ method: 'a', params: { text: 'ü€😀' } })}\n{"method":"b"}\n`)
  for (let at = 1; at < bytes.length; at++) {
    const { input, notes } = pair()
    input.write(bytes.subarray(0, at))
    await turn()
    input.write(bytes.subarray(at))
    await turn()
    assert.deepEqual(notes, [['a', { text: 'ü€😀' }], ['b', {}]])
  }
})

test('replies find their requests in any order, and errors keep their code', async () => {
  const { rpc, sent, say } = pair()
  const one = rpc.request('one')
  const two = rpc.request('two', { x: 1 })
  const [first, second] = sent()
  assert.deepEqual([first.method, second.params], ['one', { x: 1 }])
  say({ id: second.id, result: { y: 2 } })
  say({ id: first.id, error: { code: 1001, message: 'No.', data: { code: 'SSH_AUTH_FAILED', hint: 'Try.' } } })
  assert.deepEqual(await two, { y: 2 })
  await assert.rejects(one, error => error instanceof RemoteError && error.code === 'SSH_AUTH_FAILED' && error.data.hint === 'Try.')
})

test('an abort asks the daemon to cancel, and its answer is the outcome', async () => {
  const { rpc, sent, say } = pair()
  const stop = new AbortController()
  const asked = rpc.request('slow', {}, { signal: stop.signal })
  stop.abort()
  const [request, cancel] = sent()
  assert.deepEqual(cancel, { jsonrpc: '2.0', method: '$/cancelRequest', params: { id: request.id } })
  say({ id: request.id, result: { stopReason: 'cancelled' } })
  assert.deepEqual(await asked, { stopReason: 'cancelled' })
})

test('a daemon that does not answer is waited for as long as was said', async () => {
  const { rpc, sent } = pair()
  await assert.rejects(rpc.request('slow', {}, { timeoutMs: 20 }), { code: 'DAEMON_TIMEOUT' })
  assert.equal(sent()[1].method, '$/cancelRequest')
})

test('what the daemon asks is answered exactly once, also when it fails or is cancelled', async () => {
  const { sent, say } = pair({
    onRequest: (method, params, { signal }) => new Promise((resolve, reject) => {
      if (method === 'good') resolve({ ok: 1 })
      else if (method === 'bad') reject(new RemoteError('TOOL_NOT_FOUND', 'No such tool.'))
      else signal.addEventListener('abort', () => reject(new Error('stopped')))
    })
  })
  say({ id: 1, method: 'good' })
  say({ id: 2, method: 'bad' })
  say({ id: 3, method: 'hangs' })
  say({ method: '$/cancelRequest', params: { id: 3 } })
  say({ method: '$/cancelRequest', params: { id: 3 } })
  await turn()
  await turn()
  const replies = Object.fromEntries(sent().map(({ id, result, error }) => [id, result ?? [error.code, error.data?.code]]))
  assert.deepEqual(replies, { 1: { ok: 1 }, 2: [-32000, 'TOOL_NOT_FOUND'], 3: [-32800, undefined] })
})

test('a line that is no JSON, or one without end, ends the connection and all that waits', async () => {
  for (const bytes of [Buffer.from('not json\n'), Buffer.alloc(17 * 1024 * 1024, 0x61)]) {
    const { rpc, input, broken } = pair()
    const asked = rpc.request('x')
    input.write(bytes)
    await assert.rejects(asked, { code: 'DAEMON_PROTOCOL' })
    assert.equal(broken.length, 1)
    await assert.rejects(rpc.request('y'), { code: 'DAEMON_PROTOCOL' })
  }
})

test('a request that is too long is not sent', async () => {
  const { rpc, sent } = pair()
  await assert.rejects(rpc.request('x', { text: 'a'.repeat(17 * 1024 * 1024) }), { code: 'PLUGIN_TOO_LONG' })
  assert.deepEqual(sent(), [])
})

test('after a cancellation a daemon that says nothing is not waited for without end', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { rpc } = pair()
  const stop = new AbortController()
  const asked = rpc.request('slow', {}, { signal: stop.signal })
  stop.abort()
  t.mock.timers.tick(5_000)
  await assert.rejects(asked, { code: 'CANCELLED' })
})

test('a defect in what is done about one message does not keep the next from coming', async () => {
  const seen = []
  const { defects, say } = pair({
    onNotification(method) {
      seen.push(method)
      if (method === 'one') throw new Error('the page is gone')
    }
  })
  say({ method: 'one' })
  say({ method: 'two' })
  await turn()
  assert.deepEqual([seen, defects], [['one', 'two'], ['the page is gone']])
})

test('a daemon that reads nothing is told no more than 64 MiB', async () => {
  const { rpc, broken } = pair()
  const text = 'a'.repeat(15 * 1024 * 1024)
  const asked = []
  for (let n = 0; n < 6; n++) asked.push(rpc.request('x', { text }))
  for (const { status, reason } of await Promise.allSettled(asked)) assert.deepEqual([status, reason.code], ['rejected', 'DAEMON_PROTOCOL'])
  assert.equal(broken.length, 1)
})
