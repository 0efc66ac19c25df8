'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const plugin = require('../../index')
const { faultOf, filesOf } = require('../../manifest-rules')
const manifest = require('../../puffin-plugin.json')

const ROOT = path.join(__dirname, '../..')
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
  assert.equal(faultOf(manifest), null)
  for (const file of filesOf(manifest)) assert.ok(fs.existsSync(path.join(ROOT, file)), file)
  assert.equal(manifest.version, require('../../package.json').version)
})

test('what Puffin would refuse is found before, with its place', () => {
  const changed = change => {
    const copy = structuredClone(manifest)
    change(copy)
    return faultOf(copy)
  }
  const faults = [
    [m => { m.contributions = {} }, 'contributions is not expected there'],
    [m => { delete m.main }, 'has no main'],
    [m => { m.name = 'Remote' }, /^name does not fit/],
    [m => { m.version = '1.0' }, /^version does not fit/],
    [m => { m.displayName = 'x'.repeat(51) }, 'displayName is longer than 50'],
    [m => { m.main = '/index.js' }, /^main does not fit/],
    [m => { m.engines.electron = '>=1.0.0' }, 'engines.electron is not expected there'],
    [m => { m.extensionPoints.ipcHandlers[3] = 'configure' }, /^extensionPoints\.ipcHandlers\.3 does not fit/],
    [m => { m.extensionPoints.ipcHandlers[3] = m.extensionPoints.ipcHandlers[2] }, 'extensionPoints.ipcHandlers has one thing twice'],
    [m => { m.renderer.components[0].lazy = true }, 'renderer.components.0.lazy is not expected there'],
    [m => { m.renderer.entry = 'renderer/über.js' }, /^renderer\.entry does not fit/],
    [m => { m.contributes.views[0].order = 100 }, /^contributes\.views\.0\.order is not between/],
    [m => { m.contributes.views[0].location = 'panel' }, 'contributes.views.0.location is none of nav, sidebar'],
    [m => { m.contributes.views[0].component = 'Other' }, /has the component Other/],
    [m => { m.capabilities.network = 'yes' }, 'capabilities.network is neither true nor false']
  ]
  for (const [change, expected] of faults) {
    const fault = changed(change)
    if (expected instanceof RegExp) assert.match(String(fault), expected)
    else assert.equal(fault, expected)
  }
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
