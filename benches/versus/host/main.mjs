// A host in Node, as Puffin's main process is one. Reads commands from standard input, one JSON
// object a line, and answers each in a line. What it does with an answer is the same on every way:
// parse, append, count.
//   node main.mjs ours|direct|tunnel|ssh2
import { createInterface } from 'node:readline'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Ours } from './ours.mjs'
import { Direct, Tunnel, Ssh2 } from './http.mjs'

const ways = { ours: Ours, direct: Direct, tunnel: Tunnel, ssh2: Ssh2 }
let way

// How often the event loop is looked at; what is beyond that is its delay.
const LOOK_MS = 5
// A token is a space and 15 digits: when it left the server, in microseconds of the machine's
// monotonic clock, which is hrtime's.
const TOKEN = 16
const apart = () => Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000
// The two are not read at once: of many tries the one with the least time in between.
const epoch = Math.max(...Array.from({ length: 1000 }, apart))
const now = () => performance.now() * 1000 + epoch
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// What one measurement sees.
class Meter {
  latencies = new Float64Array(1 << 16)
  tokens = 0
  constructor () {
    this.delay = monitorEventLoopDelay({ resolution: LOOK_MS })
  }

  begin () {
    this.began = now()
    this.cpu = process.cpuUsage()
    this.delay.enable()
  }

  // A piece of an answer: one or more whole tokens.
  take (text) {
    if (!this.began) this.begin()
    const at = now()
    for (let start = 0; start + TOKEN <= text.length; start += TOKEN) {
      if (this.tokens === this.latencies.length) {
        const more = new Float64Array(2 * this.tokens)
        more.set(this.latencies)
        this.latencies = more
      }
      this.latencies[this.tokens++] = at - Number(text.slice(start, start + TOKEN))
    }
  }

  end () {
    const seconds = (now() - this.began) / 1e6
    const cpu = process.cpuUsage(this.cpu)
    this.delay.disable()
    const sorted = this.latencies.subarray(0, this.tokens).sort()
    const at = share => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
    const late = nanoseconds => Math.max(0, nanoseconds / 1e6 - LOOK_MS)
    return {
      seconds,
      tokens: this.tokens,
      cpuMicros: cpu.user + cpu.system,
      latencyMicros: this.tokens ? { p50: at(0.5), p99: at(0.99), max: sorted[sorted.length - 1] } : undefined,
      loopMs: { p50: late(this.delay.percentile(50)), p99: late(this.delay.percentile(99)), max: late(this.delay.max) }
    }
  }
}

// A way of its own for each profile; prompts take turns.
class Several {
  #turn = 0
  constructor (all) { this.all = all }
  pids () { return this.all.flatMap(way => way.pids()) }
  prompt (...question) { return this.all[this.#turn++ % this.all.length].prompt(...question) }
  close () { return Promise.all(this.all.map(way => way.close())) }
}

const timed = async work => {
  const began = performance.now()
  await work(() => performance.now() - began)
  return performance.now() - began
}

// One prompt, until its first token and to its end.
const firstToken = async content => {
  let first
  await timed(async elapsed => { await way.prompt(content, () => { first ??= elapsed() }) })
  return first
}

const repeated = async (count, work) => {
  const times = []
  for (let round = 0; round < count; round++) times.push(await work())
  return times
}

const commands = {
  async open ({ profiles, localPorts, ...settings }) {
    const Way = ways[process.argv[2]]
    if (Way.shared || profiles === 1) {
      way = await Way.open({ ...settings, profiles, localPort: localPorts[0] })
    } else {
      const all = []
      for (const localPort of localPorts) all.push(await Way.open({ ...settings, localPort }))
      way = new Several(all)
    }
    return { pids: way.pids() }
  },
  // Without a connection, to the first token.
  async cold ({ content }) {
    await way.disconnect()
    const ms = await firstToken(content)
    return { ms, pids: way.pids() }
  },
  warm: async ({ count, content }) => ({ ms: await repeated(count, () => firstToken(content)) }),
  models: async ({ count }) => ({ ms: await repeated(count, () => timed(() => way.models())) }),
  // Streams beside each other; the server begins when all have asked.
  async streams ({ count, content }) {
    const meter = new Meter()
    // Appended, as whoever shows an answer has to.
    const answers = Array.from({ length: count }, () => '')
    await Promise.all(answers.map((_, index) => way.prompt(content, text => {
      answers[index] += text
      meter.take(text)
    })))
    const result = meter.end()
    const characters = answers.reduce((sum, answer) => sum + answer.length, 0)
    if (characters !== result.tokens * TOKEN) throw new Error(`${characters} characters are not ${result.tokens} tokens`)
    return result
  },
  // Prompts of so many bytes beside each other.
  async upload ({ count, bytes, content }) {
    const filler = 'All work and no play makes Jack a dull boy. '.repeat(Math.ceil(bytes / 44)).slice(0, bytes)
    const meter = new Meter()
    await sleep(50)
    meter.begin()
    await Promise.all(Array.from({ length: count }, () => way.prompt(`${content} ${filler}`, () => {})))
    return meter.end()
  },
  // An answer of so many bytes, in pieces of 8 KiB.
  async download ({ bytes, content }) {
    const meter = new Meter()
    await sleep(50)
    meter.begin()
    let answer = ''
    await way.prompt(content, text => { answer += text })
    if (answer.length !== bytes) throw new Error(`${answer.length} of ${bytes} bytes came`)
    return meter.end()
  },
  async close () {
    await way.close()
    return {}
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...parameters } = JSON.parse(line)
  let answer
  try {
    answer = await commands[command](parameters)
  } catch (error) {
    answer = { error: String(error?.stack ?? error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
