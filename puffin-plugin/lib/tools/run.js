/**
 * Runs a program for a tool: in a process group of its own, with nothing on its input and no secrets in its
 * environment. Nothing it started outlives it, and its output is bounded while it comes.
 */
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs/promises')
const { randomBytes } = require('node:crypto')
const { Capture, OUTPUT_LIMIT } = require('./output')

const GRACE_MS = 1000 // between SIGTERM and SIGKILL
const DRAIN_MS = 250 // for the output of a program that has ended
const GIVE_UP_MS = 500 // after SIGKILL, for what the kernel holds
const FLOOD_LIMIT = 64 * 1024 * 1024
const MARK = 'PUFFIN_TOOL_RUN'

/**
 * @typedef {object} Ran
 * @property {'exit' | 'timeout' | 'cancelled' | 'flood' | 'not-started'} ended  why it is over
 * @property {number | null} exitCode
 * @property {string | null} killedBy  a signal's name
 * @property {string} text  standard output and error as they came, the middle left out beyond the limit
 * @property {number} leftOut  how many bytes of the output are not in `text`
 * @property {number} bytes  how much came
 * @property {boolean} binary
 * @property {number} leftBehind  processes that it left running and that were ended
 * @property {string} [error]  the system's code when it could not be started
 */

class Runner {
  #live = new Set()
  #atExit = () => this.#live.forEach(run => run.kill('SIGKILL'))

  constructor({ graceMs = GRACE_MS, floodLimit = FLOOD_LIMIT, parentEnv = process.env } = {}) {
    this.graceMs = graceMs
    this.floodLimit = floodLimit
    this.parentEnv = parentEnv
  }

  /**
   * @param {string} file
   * @param {string[]} args
   * @param {{cwd: string, timeoutMs: number, signal?: AbortSignal, env?: object, limit?: number}} options
   *   `env`: in addition to what is harmless of our own; `limit`: bytes of output to keep
   * @returns {Promise<Ran>} never rejects; when it settles, the program and all that it started are gone,
   *   except for what even SIGKILL does not reach within half a second
   */
  async run(file, args, { cwd, timeoutMs, signal, env = {}, limit = OUTPUT_LIMIT }) {
    const capture = new Capture(limit)
    const mark = randomBytes(12).toString('hex')
    const settled = new AbortController()
    if (signal?.aborted) return outcome('cancelled', capture)
    const { child, error } = start(file, args, { cwd, env: { ...harmless(this.parentEnv), ...env, [MARK]: mark } })
    if (!child?.pid) return outcome('not-started', capture, { error: error ?? await failure(child) })
    const closed = new Promise(resolve => child.once('close', resolve))
    const run = { kill: name => killGroup(child, name) }
    this.#keep(run)
    const ended = await new Promise(resolve => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('error', () => {}).on('data', chunk => {
          capture.push(chunk)
          if (capture.total > this.floodLimit) resolve('flood')
        })
      }
      child.on('error', () => {}).once('exit', () => resolve('exit'))
      const timer = setTimeout(resolve, timeoutMs, 'timeout')
      settled.signal.addEventListener('abort', () => clearTimeout(timer))
      signal?.addEventListener('abort', () => resolve('cancelled'), { signal: settled.signal })
    })
    settled.abort()
    if (ended === 'exit') await before(DRAIN_MS, closed)
    const leftBehind = await this.#clear(child, mark, ended)
    await before(DRAIN_MS, closed)
    child.stdout.destroy()
    child.stderr.destroy()
    this.#release(run)
    return outcome(ended, capture, { exitCode: child.exitCode, killedBy: child.signalCode, leftBehind })
  }

  /** Ends what is left of a run: gently first, unless it is gone already. */
  async #clear(child, mark, ended) {
    const gone = async () => !killGroup(child, 0) && (await marked(mark)).length === 0
    const leftBehind = ended === 'exit' ? Math.max((await marked(mark)).length, killGroup(child, 0) ? 1 : 0) : 0
    if (ended === 'exit' && leftBehind === 0) return 0
    for (const [name, patience] of [['SIGTERM', this.graceMs], ['SIGKILL', GIVE_UP_MS]]) {
      const deadline = performance.now() + patience
      await endAll(child, mark, name)
      while (!await gone() && performance.now() < deadline) {
        await pause(15)
        // A process that was just being made when the others were ended.
        if (name === 'SIGKILL') await endAll(child, mark, name)
      }
      if (await gone()) break
    }
    return leftBehind
  }

  #keep(run) {
    if (this.#live.size === 0) process.on('exit', this.#atExit)
    this.#live.add(run)
  }

  #release(run) {
    this.#live.delete(run)
    if (this.#live.size === 0) process.off('exit', this.#atExit)
  }
}

