'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { lack } = require('./lab')
const { start, configured, submit } = require('./app')
const { provideElectron } = require('./electron')

const skip = lack() ?? false
const CANARY = 'canary-7f3a91c2'

/** Every file below, as bytes. */
function filesBelow(...folders) {
  return folders.flatMap(folder => fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath ?? entry.path, entry.name)))
}

test('an API key that was entered is there after a restart, and can be read in no file, log line or event', { skip }, async t => {
  provideElectron(t)
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Hi' }])
  const saved = await app.ok('configure', { configId: 'gpu', name: 'GPU', llm: { apiEndpoint: llm.endpoint, apiKey: CANARY } })
  assert.equal(saved.config.llm.hasApiKey, true)
  assert.equal((await app.ok('get-state')).daemon.vault.state, 'unlocked')
  await submit(app.claudeService).done
  await app.stop()

  const again = await start(t, app)
  const { vault } = await again.ok('vault-status')
  assert.deepEqual([vault.state, vault.entries], ['unlocked', 1])
  await submit(again.claudeService).done
  assert.deepEqual(llm.seen.keys, [`Bearer ${CANARY}`, `Bearer ${CANARY}`])
  await again.stop()

  const files = filesBelow(app.project, app.storageDir)
  assert.ok(files.some(file => file.endsWith('vault.json')) && files.some(file => file.endsWith('vault-key.bin')))
  for (const file of files) assert.equal(fs.readFileSync(file).includes(CANARY), false, file)
  const told = JSON.stringify([app.events, app.log, again.events, again.log])
  assert.equal(told.includes(CANARY), false)
})

test('without a key store secrets live until Puffin ends, and a passphrase makes them last', { skip }, async t => {
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Hi' }])
  assert.equal((await app.ok('get-state')).daemon.vault.state, 'session-only')
  assert.ok(app.log.some(line => /kept only until Puffin ends/.test(line)))
  await app.ok('connect', { configId: 'gpu' })
  const { vault } = await app.ok('vault-unlock', { passphrase: 'four words are enough' })
  assert.deepEqual([vault.state, vault.keySource], ['unlocked', 'passphrase'])
  assert.equal((await app.ok('get-state')).daemon.vault.state, 'unlocked')
  await app.ok('configure', { configId: 'gpu', name: 'GPU', llm: { apiEndpoint: llm.endpoint, apiKey: CANARY } })
  await app.stop()

  const again = await start(t, app)
  assert.equal((await again.ok('get-state')).daemon.vault.state, 'locked')
  const wrong = await again.call('vault-unlock', { passphrase: 'five words' })
  assert.equal(wrong.error.code, 'VAULT_KEY_MISMATCH')
  await again.ok('vault-unlock', { passphrase: 'four words are enough' })
  await submit(again.claudeService).done
  assert.deepEqual(llm.seen.keys, [`Bearer ${CANARY}`])
})
