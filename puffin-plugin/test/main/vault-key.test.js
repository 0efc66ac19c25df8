'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { loadVaultKey, FILE } = require('../../lib/vault-key')

const folder = t => {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-key-'))
  t.after(() => fs.rmSync(made, { recursive: true }))
  return path.join(made, 'storage')
}

/** Electron's, with a seal that can be broken. */
const store = more => ({
  isEncryptionAvailable: () => true,
  getSelectedStorageBackend: () => 'gnome_libsecret',
  encryptString: text => Buffer.from(`sealed:${text}`),
  decryptString(sealed) {
    if (!String(sealed).startsWith('sealed:')) throw new Error('not mine')
    return String(sealed).slice(7)
  },
  ...more
})

test('a key is made once, kept sealed for its owner only, and found again', async t => {
  const storageDir = folder(t)
  const first = await loadVaultKey({ safeStorage: store(), storageDir })
  assert.equal(Buffer.from(first.key, 'base64').length, 32)
  assert.deepEqual(await loadVaultKey({ safeStorage: store(), storageDir }), first)
  assert.equal(fs.statSync(path.join(storageDir, FILE)).mode & 0o777, 0o600)
  assert.deepEqual(fs.readdirSync(storageDir), [FILE])
})

test('two windows that start together have the same key', async t => {
  const storageDir = folder(t)
  const keys = await Promise.all([1, 2, 3].map(() => loadVaultKey({ safeStorage: store(), storageDir })))
  assert.equal(new Set(keys.map(({ key }) => key)).size, 1)
})

test('the asynchronous calls are used where there are any', async t => {
  const safeStorage = {
    isAsyncEncryptionAvailable: async () => true,
    getSelectedStorageBackend: () => 'kwallet5',
    encryptStringAsync: async text => Buffer.from(`sealed:${text}`),
    decryptStringAsync: async sealed => ({ shouldReEncrypt: false, result: String(sealed).slice(7) })
  }
  const { key } = await loadVaultKey({ safeStorage, storageDir: folder(t) })
  assert.equal(Buffer.from(key, 'base64').length, 32)
})

test('without a real key store there is no key and no file', async t => {
  for (const safeStorage of [undefined, store({ isEncryptionAvailable: () => false }), store({ getSelectedStorageBackend: () => 'basic_text' })]) {
    const storageDir = folder(t)
    const { key, reason } = await loadVaultKey({ safeStorage, storageDir, platform: 'linux' })
    assert.equal(key, null)
    assert.match(reason, /\.$/)
    assert.equal(fs.existsSync(storageDir), false)
  }
})

test('a key that cannot be opened is never replaced', async t => {
  const storageDir = folder(t)
  fs.mkdirSync(storageDir)
  fs.writeFileSync(path.join(storageDir, FILE), 'of another computer')
  const { key, reason } = await loadVaultKey({ safeStorage: store(), storageDir })
  assert.equal(key, null)
  assert.match(reason, /not mine/)
  assert.equal(fs.readFileSync(path.join(storageDir, FILE), 'utf8'), 'of another computer')
})

test('where a vault is, no new key is made: it would open nothing', async t => {
  const storageDir = folder(t)
  fs.mkdirSync(path.join(storageDir, 'remote-llm'), { recursive: true })
  fs.writeFileSync(path.join(storageDir, 'remote-llm/vault.json'), '{}')
  const { key, reason } = await loadVaultKey({ safeStorage: store(), storageDir })
  assert.equal(key, null)
  assert.match(reason, /passphrase/)
  assert.equal(fs.existsSync(path.join(storageDir, FILE)), false)
})

test('a key that the store wants sealed anew is, and stays the same', async t => {
  const storageDir = folder(t)
  const { key } = await loadVaultKey({ safeStorage: store(), storageDir })
  let version = 2
  const safeStorage = {
    isAsyncEncryptionAvailable: async () => true,
    getSelectedStorageBackend: () => 'gnome_libsecret',
    encryptStringAsync: async text => Buffer.from(`sealed${version}:${text}`),
    decryptStringAsync: async sealed => ({ shouldReEncrypt: !String(sealed).startsWith('sealed2'), result: String(sealed).split(':')[1] })
  }
  assert.deepEqual(await loadVaultKey({ safeStorage, storageDir }), { key })
  assert.equal(fs.readFileSync(path.join(storageDir, FILE), 'utf8'), `sealed2:${key}`)
  version = 3
  assert.deepEqual(await loadVaultKey({ safeStorage, storageDir }), { key })
  assert.equal(fs.readFileSync(path.join(storageDir, FILE), 'utf8'), `sealed2:${key}`)
  assert.deepEqual(fs.readdirSync(storageDir), [FILE])
})

test('a file system without links will do', async t => {
  const storageDir = folder(t)
  t.mock.method(fs, 'linkSync', () => { throw Object.assign(new Error('no'), { code: 'EPERM' }) })
  const first = await loadVaultKey({ safeStorage: store(), storageDir })
  assert.equal(Buffer.from(first.key, 'base64').length, 32)
  assert.deepEqual(await loadVaultKey({ safeStorage: store(), storageDir }), first)
  assert.equal(fs.statSync(path.join(storageDir, FILE)).mode & 0o777, 0o600)
  assert.deepEqual(fs.readdirSync(storageDir), [FILE])
})

test('a key store that throws is one that is not there', async t => {
  for (const name of ['isEncryptionAvailable', 'getSelectedStorageBackend', 'encryptString']) {
    const broken = store({ [name]: () => { throw new Error('D-Bus is gone') } })
    const { key, reason } = await loadVaultKey({ safeStorage: broken, storageDir: folder(t), platform: 'linux' })
    assert.equal(key, null)
    assert.match(reason, /D-Bus is gone/)
  }
})
