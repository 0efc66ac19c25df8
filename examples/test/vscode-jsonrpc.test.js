'use strict'

/** host-vscode-jsonrpc.mjs with the real library, the real daemon, a real sshd and a scripted LLM server. */

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { lack, folder, startSshd, startLlm } = require('../../puffin-plugin/test/main/lab')

const HOST = path.join(__dirname, '..', 'host-vscode-jsonrpc.mjs')
const library = fs.existsSync(path.join(__dirname, '..', 'node_modules', 'vscode-jsonrpc'))
if (!library && process.env.PUFFIN_REQUIRE_PEERS === '1') throw new Error('vscode-jsonrpc is required: npm ci --prefix examples')
const options = { skip: lack() ?? (library ? false : 'npm ci --prefix examples brings vscode-jsonrpc'), timeout: 60_000 }

async function run(t, reply, more = [], watch = () => {}) {
  const [ssh, llm] = [await startSshd(t), await startLlm(t, reply)]
  const home = folder(t)
  const notes = path.join(home, 'notes.txt')
  fs.writeFileSync(notes, 'remember the milk \u2028 and the ünïcödé 😀')
  const child = spawn(process.execPath, [HOST, '--ssh', `${ssh.username}@${ssh.host}:${ssh.port}`, '--key', ssh.privateKeyPath, '--endpoint', llm.endpoint, '--file', notes, ...more],
    { env: { ...process.env, HOME: home, XDG_DATA_HOME: path.join(home, 'data'), SSH_AUTH_SOCK: '' }, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', text => watch(said += text, child))
  child.stderr.setEncoding('utf8').on('data', text => { said += text })
  const [code] = await once(child, 'close')
  return { code, said, notes, llm }
}

const call = (name, input) => [{ tool_calls: [{ index: 0, id: 'call-1', type: 'function', function: { name, arguments: JSON.stringify(input) } }] }]
const results = body => body.messages.filter(({ role }) => role === 'tool')

test('it connects, lists, streams, and answers the daemon\'s questions', options, async t => {
  const reply = body => {
    const [result] = results(body)
    if (!result) return call('Read', { path: body.tools[0].function.parameters.properties.path.enum[0] })
    return [{ content: 'It says: ' }, { content: result.content }]
  }
  const { code, said } = await run(t, reply, ['--accept-host-key'])
  assert.equal(code, 0, said)
  for (const part of ['host key of 127.0.0.1: ', 'auth: passed', 'smol (32768 tokens)', '[Read ', 'It says: remember the milk \u2028 and the ünïcödé 😀', 'end_turn: ', '1 tool calls']) {
    assert.ok(said.includes(part), `${part} is not in:\n${said}`)
  }
})

test('a host key that is refused is told with its code', options, async t => {
  const { code, said } = await run(t, () => [{ content: 'x' }])
  assert.equal(code, 1)
  assert.match(said, /failed: .*\n?/)
  assert.match(said, /host-key: failed/)
})

test('an interrupt cancels the prompt, and all ends', options, async t => {
  let interrupted = false
  const { code, said } = await run(t, () => [{ content: 'begun' }, 'hang'], ['--accept-host-key'], (text, child) => {
    if (interrupted || !text.includes('begun')) return
    interrupted = true
    child.kill('SIGINT')
  })
  assert.equal(code, 1, said)
  assert.match(said, /begun[^]*failed: .*cancelled/i)
})
