'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const plugin = require('../../index')
const manifest = require('../../puffin-plugin.json')

const ROOT = path.join(__dirname, '../..')
/** What Puffin's schema allows at the top; one more rejects the plugin. */
const KNOWN = new Set(['name', 'version', 'displayName', 'description', 'main', 'author', 'license', 'repository', 'homepage', 'bugs', 'keywords', 'engines', 'dependencies', 'extensionPoints', 'activationEvents', 'renderer', 'contributes', 'capabilities'])

/** A context of Puffin's that notes what is registered. */
function context(registered) {
  const nothing = () => {}
  return {
    pluginName: manifest.name, pluginDir: ROOT, projectPath: null, storageDir: path.join(ROOT, 'nowhere'),
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    registerIpcHandler: (name, handler) => registered.set(name, handler),
    getService: () => null
  }
}

test('the manifest keeps Puffin’s rules', () => {
  for (const key of Object.keys(manifest)) assert.ok(KNOWN.has(key), key)
  assert.match(manifest.name, /^[a-z][a-z0-9-]*$/)
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/)
  assert.ok(manifest.displayName.length <= 50 && manifest.description.length <= 500)
  for (const keyword of manifest.keywords) assert.match(keyword, /^[a-zA-Z0-9-]+$/)
  for (const name of manifest.extensionPoints.ipcHandlers) assert.match(name, /^[a-z][a-z0-9-]*:[a-zA-Z][a-zA-Z0-9_-]*$/)
  for (const { name } of manifest.renderer.components) assert.match(name, /^[A-Z][A-Za-z]*$/)
  for (const { id, order, component, location } of manifest.contributes.views) {
    assert.match(id, /^[a-z][a-z0-9-]*$/)
    assert.ok(order < 90 && ['nav', 'sidebar'].includes(location))
    assert.ok(manifest.renderer.components.some(({ name }) => name === component))
  }
  for (const file of [manifest.main, manifest.renderer.entry, ...manifest.renderer.styles]) assert.ok(fs.existsSync(path.join(ROOT, file)), file)
  assert.equal(manifest.version, require('../../package.json').version)
})

test('every handler is declared, registered and answers an object; deactivate ends it', async t => {
  const before = process.env.REMOTE_LLM_BIN
  process.env.REMOTE_LLM_BIN = path.join(ROOT, 'no-such-program')
  t.after(() => {
    if (before === undefined) delete process.env.REMOTE_LLM_BIN
    else process.env.REMOTE_LLM_BIN = before
  })
  const registered = new Map()
  await plugin.activate(context(registered))
  t.after(() => plugin.deactivate())
  assert.deepEqual([...registered.keys()].sort(), manifest.extensionPoints.ipcHandlers)
  for (const [name, handler] of registered) {
    const answer = await handler(name.endsWith('next-events') ? { after: 0, timeoutMs: 1 } : {})
    assert.equal(typeof answer.ok, 'boolean', name)
    if (!answer.ok) assert.match(answer.error.message, /\.$/, name)
    assert.equal((await handler('not an object')).error.code, 'INVALID_PARAMS', name)
    structuredClone(answer)
  }
  const state = await registered.get('remote-llm:get-state')()
  assert.equal(state.daemon.phase, 'failed')
  assert.equal(state.daemon.error.code, 'DAEMON_MISSING')
})
