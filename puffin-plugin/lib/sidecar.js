'use strict'

const { spawn } = require('node:child_process')
const { createRpc } = require('./rpc')
const { RemoteError } = require('./errors')

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000
/** A daemon that ran for so long was well: the next failure is a first one. */
const WELL_MS = 60_000
/** Asked for something, it is started without waiting if it was started longer ago than this. */
const IMPATIENT_MS = 5_000
const INITIALIZE_MS = 10_000
const START_MS = 20_000
const SHUTDOWN_MS = 2_500
/** What the daemon said before it ended may still be in the pipe; a child of its own may hold it open. */
const DRAIN_MS = 250
const LOG_LINE = 4096

/**
 * The daemon as a child of this process: started, started again when it ends by itself, and ended.
 *
 * Phases: `off`, `starting`, `ready`, `waiting` (to be started again), `failed` (it can't be started as
 * things are), `stopped`.
 *
 * @param {object} options
 * @param {() => string} options.findBinary throws a RemoteError
 * @param {() => Promise<object>} options.hello params of `initialize`
 * @param {{debug: Function, info: Function, warn: Function, error: Function}} options.log
 * @param {(method: string, params: object) => void} options.onNotification
 * @param {(method: string, params: object, context: {signal: AbortSignal}) => Promise<object>} options.onRequest
 * @param {(state: {phase: string, error: RemoteError|null, vault: object|null, isNew?: boolean}) => void} options.onPhase
 *   `isNew`: it is ready, and another than before
 * @param {string[]} [options.args]
 * @param {object} [options.env]
 * @param {number} [options.firstWaitMs] before it is started again; doubled each time, up to 30 s
 */