/** A child, or undefined with the system's code when it could not even be tried. */
function start(file, args, { cwd, env }) {
  const onWindows = process.platform === 'win32'
  try {
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: !onWindows, windowsHide: true })
    child.once('error', error => { child.failure = error })
    return { child }
  } catch (error) {
    return { error: error.code ?? 'UNKNOWN' } // arguments that are too long, say
  }
}

async function failure(child) {
  if (!child.failure) await new Promise(resolve => child.once('error', resolve))
  return child.failure?.code ?? 'UNKNOWN'
}

function outcome(ended, capture, rest = {}) {
  return { ended, exitCode: null, killedBy: null, leftBehind: 0, ...rest, ...capture.finish(), bytes: capture.total }
}

/** Sends a signal to the whole group; 0 only asks. @returns {boolean} whether anybody was there */
function killGroup(child, name) {
  try {
    if (process.platform !== 'win32') return process.kill(-child.pid, name)
    if (name === 0) return child.exitCode === null && child.signalCode === null
    spawn('taskkill', ['/T', '/F', '/PID', String(child.pid)], { stdio: 'ignore', windowsHide: true }).on('error', () => {})
    return true
  } catch {
    return false
  }
}

async function endAll(child, mark, name) {
  killGroup(child, name)
  for (const pid of await marked(mark)) {
    try {
      process.kill(pid, name)
    } catch {} // gone meanwhile
  }
}

/**
 * The processes that carry a run's mark in their environment: also those that left its group (daemons).
 * Only Linux tells; elsewhere the group must do.
 */
async function marked(mark) {
  if (process.platform !== 'linux') return []
  const wanted = Buffer.from(`${MARK}=${mark}`)
  const pids = (await fs.readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(async pid => {
    try {
      return (await fs.readFile(`/proc/${pid}/environ`)).includes(wanted)
    } catch {
      return false // another user's, or gone
    }
  }))
  return pids.filter((pid, index) => found[index]).map(Number)
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))

/** Waits for something, but not longer. */
async function before(milliseconds, wanted) {
  let timer
  const late = new Promise(resolve => { timer = setTimeout(resolve, milliseconds) })
  await Promise.race([wanted, late])
  clearTimeout(timer)
}

const HARMLESS = new Set([
  'PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TMP', 'TEMP', 'PWD', 'COLUMNS', 'LINES',
  'JAVA_HOME', 'GOPATH', 'GOROOT', 'CARGO_HOME', 'RUSTUP_HOME', 'NVM_DIR', 'NVM_BIN', 'PYENV_ROOT', 'RBENV_ROOT', 'VOLTA_HOME',
  'PNPM_HOME', 'BUN_INSTALL', 'DENO_DIR', 'VIRTUAL_ENV', 'CONDA_PREFIX', 'CONDA_DEFAULT_ENV', 'ANDROID_HOME', 'DOTNET_ROOT',
  'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_STATE_HOME', 'SSL_CERT_FILE', 'SSL_CERT_DIR',
  // Windows
  'SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC', 'PATHEXT', 'USERPROFILE', 'USERNAME', 'APPDATA', 'LOCALAPPDATA',
  'PROGRAMDATA', 'PROGRAMFILES', 'PROGRAMFILES(X86)', 'PROGRAMW6432', 'HOMEDRIVE', 'HOMEPATH', 'NUMBER_OF_PROCESSORS'
])

/**
 * What of our own environment a command may have: named things that are known to be harmless. A list of
 * what is secret would never be complete.
 */
function harmless(env) {
  const kept = Object.entries(env).filter(([name, value]) => value !== undefined &&
    (HARMLESS.has(name.toUpperCase()) || name.startsWith('LC_')))
  return { ...Object.fromEntries(kept), TERM: 'dumb', NO_COLOR: '1', PAGER: 'cat', GIT_PAGER: 'cat', GIT_TERMINAL_PROMPT: '0' }
}

module.exports = { Runner, harmless }
