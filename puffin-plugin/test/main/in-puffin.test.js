'use strict'

/**
 * The plugin in the real Puffin's own loader, before its own service. Run by hand: it needs a checkout of
 * Puffin with its packages (`npm ci --ignore-scripts`; ajv, ajv-formats and uuid will do).
 *   PUFFIN_SOURCE=/path/to/puffin node --test test/main/in-puffin.test.js
 */

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { EventEmitter } = require('node:events')
const { lack, afterwards, folder, startSshd, startLlm } = require('./lab')

const SOURCE = process.env.PUFFIN_SOURCE
const skip = SOURCE ? lack() ?? false : 'PUFFIN_SOURCE names no checkout of Puffin'
const CHANNEL = 'plugin:remote-llm-plugin:remote-llm:'

/** Puffin's loader and manager over a folder with the plugin; only Electron's IPC is a stand-in. */
async function startPuffin(t) {
  const home = folder(t)
  const before = process.env.HOME
  process.env.HOME = home
  afterwards(t, () => { process.env.HOME = before })
  const plugins = path.join(home, 'plugins')
  const project = path.join(home, 'project')
  for (const made of [plugins, project]) fs.mkdirSync(made)
  fs.cpSync(path.join(__dirname, '../..'), path.join(plugins, 'remote-llm-plugin'), { recursive: true, filter: file => !file.includes('node_modules') })

  const { PluginLoader } = require(path.join(SOURCE, 'src/main/plugins/plugin-loader'))
  const { PluginManager } = require(path.join(SOURCE, 'src/main/plugins/plugin-manager'))
  const { ClaudeService } = require(path.join(SOURCE, 'src/main/claude-service'))
  const channels = new Map()
  const ipcMain = Object.assign(new EventEmitter(), { handle: (name, handler) => channels.set(name, handler), removeHandler: name => channels.delete(name) })
  const claudeService = new ClaudeService()
  const untouched = Object.keys(claudeService)
  const loader = new PluginLoader({ pluginsDir: plugins })
  const manager = new PluginManager({ loader, ipcMain, services: { claudeService }, projectPath: project })
  await loader.loadPlugins()
  await manager.initialize()
  afterwards(t, () => manager.shutdown())
  assert.equal(manager.activationErrors.size, 0, JSON.stringify([...manager.activationErrors]))

  /** As Puffin's preload does it: what is under `data`, or the whole wrapper where there is nothing. */
  const invoke = async (name, params) => {
    const answer = await channels.get(CHANNEL + name)({}, structuredClone(params))
    assert.equal(answer.success, true)
    const data = structuredClone(answer.data ?? answer)
    assert.equal(data.ok, true, `${name}: ${JSON.stringify(data.error)}`)
    return data
  }
  return { manager, channels, claudeService, untouched, invoke }
}

test('Puffin takes the manifest, activates the plugin, answers through its own channels, and is left as it was', { skip }, async t => {
  const { manager, channels, claudeService, untouched, invoke } = await startPuffin(t)
  assert.ok(Object.hasOwn(claudeService, 'submit'))
  assert.deepEqual((await invoke('get-state', {})).configs, [])
  await manager.shutdown()
  assert.deepEqual(Object.keys(claudeService), untouched)
  assert.deepEqual([...channels.keys()].filter(name => name.includes('remote-llm')), [])
})

