// Through the daemon, over its pipes.
import { spawn } from 'node:child_process'
import { lines } from './lines.mjs'

export class Ours {
  #waiting = new Map()
  #listening = new Map()
  #last = 0

  // One daemon has all profiles.
  static shared = true

  static async open ({ daemon, home, ssh, port, profiles }) {
    const ours = new Ours()
    ours.profiles = Array.from({ length: profiles }, (_, number) => `versus-${number}`)
    ours.child = spawn(daemon, { stdio: ['pipe', 'pipe', 'inherit'], env: { HOME: home, PATH: process.env.PATH } })
    ours.#hear()
    await ours.#call('initialize', {
      protocolVersion: 1,
      client: { name: 'versus', version: '1' },
      dataDir: home,
      capabilities: {}
    })
    for (const configId of ours.profiles) {
      await ours.#call('remote-llm/configure', {
        configId,
        name: configId,
        ssh: { host: '127.0.0.1', port: ssh.port, username: ssh.username, authMethod: 'privateKey', privateKeyPath: ssh.key, useSshConfig: false },
        llm: { apiEndpoint: `http://127.0.0.1:${port}`, apiType: 'openai-compatible' }
      })
      await ours.#call('remote-llm/connect', { configId })
    }
    return ours
  }

  pids () { return [this.child.pid] }

  async prompt (content, take) {
    const requestId = `r${this.#last}`
    const configId = this.profiles[this.#last % this.profiles.length]
    this.#listening.set(requestId, take)
    try {
      const result = await this.#call('remote-llm/stream-prompt', {
        configId, requestId, model: 'smol', messages: [{ role: 'user', content }]
      })
      if (result.stopReason !== 'end_turn') throw new Error(`ended with ${result.stopReason}`)
    } finally {
      this.#listening.delete(requestId)
    }
  }

  models () { return this.#call('remote-llm/list-models', { configId: this.profiles[0], refresh: true }) }
  disconnect () { return this.#call('remote-llm/disconnect', { configId: this.profiles[0] }) }

  async close () {
    await this.#call('shutdown', {})
    this.child.stdin.end()
    await new Promise(resolve => this.child.once('exit', resolve))
  }

  #call (method, params) {
    const id = ++this.#last
    const { stdin } = this.child
    // Together, without copying a long one for its end.
    stdin.cork()
    stdin.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    stdin.write('\n')
    stdin.uncork()
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  #hear () {
    this.child.stdout.setEncoding('utf8')
    this.child.stdout.on('data', lines(line => this.#take(JSON.parse(line))))
    this.child.on('exit', code => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the daemon ended with ${code}`))
    })
  }

  #take ({ id, method, params, result, error }) {
    if (method === 'remote-llm/stream-chunk') {
      const { event } = params
      if (event.type === 'text-delta') this.#listening.get(params.requestId)?.(event.text)
    } else if (id !== undefined && !method) {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error) waiting?.reject(new Error(`${error.data?.code}: ${error.message}`))
      else waiting?.resolve(result)
    }
  }
}
