'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const PACK = path.join(__dirname, '../../pack')

/** Packs a program that only says who it is. */
function pack(t, target, says = 'puffin-remote-llm 1.2.3') {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-pack-'))
  t.after(() => fs.rmSync(place, { recursive: true }))
  const program = path.join(place, 'daemon')
  fs.writeFileSync(program, `#!/bin/sh\necho '${says}'\n`, { mode: 0o755 })
  const folder = target ?? path.join(place, 'remote-llm-plugin')
  const { status, stderr } = spawnSync(process.execPath, [PACK, folder], { encoding: 'utf8', env: { ...process.env, REMOTE_LLM_BIN: program }, timeout: 30_000 })
  return { folder, status, stderr }
}

const skip = process.platform === 'win32' ? 'the program of this test is a shell script' : false

test('what is packed is what Puffin needs, and it can be packed again', { skip }, t => {
  const { folder, status, stderr } = pack(t)
  assert.equal(status, 0, stderr)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['IPC.md', 'LICENSE', 'NOTICE', 'TOOLS.md', 'bin', 'index.js', 'lib', 'package.json', 'puffin-plugin.json', 'renderer'])
  const program = path.join(folder, 'bin', `${process.platform}-${process.arch}`, 'puffin-remote-llm')
  assert.equal(fs.statSync(program).mode & 0o111, 0o111)
  assert.equal(typeof require(path.join(folder, 'index.js')).activate, 'function')
  assert.equal(pack(t, folder).status, 0)
})

test('a folder with something else in it is left alone', { skip }, t => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-plugins-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  fs.writeFileSync(path.join(folder, 'another-plugin'), 'dear')
  const { status, stderr } = pack(t, folder)
  assert.equal(status, 1)
  assert.match(stderr, /is not this plugin/)
  assert.equal(fs.readFileSync(path.join(folder, 'another-plugin'), 'utf8'), 'dear')
})

test('a program that is not the daemon is not packed', { skip }, t => {
  const { folder, status, stderr } = pack(t, undefined, 'hello')
  assert.equal(status, 1)
  assert.match(stderr, /is not the daemon/)
  assert.equal(fs.existsSync(folder), false)
})
