'use strict'

/** A world for end-to-end tests: the real daemon, a real sshd and an LLM server that follows a script. */

const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const ROOT = path.join(__dirname, '../../..')
const REQUIRED = process.env.PUFFIN_REQUIRE_PEERS === '1'

/** @returns {string|null} why these tests cannot run here; with PUFFIN_REQUIRE_PEERS=1 that is a failure */
function lack() {
  const binary = process.env.REMOTE_LLM_BIN ?? path.join(ROOT, 'target/debug/puffin-remote-llm')
  const missing = [binary, '/usr/sbin/sshd', '/usr/bin/ssh-keygen'].find(file => !fs.existsSync(file))
  const why = missing ? `${missing} is not there` : null
  if (why && REQUIRED) throw new Error(`a real peer is required: ${why}`)
  // `./check` gathers these.
  if (why) console.log(`SKIPPED real peer of the plugin: ${why}`)
  if (!why) process.env.REMOTE_LLM_BIN = binary
  return why
}

const cleanups = new WeakMap()

/** Undone in the opposite order: a daemon ends before its folder goes. Node itself does it in the same order. */
function afterwards(t, undo) {
  if (!cleanups.has(t)) {
    const list = []
    cleanups.set(t, list)
    t.after(async () => {
      while (list.length > 0) await list.pop()()
    })
  }
  cleanups.get(t).push(undo)
}

function folder(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-e2e-'))
  fs.chmodSync(made, 0o755)
  afterwards(t, () => fs.rmSync(made, { recursive: true, force: true }))
  return made
}

const freePort = () => new Promise(resolve => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

/** A real sshd on loopback that lets this user in by one key; it needs no root for that. */
async function startSshd(t) {
  const place = folder(t)
  const file = name => path.join(place, name)
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)])
  fs.copyFileSync(file('user.pub'), file('authorized_keys'))
  fs.chmodSync(file('authorized_keys'), 0o600)
  const port = await freePort()
  fs.writeFileSync(file('config'), [
    `Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${file('host')}`, `AuthorizedKeysFile ${file('authorized_keys')}`,
    'PermitRootLogin prohibit-password', 'StrictModes no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no',
    // Without root sshd can't read whether an account is locked, and takes it for that; PAM can.
    `UsePAM ${process.getuid() === 0 ? 'no' : 'yes'}`, `PidFile ${file('pid')}`, ''
  ].join('\n'))
  if (process.getuid() === 0) fs.mkdirSync('/run/sshd', { recursive: true })
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('config')], { stdio: ['ignore', 'ignore', 'pipe'] })
  afterwards(t, () => child.kill())
  let said = ''
  await new Promise((resolve, reject) => {
    child.stderr.on('data', text => {
      said = (said + text).slice(-4096)
      if (/listening on/.test(said)) resolve()
    })
    child.on('exit', code => reject(new Error(`sshd ended with ${code}: ${said}`)))
  })
  const profile = { host: '127.0.0.1', port, username: os.userInfo().username, privateKeyPath: file('user'), useSshConfig: false, authMethod: 'privateKey' }
  // No part of what is sent to the daemon.
  return Object.defineProperty(profile, 'pid', { value: child.pid })
}

/**
 * An OpenAI-compatible server. `reply` gets the request's body and answers a list of deltas; 'hang' in
 * it keeps the stream open, 'break' closes the connection.
 */
async function startLlm(t, reply) {
  const seen = { chats: [], keys: [], closed: 0 }
  const server = http.createServer(async (request, response) => {
    if (!request.url.endsWith('/chat/completions')) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'smol', object: 'model', owned_by: 'vllm', max_model_len: 32768 }] }))
      return
    }
    let text = ''
    for await (const piece of request) text += piece
    const body = JSON.parse(text)
    seen.chats.push(body)
    seen.keys.push(request.headers.authorization)
    response.setHeader('content-type', 'text/event-stream')
    response.on('close', () => { seen.closed += 1 })
    const chunk = (delta, finish = null) => response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'smol', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`)
    let calls = false
    for (const step of reply(body)) {
      if (step === 'hang') return
      if (step === 'break') return response.socket.end()
      if (step.tool_calls) calls = true
      chunk(step)
    }
    chunk({}, calls ? 'tool_calls' : 'stop')
    response.write(`data: ${JSON.stringify({ id: 'c', choices: [], usage: { prompt_tokens: 11, completion_tokens: 3 } })}\n\n`)
    response.end('data: [DONE]\n\n')
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  afterwards(t, () => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, endpoint: `http://127.0.0.1:${server.address().port}` }
}

module.exports = { lack, afterwards, folder, startSshd, startLlm }
