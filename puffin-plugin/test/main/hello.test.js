'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { createHello } = require('../../lib/hello')

/** @param {() => Promise<boolean>} isReady the key store's first answer */
function setUp(t, isReady, keyMs = 5000) {
  const storageDir = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-hello-'))
  t.after(() => fs.rmSync(storageDir, { recursive: true }))
  const warnings = []
  const late = []
  const safeStorage = {
    isAsyncEncryptionAvailable: isReady,
    getSelectedStorageBackend: () => 'gnome_libsecret',
    encryptStringAsync: async text => Buffer.from(text),
    decryptStringAsync: async sealed => ({ result: String(sealed) })
  }
  const hello = createHello({ safeStorage, projectPath: '/p', storageDir, version: '1.2.3', log: { warn: line => warnings.push(line) }, onLateKey: key => late.push(key), keyMs })
  return { hello, storageDir, warnings, late }
}

test('the daemon is told the project, the folder and the key', async t => {
  const { hello, storageDir, warnings } = setUp(t, async () => true)
  const { vault, ...rest } = await hello()
  assert.equal(Buffer.from(vault.key, 'base64').length, 32)
  assert.deepEqual(rest, {
    protocolVersion: 1,
    client: { name: 'puffin', version: '1.2.3' },
    projectDir: '/p',
    dataDir: storageDir,
    capabilities: { executeTool: true, verifyHostKey: true, answerPrompt: true }
  })
  assert.deepEqual((await hello()).vault, vault)
  assert.deepEqual(warnings, [])
})

test('a key store that asks its owner first is not waited for, and its key comes after', async t => {
  let unlock
  const { hello, warnings, late } = setUp(t, () => new Promise(resolve => { unlock = resolve }), 10)
  assert.equal((await hello()).vault, undefined)
  assert.match(warnings[0], /has not answered yet/)
  unlock(true)
  while (late.length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.equal(Buffer.from(late[0], 'base64').length, 32)
})

test('what is missing is said once, not at every start', async t => {
  const { hello, warnings } = setUp(t, async () => false)
  await hello()
  await hello()
  assert.equal(warnings.length, 1)
})
