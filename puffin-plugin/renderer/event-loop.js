/**
 * Events from main, by long poll: one poll is in flight, its answer brings what happened since the
 * last. Whatever goes wrong, the page asks for the whole state again and goes on.
 */

const POLL_MS = 20_000
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000
/** An empty answer that comes sooner than this did not wait. */
const TOO_SOON_MS = 50

/**
 * @param {object} options
 * @param {(handler: string, params: object, options: object) => Promise<object>} options.call
 * @param {(events: object[]) => void} options.onEvents in order, each once
 * @param {(state: object) => void} options.onState the whole state, after a start or a gap
 * @param {(error: Error|null) => void} options.onReachable null: main answers again
 * @param {() => Promise<void>} [options.pace] awaited between polls, so that a page that draws takes
 *   events in bigger pieces
 * @param {(ms: number, signal: AbortSignal) => Promise<void>} [options.wait]
 * @param {() => number} [options.now] milliseconds
 */
export function createEventLoop({ call, onEvents, onState, onReachable, pace = async () => {}, wait = abortableWait, now = () => performance.now() }) {
  let stopping = null
  let stale = false
  let interrupt = () => {}

  async function run(signal) {
    let after = null
    let failures = 0
    while (!signal.aborted) {
      try {
        if (after === null || stale) {
          stale = false
          const state = await call('get-state', {}, {})
          if (signal.aborted) return
          after = state.seq ?? 0
          onReachable(null)
          onState(state)
        }
        const asked = now()
        const refreshed = new Promise(resolve => { interrupt = resolve })
        const answer = await Promise.race([call('next-events', { after, timeoutMs: POLL_MS }, { deadlineMs: POLL_MS + 10_000 }), refreshed])
        if (signal.aborted) return
        if (answer === undefined) continue
        if (answer.reset) {
          after = null
        } else {
          after = answer.seq ?? after
          if (answer.events?.length > 0) onEvents(answer.events)
        }
        const progress = answer.events?.length > 0
        failures = progress || now() - asked >= TOO_SOON_MS ? 0 : failures + 1
        await pace()
        // The first empty answer may be chance; a row of them would be a busy loop.
        if (failures > 1) await wait(backoff(failures - 1), signal)
      } catch (error) {
        if (signal.aborted) return
        after = null
        failures++
        onReachable(error)
        await Promise.race([wait(backoff(failures), signal), new Promise(resolve => { interrupt = resolve })])
      }
    }
  }

  return {
    start() {
      if (stopping) return
      stopping = new AbortController()
      run(stopping.signal)
    },
    /** Asks for the whole state now, whatever is waited for. */
    refresh() {
      stale = true
      interrupt()
    },
    stop() {
      stopping?.abort()
      stopping = null
    }
  }
}

/** 0.5, 1, 2 … 15 s */
export function backoff(failures) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10))
}

function abortableWait(ms, signal) {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
}
