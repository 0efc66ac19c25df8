'use strict'

const LIMIT = 2000
/** A merged delta grows no longer than this. */
const DELTA = 64 * 1024
const POLL_MS = 20_000
const DELTAS = new Set(['text-delta', 'reasoning-delta'])

/**
 * What happened, for a page that asks again and again. A page that was away too long is told to read the
 * whole state instead (`reset`): nothing is lost in silence.
 *
 * @param {{limit?: number}} [options]
 */
function createEvents({ limit = LIMIT } = {}) {
  const ring = []
  const waiting = new Set()
  let seq = 0
  /** The newest event that somebody has: nothing is added to it any more. */
  let handedOut = 0

  /** @param {{type: string}} event */
  function emit(event) {
    const last = ring.at(-1)
    if (last && last.seq > handedOut && merges(last, event)) {
      last.event = { ...last.event, text: last.event.text + event.event.text }
    } else {
      ring.push({ ...event, seq: ++seq })
      if (ring.length > limit) ring.shift()
    }
    for (const wake of [...waiting]) wake()
  }

  /**
   * @param {{after?: number, timeoutMs?: number}} params `after`: the `seq` of the last answer
   * @returns {Promise<{events: object[], seq: number, reset?: true}>} at once when there is something
   *   newer, else when there is, or when the time is up
   */
  async function next({ after = 0, timeoutMs = POLL_MS } = {}) {
    if (after === seq) await news(Math.min(Math.max(timeoutMs, 0), POLL_MS))
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
    /** Nobody waits any longer. */
    close() {
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
