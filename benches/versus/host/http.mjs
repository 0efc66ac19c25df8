// Node's own HTTP client: on loopback, through `ssh -L`, and on channels of the npm package ssh2.
import http from 'node:http'
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { lines } from './lines.mjs'

class Client {
  constructor (port, agent) {
    this.port = port
    this.agent = agent ?? new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity })
  }

  async prompt (content, take) {
    const body = JSON.stringify({ model: 'smol', messages: [{ role: 'user', content }], stream: true })
    const response = await this.#ask('POST', '/v1/chat/completions', body)
    response.setEncoding('utf8')
    let finished = false
    response.on('data', lines(line => {
      if (!line.startsWith('data: ')) return
      const data = line.slice(6)
      if (data === '[DONE]') return
      const [choice] = JSON.parse(data).choices
      if (choice?.delta.content) take(choice.delta.content)
      finished ||= choice?.finish_reason === 'stop'
    }))
    await new Promise((resolve, reject) => response.once('end', resolve).once('error', reject))
    if (!finished) throw new Error('the answer was cut off')
  }

  async models () {
    const response = await this.#ask('GET', '/v1/models')
    let text = ''
    for await (const piece of response) text += piece
    return JSON.parse(text)
  }

  #ask (method, path, body) {
    const headers = body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}
    return new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent }, response => {
        if (response.statusCode === 200) return resolve(response)
        response.resume()
        reject(new Error(`HTTP ${response.statusCode}`))
      })
      request.on('error', reject)
      request.end(body)
    })
  }
}

export class Direct {
  static async open ({ port }) {
    const direct = new Direct()
    direct.port = port
    await direct.disconnect()
    return direct
  }

  pids () { return [] }
  prompt (content, take) { return this.client.prompt(content, take) }
  models () { return this.client.models() }

  async disconnect () {
    this.client?.agent.destroy()
    this.client = new Client(this.port)
  }

  async close () { this.client.agent.destroy() }
}

export class Tunnel {
  static async open (settings) {
    const tunnel = new Tunnel()
    tunnel.settings = settings
    await tunnel.connect()
    return tunnel
  }

  // Until `ssh` has a connection and listens: it runs the local command then.
  async connect () {
    const { ssh, port, localPort, home } = this.settings
    this.child = spawn('ssh', [
      '-F', 'none', '-N', '-i', ssh.key, '-p', String(ssh.port),
      '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-o', 'ExitOnForwardFailure=yes',
      '-o', `UserKnownHostsFile=${home}/.ssh/known_hosts`, '-o', 'GlobalKnownHostsFile=none',
      '-o', 'PermitLocalCommand=yes', '-o', 'LocalCommand=echo ready',
      '-L', `127.0.0.1:${localPort}:127.0.0.1:${port}`, `${ssh.username}@127.0.0.1`
    ], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve, reject) => {
      this.child.stdout.once('data', resolve)
      this.child.once('exit', code => reject(new Error(`ssh ended with ${code}`)))
    })
    this.client = new Client(localPort)
  }

  pids () { return [this.child.pid] }
  models () { return this.client.models() }

  async prompt (content, take) {
    if (!this.child) await this.connect()
    return this.client.prompt(content, take)
  }

  async disconnect () {
    this.client.agent.destroy()
    const ended = new Promise(resolve => this.child.once('exit', resolve))
    this.child.kill()
    await ended
    this.child = undefined
  }

  async close () { if (this.child) await this.disconnect() }
}

// As the design document has it: one connection, a channel for each socket.
export class Ssh2 {
  static async open (settings) {
    const ssh2 = new Ssh2()
    ssh2.settings = settings
    ssh2.Connection = createRequire(settings.ssh2)('ssh2').Client
    await ssh2.connect()
    return ssh2
  }

  async connect () {
    const { ssh, port, hostKey } = this.settings
    const connection = new this.Connection()
    await new Promise((resolve, reject) => {
      connection.once('ready', resolve).once('error', reject).connect({
        host: '127.0.0.1', port: ssh.port, username: ssh.username, privateKey: readFileSync(ssh.key),
        hostVerifier: key => key.toString('base64') === hostKey
      })
    })
    connection.setNoDelay(true)
    const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity })
    agent.createConnection = (_, done) => {
      connection.forwardOut('127.0.0.1', 0, '127.0.0.1', port, (error, channel) => {
        if (error) return done(error)
        // What http expects of a socket.
        for (const name of ['setKeepAlive', 'setNoDelay', 'setTimeout', 'ref', 'unref']) channel[name] ??= () => channel
        done(null, channel)
      })
    }
    this.connection = connection
    this.client = new Client(port, agent)
  }

  pids () { return [] }
  models () { return this.client.models() }

  async prompt (content, take) {
    if (!this.connection) await this.connect()
    return this.client.prompt(content, take)
  }

  async disconnect () {
    this.client.agent.destroy()
    const ended = new Promise(resolve => this.connection.once('close', resolve))
    this.connection.end()
    await ended
    this.connection = undefined
  }

  async close () { if (this.connection) await this.disconnect() }
}
