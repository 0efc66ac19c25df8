/** A headless Chromium, spoken to over its debugging pipe: no port, and nothing to install but the browser. */

import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const ANSWER_MS = 60_000

/** @returns {string|null} the browser's program */
export function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome']
  const candidates = [process.env.CHROMIUM, ...(process.env.PATH ?? '').split(delimiter).flatMap(folder => names.map(name => join(folder, name)))]
  return candidates.find(path => path && isProgram(path)) ?? null
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** @param {string} program of `findChromium` */
export async function launch(program) {
  const profile = await mkdtemp(join(tmpdir(), 'rllm-browser-'))
  const child = spawn(program, [
    '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--allow-file-access-from-files',
    '--hide-scrollbars', '--force-color-profile=srgb', '--proxy-server=127.0.0.1:9', 'about:blank'
  ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
  const connection = connect(child)
  return {
    newPage: () => newPage(connection),
    async close() {
      const ended = new Promise(resolve => child.once('exit', resolve))
      connection.send('Browser.close').catch(() => {})
      const last = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(last)
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}

/** Messages are JSON, each ended by a zero byte. */
function connect(child) {
  const [, , , input, output] = child.stdio
  const waiting = new Map()
  const listeners = new Set()
  let id = 0
  let rest = ''
  output.setEncoding('utf8')
  output.on('data', data => {
    const messages = (rest + data).split('\0')
    rest = messages.pop()
    for (const message of messages.map(JSON.parse)) {
      const call = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.error) call?.reject(new Error(`${call.method}: ${message.error.message}`))
      else if (call) call.resolve(message.result)
      else for (const listener of listeners) listener(message)
    }
  })
  let ended = false
  child.once('exit', () => {
    ended = true
    waiting.forEach(call => call.reject(new Error('The browser has ended.')))
  })
  input.on('error', () => {})

  return {
    listeners,
    send(method, params = {}, sessionId) {
      return new Promise((resolve, reject) => {
        if (ended) return reject(new Error('The browser has ended.'))
        const mine = ++id
        const timer = setTimeout(() => {
          waiting.delete(mine)
          reject(new Error(`${method}: no answer within ${ANSWER_MS / 1000} s`))
        }, ANSWER_MS)
        const done = settle => value => {
          clearTimeout(timer)
          settle(value)
        }
        waiting.set(mine, { method, resolve: done(resolve), reject: done(reject) })
        input.write(`${JSON.stringify({ id: mine, method, params, ...(sessionId ? { sessionId } : {}) })}\0`)
      })
    }
  }
}

async function newPage(connection) {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true })
  const send = (method, params) => connection.send(method, params, sessionId)
  const complaints = []
  const events = new Map()
  connection.listeners.add(({ sessionId: from, method, params }) => {
    if (from !== sessionId) return
    if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text)
    if (method === 'Log.entryAdded' && params.entry.level === 'error') complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`)
    events.get(method)?.(params)
  })
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`)

  /** Runs a function in the page and gives what it gives. */
  async function evaluate(job, ...args) {
    const expression = typeof job === 'string' ? job : `(${job})(${args.map(arg => JSON.stringify(arg) ?? 'undefined').join(', ')})`
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  return {
    send,
    evaluate,
    /** Uncaught errors and blocked loads of the page. */
    complaints,
    on: (method, listener) => events.set(method, listener),
    async goto(url) {
      const loaded = new Promise(resolve => events.set('Page.loadEventFired', resolve))
      await send('Page.navigate', { url })
      await loaded
    },
    /** Waits until the page says yes to something, at every frame. */
    async until(condition, ...args) {
      const source = `(${condition})(${args.map(arg => JSON.stringify(arg)).join(', ')})`
      const met = await evaluate(`new Promise(resolve => {
        const ends = performance.now() + 15000
        const look = () => {
          if (${source}) return resolve(true)
          if (performance.now() > ends) return resolve(false)
          requestAnimationFrame(look)
        }
        look()
      })`)
      if (!met) throw new Error(`The page never said yes to ${condition} ${JSON.stringify(args)}`)
    },
    resize: (width, height) => send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }),
    async screenshot() {
      const { data } = await send('Page.captureScreenshot', { format: 'png' })
      return Buffer.from(data, 'base64')
    },
    /** A key as a person presses it. @param {string} key as in `KeyboardEvent.key` */
    async press(key, { shift = false, ctrl = false } = {}) {
      const codes = { Tab: 9, Enter: 13, Escape: 27, ' ': 32, ArrowUp: 38, ArrowDown: 40, End: 35, Home: 36 }
      const common = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: codes[key], modifiers: (shift ? 8 : 0) + (ctrl ? 2 : 0) }
      const text = ctrl ? undefined : { Enter: '\r', ' ': ' ' }[key]
      await send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', ...common, ...(text ? { text } : {}) })
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...common })
    },
    type: text => send('Input.insertText', { text })
  }
}
