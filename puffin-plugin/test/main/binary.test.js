'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { findBinary } = require('../../lib/binary')

/** A plugin's folder with the programs of two platforms. */
function plugin(t) {
  const pluginDir = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-binary-'))
  t.after(() => fs.rmSync(pluginDir, { recursive: true }))
  for (const file of ['bin/linux-x64/puffin-remote-llm', 'bin/win32-x64/puffin-remote-llm.exe']) {
    fs.mkdirSync(path.dirname(path.join(pluginDir, file)), { recursive: true })
    fs.writeFileSync(path.join(pluginDir, file), '', { mode: 0o644 })
  }
  return pluginDir
}

test('each platform has its own program, and an archive that lost the bit does not matter', t => {
  const pluginDir = plugin(t)
  const linux = findBinary({ pluginDir, env: {}, platform: 'linux', arch: 'x64' })
  assert.equal(linux, path.join(pluginDir, 'bin/linux-x64/puffin-remote-llm'))
  assert.equal(fs.statSync(linux).mode & 0o777, 0o755)
  const windows = findBinary({ pluginDir, env: {}, platform: 'win32', arch: 'x64' })
  assert.equal(windows, path.join(pluginDir, 'bin/win32-x64/puffin-remote-llm.exe'))
})

test('REMOTE_LLM_BIN comes first', t => {
  const pluginDir = plugin(t)
  assert.equal(findBinary({ pluginDir, env: { REMOTE_LLM_BIN: process.execPath }, platform: 'linux', arch: 'x64' }), process.execPath)
})

test('a program that is not there is told of, with what to do', t => {
  const pluginDir = plugin(t)
  assert.throws(() => findBinary({ pluginDir, env: {}, platform: 'darwin', arch: 'arm64' }), { code: 'DAEMON_MISSING', message: /darwin-arm64\. Install the plugin/ })
  assert.throws(() => findBinary({ pluginDir, env: { REMOTE_LLM_BIN: '/no/such/file' } }), { code: 'DAEMON_MISSING', message: /REMOTE_LLM_BIN names/ })
})
