'use strict'

const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { harmless } = require('../../lib/tools/run')
const { room } = require('./support/room')

const posix = { skip: process.platform === 'win32' && 'needs a POSIX system', timeout: 30_000 }

/** Processes whose command line holds a text. */
function running(text) {
  return execFileSync('ps', ['-eo', 'pid=,stat=,args='], { encoding: 'utf8' }).split('\n')
    .filter(line => line.includes(text) && !/^\s*\d+ Z/.test(line))
}

/** A number that no other process has on its command line. */
const unique = () => `${1000 + Math.floor(Math.random() * 1e6)}.${process.pid}`

test('a command runs in the project, and what it prints and how it ended is told', posix, async t => {
  const { call, project, questions } = room(t, { answer: 'allow-once' })
  assert.deepEqual(await call('Bash', { command: 'pwd; echo problem >&2; read -r line; echo "<$line>"' }),
    { content: `${project}\nproblem\n<>`, isError: false })
  assert.deepEqual(await call('Bash', { command: 'exit 3' }), { content: '[exit code 3]', isError: true })
  assert.deepEqual(await call('Bash', { command: 'kill -9 $$' }), { content: '[ended by SIGKILL]', isError: true })
  assert.deepEqual(await call('Bash', { command: 'true', description: 'does nothing' }), { content: '(no output)', isError: false })
  assert.match((await call('Bash', { command: 'head -c 100 /dev/zero' })).content, /\[100 bytes of binary output, not shown\]/)
  assert.equal(questions.length, 5)
  assert.match(questions[3].detail, /The model says: "does nothing"\. It runs as you, in the project folder, and is not confined to it\./)
  assert.equal(questions[3].command, 'true')
  for (const command of ['', ' \n', 'echo \0', 'x'.repeat(70_000)]) assert.ok((await call('Bash', { command })).isError)
})

test('of huge output the beginning and the end are kept, and it is said', posix, async t => {
  const { call } = room(t, { answer: 'allow-once' })
  const { content } = await call('Bash', { command: 'echo first; yes ääääääääääää | head -n 500000; echo last' })
  assert.ok(Buffer.byteLength(content) <= 256 * 1024)
  assert.match(content, /^first\n[^]*\n\n\[\d+ bytes in the middle were left out\]\n\n[^]*\nlast$/)
  assert.doesNotMatch(content, /last[^]*left out/)
})

test('a command that floods is ended', posix, async t => {
  const { call } = room(t, { answer: 'allow-once' })
  const { content, isError } = await call('Bash', { command: 'yes' })
  assert.ok(isError && /\[ended, because it had printed \d+ bytes/.test(content))
})

test('a hung command is ended with all that it started, even if that ignores SIGTERM or left the group', posix, async t => {
  const { call } = room(t, { answer: 'allow-once' })
  const number = unique()
  const command = `trap "" TERM; (trap "" TERM; sleep ${number}) & setsid --fork sleep ${number}; echo started; sleep ${number}`
  const { content, isError } = await call('Bash', { command, timeout: 300 })
  assert.equal(content, 'started\n[not done after 0.3 s: ended, with all that it started]')
  assert.ok(isError)
  assert.deepEqual(running(number), process.platform === 'linux' ? [] : running(number))
})

test('cancelling ends a command and tells what it had printed', posix, async t => {
  const { call } = room(t, { answer: 'allow-once' })
  const number = unique()
  const cancel = new AbortController()
  const result = call('Bash', { command: `echo begun; trap "" TERM; (sleep ${number} & wait); sleep ${number}` }, { signal: cancel.signal })
  while (running(number).length < 2) await new Promise(resolve => setTimeout(resolve, 20))
  cancel.abort()
  assert.deepEqual(await result, { content: 'begun\n[cancelled: ended, with all that it started]', isError: true })
  assert.deepEqual(running(number), [])
})

test('what a command leaves in the background does not hold its answer, and is ended', posix, async t => {
  const { call } = room(t, { answer: 'allow-once' })
  const number = unique()
  const { content, isError } = await call('Bash', { command: `sleep ${number} & echo done` })
  assert.deepEqual({ content, isError }, { content: 'done\n[what it left running in the background was ended]', isError: false })
  assert.deepEqual(running(number), [])
})

test('dispose ends every command, and so does the end of the process', posix, async t => {
  const { call, tools, project, dataDir } = room(t, { answer: 'allow-once' })
  const number = unique()
  const result = call('Bash', { command: `sleep ${number}` })
  while (running(number).length === 0) await new Promise(resolve => setTimeout(resolve, 20))
  await tools.dispose()
  assert.equal((await result).isError, true)
  assert.deepEqual(running(number), [])
  const script = `
    const { createTools } = require(${JSON.stringify(path.resolve(__dirname, '../../lib/tools'))})
    const tools = createTools({ projectPath: ${JSON.stringify(project)}, dataDir: ${JSON.stringify(dataDir)}, ask: async () => 'allow-once' })
    tools.execute({ callId: '1', name: 'Bash', input: { command: 'touch started; sleep ${number}' } })
    setInterval(() => require('fs').existsSync(${JSON.stringify(path.join(project, 'started'))}) && process.exit(7), 20)`
  assert.equal(spawnSync(process.execPath, ['-e', script], { timeout: 20_000 }).status, 7)
  // SIGKILL was sent before the process was gone; the kernel may need a moment.
  for (const deadline = performance.now() + 5000; running(number).length > 0 && performance.now() < deadline;) await new Promise(resolve => setTimeout(resolve, 20))
  assert.deepEqual(running(number), [])
})

test('no secret of our own environment reaches a command', posix, async t => {
  const secrets = {
    ANTHROPIC_API_KEY: 'CANARY', GITHUB_TOKEN: 'CANARY', AWS_SECRET_ACCESS_KEY: 'CANARY', DATABASE_URL: 'CANARY', HTTPS_PROXY: 'http://u:CANARY@p',
    SSH_AUTH_SOCK: 'CANARY', NODE_OPTIONS: 'CANARY', LD_PRELOAD: 'CANARY', BASH_ENV: 'CANARY', ELECTRON_RUN_AS_NODE: 'CANARY', WHATEVER: 'CANARY'
  }
  assert.doesNotMatch(JSON.stringify(harmless({ ...process.env, ...secrets })), /CANARY/)
  process.env.WHATEVER_SECRET = 'CANARY'
  t.after(() => delete process.env.WHATEVER_SECRET)
  const { call } = room(t, { answer: 'allow-once' })
  const { content } = await call('Bash', { command: 'env; cat /proc/self/environ 2>/dev/null | tr "\\0" "\\n"' })
  assert.match(content, /^PATH=/m)
  assert.doesNotMatch(content, /CANARY/)
})

test('a program of the project\'s own does not take the place of bash or git', posix, async t => {
  const { project, call, write } = room(t, { answer: 'allow-once' })
  for (const name of ['bash', 'git']) fs.chmodSync(write(`bin/${name}`, `#!/bin/sh\ntouch ${project}/ran\n`), 0o755)
  const before = process.env.PATH
  process.env.PATH = `${project}/bin${path.delimiter}bin${path.delimiter}.${path.delimiter}${before}`
  t.after(() => { process.env.PATH = before })
  await call('Git', { subcommand: 'status' })
  await call('Bash', { command: 'true' })
  assert.ok(!fs.existsSync(path.join(project, 'ran')))
})