test('Puffin’s own service builds the prompt, a remote model answers it, and its session goes on', { skip }, async t => {
  const { claudeService, invoke } = await startPuffin(t)
  const [ssh, llm] = await Promise.all([startSshd(t), startLlm(t, () => [{ role: 'assistant', content: 'Good day.' }])])
  await invoke('configure', { configId: 'gpu', name: 'GPU', ssh: { ...ssh, hostKeyPolicy: 'accept-new' }, llm: { apiEndpoint: llm.endpoint } })
  // What Puffin's main process adds is among it.
  const data = {
    prompt: 'Say hello.', branchId: 'specifications', sessionId: null, model: 'remote-llm:gpu:smol', maxTurns: 40, codeModificationAllowed: false, additionalDirs: [],
    project: { name: 'Pond', description: 'A pond with ducks.' }, userStories: [{ title: 'Feed the ducks', description: 'daily', status: 'pending' }], guiDescription: null, handoffContext: null
  }
  const seen = { chunks: '', complete: [], full: '' }
  const submit = more => claudeService.submit({ ...data, ...more }, text => { seen.chunks += text }, response => seen.complete.push(response), () => {}, text => { seen.full = text }, () => {})
  const first = await submit({})
  assert.deepEqual([first.content, seen.chunks, seen.complete.length, claudeService.isProcessRunning()], ['Good day.', 'Good day.', 1, false])
  assert.deepEqual((await invoke('list-conversations', {})).conversations.map(({ title, state }) => [title, state]), [['Say hello.', 'whole']], 'the person’s words, not the project’s')
  for (const part of [/A pond with ducks/, /Feed the ducks/, /Say hello\.$/]) assert.match(seen.full, part)
  await submit({ sessionId: first.sessionId, project: null, prompt: 'And again.' })
  assert.doesNotMatch(seen.full, /ducks/)
  const [chat] = llm.seen.chats.slice(-1)
  assert.deepEqual(chat.messages.map(({ role }) => role), ['system', 'user', 'assistant', 'user'])
  const tools = chat.tools.map(({ function: { name } }) => name)
  assert.ok(tools.includes('Read') && !tools.includes('Write') && !tools.includes('Bash'), 'this branch may not change code')
})

/** A `claude` that says what it was called with, and answers once. */
const CLAUDE = `#!/usr/bin/env node
const say = message => console.log(JSON.stringify(message))
const named = process.argv.slice(2)
say({ type: 'system', subtype: 'init', session_id: 'c1', model: named[named.indexOf('--model') + 1], tools: [] })
say({ type: 'assistant', message: { role: 'assistant', content: [{ type: 'text', text: named.join(' ') }] } })
say({ type: 'result', subtype: 'success', is_error: false, session_id: 'c1', num_turns: 1, duration_ms: 1, total_cost_usd: 0, result: 'Claude here.' })
`

test('Claude’s own prompts take the same way with the plugin as without it', { skip }, async t => {
  const bin = folder(t)
  fs.writeFileSync(path.join(bin, 'claude'), CLAUDE, { mode: 0o755 })
  const before = process.env.PATH
  process.env.PATH = `${bin}${path.delimiter}${before}`
  afterwards(t, () => { process.env.PATH = before })
  const data = { prompt: 'Hi', branchId: 'b', sessionId: 'old', model: 'sonnet', maxTurns: 40, projectPath: bin, codeModificationAllowed: true, additionalDirs: [] }

  /** All that a prompt brings about, without what is of its moment. */
  async function seenOf(service) {
    const seen = []
    const note = kind => what => seen.push([kind, structuredClone(what)])
    const response = await service.submit({ ...data }, note('chunk'), note('complete'), note('raw'), note('full'), note('question'), note('limit'))
    seen.push(['response', response], ['running', service.isProcessRunning()], ['stories', (await service.deriveStories('p', bin, null, null, null, 'haiku')).success])
    return JSON.parse(JSON.stringify(seen, (key, value) => (['duration', 'sessionId', 'timestamp'].includes(key) ? undefined : value)))
  }
  const { ClaudeService } = require(path.join(SOURCE, 'src/main/claude-service'))
  const without = await seenOf(new ClaudeService())
  const { claudeService } = await startPuffin(t)
  assert.deepEqual(await seenOf(claudeService), without)
  assert.ok(without.some(([kind, what]) => kind === 'raw' && what.includes('--model sonnet')), 'it was asked')
})
