'use strict'

/**
 * The plugin in the real Puffin's own loader. Needs a checkout of Puffin with its packages:
 *   git clone https://github.com/jdubray/puffin && (cd puffin && npm i --no-save ajv@8 ajv-formats@3)
 *   PUFFIN_SOURCE=/path/to/puffin node --test test/main/in-puffin.test.js
 */

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { EventEmitter } = require('node:events')

const SOURCE = process.env.PUFFIN_SOURCE
const skip = SOURCE ? false : 'PUFFIN_SOURCE names no checkout of Puffin'

test('Puffin takes the manifest, activates the plugin, answers through its own channels, and is left as it was', { skip }, async t => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-puffin-'))
  t.after(() => fs.rmSync(home, { recursive: true, force: true }))
  const before = process.env.HOME
  process.env.HOME = home
  t.after(() => { process.env.HOME = before })
  const plugins = path.join(home, 'plugins')
  fs.mkdirSync(plugins)
  fs.cpSync(path.join(__dirname, '../..'), path.join(plugins, 'remote-llm-plugin'), { recursive: true })

  const { PluginLoader } = require(path.join(SOURCE, 'src/main/plugins/plugin-loader'))
  const { PluginManager } = require(path.join(SOURCE, 'src/main/plugins/plugin-manager'))
  const channels = new Map()
  const ipcMain = Object.assign(new EventEmitter(), { handle: (name, handler) => channels.set(name, handler), removeHandler: name => channels.delete(name) })
  const claudeService = new (class { isProcessRunning() { return false } async submit() {} cancel() {} sendAnswer() {} async buildPrompt() {} })()
  const loader = new PluginLoader({ pluginsDir: plugins })
  const manager = new PluginManager({ loader, ipcMain, services: { claudeService }, projectPath: home })
  await loader.loadPlugins()
  await manager.initialize()
  t.after(() => manager.shutdown())
  assert.equal(manager.activationErrors.size, 0, JSON.stringify([...manager.activationErrors]))
  assert.ok(Object.hasOwn(claudeService, 'submit'))
  const answer = await channels.get('plugin:remote-llm-plugin:remote-llm:get-state')({}, {})
  assert.equal(answer.success, true)
  assert.equal(answer.data.ok, true, JSON.stringify(answer.data.error))
  await manager.shutdown()
  assert.deepEqual(Object.keys(claudeService), [])
  assert.deepEqual([...channels.keys()].filter(name => name.includes('remote-llm')), [])
})
