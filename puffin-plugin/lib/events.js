'use strict'

const { RemoteError } = require('./errors')

const LIMIT = 2000
/** Characters of all events together. A page that reads is far below it. */
const ROOM = 32 * 1024 * 1024
/** A merged delta grows no longer than this. */
const DELTA = 64 * 1024
const POLL_MS = 20_000
/** A page that draws, or that was reloaded, asks again within this time. */
const LATELY_MS = 5_000
const DELTAS = new Set(['text-delta', 'reasoning-delta'])

/**
 * What happened, for a page that asks again and again. A page that was away too long is told to read the
 * whole state instead (`reset`): nothing is lost in silence.
 *
 * @param {{limit?: number, room?: number}} [options] how many events, and how many characters, are kept
 */
function createEvents({ limit = LIMIT, room = ROOM } = {}) {
  const ring = []
  const sizes = []
  const waiting = new Set()
  let seq = 0
  let used = 0
  /** The newest event that somebody has: nothing is added to it any more. */
  let handedOut = 0
  let polled = 0
  let closed = false

  /** @param {{type: string}} event */
  function emit(event) {
    const last = ring.at(-1)
    if (last && last.seq > handedOut && merges(last, event)) {
      last.event = { ...last.event, text: last.event.text + event.event.text }
      grow(event.event.text.length)
    } else {
      ring.push({ ...event, seq: ++seq })
      sizes.push(0)
      grow(JSON.stringify(event).length)
    }
    while (ring.length > limit || (used > room && ring.length > 1)) {
      ring.shift()
      used -= sizes.shift()
    }
    for (const wake of [...waiting]) wake()
  }

  /** The newest event is so much longer. */
  function grow(characters) {
    sizes[sizes.length - 1] += characters
    used += characters
  }

  /**
   * @param {{after?: number, timeoutMs?: number}} params `after`: the `seq` of the last answer
   * @returns {Promise<{events: object[], seq: number, reset?: true}>} at once when there is something
   *   newer, else when there is, or when the time is up
   */
  async function next({ after = 0, timeoutMs = POLL_MS } = {}) {
    if (!Number.isSafeInteger(after) || after < 0) throw new RemoteError('INVALID_PARAMS', '`after` is the `seq` of the last answer, a number from 0.')
    if (!Number.isFinite(timeoutMs)) throw new RemoteError('INVALID_PARAMS', '`timeoutMs` is a number of milliseconds.')
    polled = Date.now()
    if (after === seq && !closed) await news(Math.min(Math.max(timeoutMs, 0), POLL_MS))
    const oldest = ring[0]?.seq ?? seq + 1
    if (after > seq || after < oldest - 1) return { events: [], seq, reset: true }
    handedOut = seq
    return { events: ring.filter(event => event.seq > after), seq }
  }

  function news(ms) {
    return new Promise(resolve => {
      const wake = () => {
        waiting.delete(wake)
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      waiting.add(wake)
    })
  }

  return {
    emit,
    next,
    get seq() {
      return seq
    },
    /** @returns {boolean} whether a page asks for events: it waits now, or did so a moment ago */
    get watched() {
      return waiting.size > 0 || Date.now() - polled < LATELY_MS
    },
    /** What pages know is out of date: each is told to read the whole state. */
    restart() {
      ring.length = sizes.length = used = 0
      seq++
    },
    /** Nobody waits any longer, nor from now on. */
    close() {
      closed = true
      for (const wake of [...waiting]) wake()
    }
  }
}

function merges(last, next) {
  return last.type === 'stream-chunk' && next.type === 'stream-chunk' &&
    last.streamId === next.streamId && last.event.type === next.event.type && DELTAS.has(next.event.type) &&
    last.event.text.length + next.event.text.length <= DELTA
}

module.exports = { createEvents }
