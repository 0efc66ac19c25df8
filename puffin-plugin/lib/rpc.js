'use strict'

const { RemoteError, fromReply } = require('./errors')

/** The contract's longest line, each way. */
const MAX_LINE = 16 * 1024 * 1024
/** What the daemon may leave unread before it counts as hung. */
const MAX_UNREAD = 64 * 1024 * 1024
/** Questions of the daemon that are answered at a time; it has a few for each prompt. */
const MAX_ANSWERING = 4096
/** After a cancellation the daemon has so long for its last word. */
const CANCEL_MS = 5_000
const CANCELLED = -32800
const METHOD_NOT_FOUND = -32601
const NEWLINE = 0x0a

/**
 * JSON-RPC 2.0 over two pipes, one object a line, in both directions.
 *
 * @param {object} options
 * @param {import('node:stream').Readable} options.input what the daemon says
 * @param {import('node:stream').Writable} options.output what it hears
 * @param {(method: string, params: object) => void} options.onNotification
 * @param {(method: string, params: object, context: {signal: AbortSignal}) => Promise<object>} options.onRequest
 *   what the daemon asks; a rejection becomes an error reply
 * @param {(reason: RemoteError) => void} [options.onBroken] the daemon said something that is no message,
 *   or reads no more; the connection is of no more use
 * @param {(error: Error) => void} [options.onDefect] `onNotification` threw; the connection goes on
 */
function createRpc({ input, output, onNotification, onRequest, onBroken = () => {}, onDefect = () => {} }) {
  const waiting = new Map()
  const answering = new Map()
  let nextId = 1
  let closed = null
  let pieces = []
  let length = 0

  const send = message => write(JSON.stringify({ jsonrpc: '2.0', ...message }))

  function write(line) {
    if (closed) return
    if (output.writableLength > MAX_UNREAD) return broken('The daemon reads no more of what it is told.')
    output.write(`${line}\n`)
  }

  /**
   * @param {string} method
   * @param {object} [params]
   * @param {{signal?: AbortSignal, timeoutMs?: number}} [options] an abort, or the time's end, asks the
   *   daemon to cancel; what it answers to an abort within 5 s is the outcome
   * @returns {Promise<object>} rejects with a RemoteError
   */
  function request(method, params = {}, { signal, timeoutMs } = {}) {
    if (closed) return Promise.reject(closed)
    if (signal?.aborted) return Promise.reject(new RemoteError('CANCELLED', 'It was cancelled.'))
    const id = nextId++
    const line = JSON.stringify({ jsonrpc: '2.0', id, method, params })
    if (Buffer.byteLength(line) > MAX_LINE) {
      return Promise.reject(new RemoteError('PLUGIN_TOO_LONG', 'The request is longer than the 16 MiB that the daemon takes. Attach less.'))
    }
    return new Promise((resolve, reject) => {
      let timer
      const cancel = () => {
        send({ method: '$/cancelRequest', params: { id } })
        clearTimeout(timer)
        timer = setTimeout(() => settle(reject, new RemoteError('CANCELLED', 'It was cancelled.')), CANCEL_MS)
      }
      const settle = (finish, value) => {
        waiting.delete(id)
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
        finish(value)
      }
      waiting.set(id, { resolve: value => settle(resolve, value), reject: error => settle(reject, error) })
      signal?.addEventListener('abort', cancel, { once: true })
      if (timeoutMs) {
        timer = setTimeout(() => {
          send({ method: '$/cancelRequest', params: { id } })
          settle(reject, new RemoteError('DAEMON_TIMEOUT', `The daemon did not answer ${method} within ${Math.round(timeoutMs / 1000)} s.`, { retryable: true }))
        }, timeoutMs)
      }
      write(line)
    })
  }

  async function answer(id, method, params) {
    if (answering.size >= MAX_ANSWERING) {
      send({ id, error: { code: -32000, message: 'Too many questions at a time.', data: { code: 'HOST_BUSY' } } })
      return
    }
    const stop = new AbortController()
    answering.set(id, stop)
    let reply
    try {
      reply = { result: (await onRequest(method, params ?? {}, { signal: stop.signal })) ?? {} }
    } catch (error) {
      const code = error?.code
      const known = error instanceof RemoteError
      const number = code === 'METHOD_NOT_FOUND' ? METHOD_NOT_FOUND : stop.signal.aborted ? CANCELLED : -32000
      reply = { error: { code: number, message: error?.message ?? String(error), ...(known ? { data: { code } } : {}) } }
    }
    answering.delete(id)
    send({ id, ...reply })
  }

  function receive(text) {
    let message
    try {
      message = JSON.parse(text)
    } catch {
      return broken('The daemon said something that is not JSON.')
    }
    const { id, method, params, result, error } = message ?? {}
    if (method === '$/cancelRequest') answering.get(params?.id)?.abort()
    else if (typeof method === 'string' && id !== undefined) answer(id, method, params)
    else if (typeof method === 'string') notified(method, params ?? {})
    else if (error) waiting.get(id)?.reject(fromReply(error))
    else waiting.get(id)?.resolve(result ?? {})
  }

  /** A defect in what is done about one notification must not end Puffin, nor the next one. */
  function notified(method, params) {
    try {
      onNotification(method, params)
    } catch (error) {
      onDefect(error)
    }
  }

  function onData(chunk) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      pieces.push(chunk.subarray(start, end))
      const line = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
      pieces = []
      length = 0
      start = end + 1
      if (line.length > 0) receive(line.toString('utf8'))
      if (closed) return
    }
    if (start < chunk.length) {
      pieces.push(chunk.subarray(start))
      length += chunk.length - start
      if (length > MAX_LINE + 1024) broken('The daemon said a line of more than 16 MiB.')
    }
  }

  function broken(message) {
    const reason = new RemoteError('DAEMON_PROTOCOL', message)
    close(reason)
    onBroken(reason)
  }

  /** Whatever waits ends with `reason`, and nothing more is sent or heard. */
  function close(reason) {
    if (closed) return
    closed = reason
    input.off('data', onData)
    for (const { reject } of [...waiting.values()]) reject(reason)
    for (const stop of answering.values()) stop.abort()
    pieces = []
  }

  input.on('data', onData)
  // A pipe that breaks is told by the process's end.
  output.on('error', () => {})

  return { request, notify: (method, params = {}) => send({ method, params }), close }
}

module.exports = { createRpc, MAX_LINE }