function createSidecar({ findBinary, hello, log, onNotification, onRequest, onPhase, args = [], env = process.env, firstWaitMs = FIRST_WAIT_MS }) {
  let state = { phase: 'off', error: null, vault: null, version: null }
  let child = null
  let rpc = null
  let failures = 0
  let retry = null
  let since = 0
  let wasThere = false
  let onEnded = () => {}
  let stopping = null
  const watchers = new Set()

  function become(phase, more = {}) {
    state = { phase, error: null, vault: null, version: state.version, ...more }
    onPhase({ ...state, isNew: phase === 'ready' && wasThere })
    if (phase === 'ready') wasThere = true
    for (const watch of [...watchers]) watch()
  }

  const killAtExit = () => child?.kill('SIGKILL')

  function start() {
    if (child || state.phase === 'stopped') return
    clearTimeout(retry)
    become('starting')
    let file
    try {
      file = findBinary()
    } catch (error) {
      become('failed', { error })
      return
    }
    process.on('exit', killAtExit)
    const started = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env, windowsHide: true })
    child = started
    since = Date.now()
    started.on('error', error => started.pid === undefined && ended(started, `could not be started (${error.code ?? error.message})`))
    started.on('exit', (code, signal) => {
      const how = signal ? `was killed by ${signal}` : `ended with ${code}`
      const drained = setTimeout(ended, DRAIN_MS, started, how)
      started.on('close', () => {
        clearTimeout(drained)
        ended(started, how)
      })
    })
    logLines(started.stderr, log)
    rpc = createRpc({
      input: started.stdout,
      output: started.stdin,
      onNotification,
      onRequest,
      onDefect: error => log.error(`what the daemon said could not be passed on: ${error.message}`),
      onBroken: reason => {
        log.error(reason.message)
        started.kill('SIGKILL')
      }
    })
    initialize(rpc, started)
  }

  async function initialize(own, started) {
    try {
      const { vault, server } = await own.request('initialize', await hello(), { timeoutMs: INITIALIZE_MS })
      // It may have been stopped meanwhile, and must not come back to life.
      if (child === started && state.phase === 'starting') become('ready', { vault: vault ?? null, version: server?.version ?? null })
    } catch (error) {
      if (child !== started || state.phase === 'stopped') return
      log.error(`The daemon did not take its settings: ${error.message}`)
      // Of another version, or with settings it refuses: the next start would end the same.
      if (error.code !== 'DAEMON_GONE') become('failed', { error })
      started.kill('SIGKILL')
    }
  }

  function ended(started, how) {
    if (child !== started) return
    process.off('exit', killAtExit)
    child = null
    const gone = new RemoteError('DAEMON_GONE', `The Remote LLM daemon ${how}.`, { retryable: true })
    rpc.close(gone)
    rpc = null
    onEnded()
    if (state.phase === 'stopped' || state.phase === 'failed') return
    failures = Date.now() - since > WELL_MS ? 1 : failures + 1
    const wait = Math.min(LONGEST_WAIT_MS, firstWaitMs * 2 ** (failures - 1))
    log.warn(`The daemon ${how}; it is started again in ${wait} ms.`)
    become('waiting', { error: gone })
    retry = setTimeout(start, wait)
  }

  async function end() {
    const own = rpc
    const ending = child
    const wasReady = state.phase === 'ready'
    clearTimeout(retry)
    become('stopped')
    if (!ending) return
    const gone = new Promise(resolve => { onEnded = resolve })
    if (wasReady) await own.request('shutdown', {}, { timeoutMs: SHUTDOWN_MS }).catch(() => {})
    ending.stdin.end()
    const kill = setTimeout(() => ending.kill('SIGKILL'), SHUTDOWN_MS)
    await gone
    clearTimeout(kill)
  }

  /** Waits for a daemon that is on its way. */
  function ready(signal) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        watchers.delete(look)
        clearTimeout(timer)
        signal?.removeEventListener('abort', look)
        settle(value)
      }
      const look = () => {
        if (signal?.aborted) finish(reject, new RemoteError('CANCELLED', 'It was cancelled.'))
        else if (state.phase === 'ready') finish(resolve, rpc)
        else if (['failed', 'stopped', 'off'].includes(state.phase)) finish(reject, state.error ?? unavailable(state))
      }
      const timer = setTimeout(() => finish(reject, state.error ?? unavailable(state)), START_MS)
      watchers.add(look)
      signal?.addEventListener('abort', look, { once: true })
      look()
    })
  }

  return {
    start,
    /** Tries again after `failed`. */
    restart() {
      if (state.phase === 'failed' && !child) {
        failures = 0
        start()
      }
    },
    /**
     * Asks the daemon, once it is there.
     * @returns {Promise<object>} rejects with a RemoteError
     */
    async call(method, params, options = {}) {
      // Somebody wants it now; a daemon that ends as soon as it is started has its pause, though.
      if (state.phase === 'waiting' && Date.now() - since > IMPATIENT_MS) start()
      const own = await ready(options.signal)
      return own.request(method, params, options)
    },
    notify(method, params) {
      rpc?.notify(method, params)
    },
    get state() {
      return state
    },
    /** The vault was opened, closed or made anew. */
    noteVault({ state: vaultState, problem }) {
      if (state.phase !== 'ready') return
      state = { ...state, vault: { state: vaultState, ...(problem ? { problem } : {}) } }
      onPhase(state)
    },
    get pid() {
      return child?.pid
    },
    /** Ends it: by request, then by closing its input, then by force. */
    stop() {
      stopping ??= end()
      return stopping
    }
  }
}

function unavailable({ phase }) {
  return new RemoteError('DAEMON_UNAVAILABLE', phase === 'stopped' ? 'The Remote LLM plugin is being switched off.' : 'The Remote LLM daemon is not running yet. Try again in a moment.', { retryable: phase !== 'stopped' })
}

/** The daemon's own words hold no secret; they are passed on by the line. */
function logLines(stream, log) {
  let rest = ''
  const tell = line => line.trim() !== '' && levelOf(line, log)(line.slice(0, LOG_LINE))
  stream.setEncoding('utf8')
  stream.on('data', text => {
    const lines = (rest + text).split('\n')
    rest = lines.pop().slice(0, LOG_LINE)
    lines.forEach(tell)
  })
  stream.on('end', () => tell(rest))
}

function levelOf(line, log) {
  if (/\bERROR\b/.test(line)) return log.error.bind(log)
  if (/\bWARN\b/.test(line)) return log.warn.bind(log)
  return log.debug.bind(log)
}

module.exports = { createSidecar }
