/** A profile with everything in it goes through the form and the real daemon, and comes back the same. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { draftOf, paramsOf } from '../../renderer/state/draft.js'

const require = createRequire(import.meta.url)
const plugin = require('../../index.js')
const { folder, lack } = require('../main/lab.js')

const why = lack()

const everything = {
  configId: 'full',
  name: 'Full',
  ssh: {
    host: 'gpu', port: 22, username: 'a', authMethod: 'privateKey', privateKeyPath: '~/k', passphrase: 'x', certificatePath: '~/c', identitiesOnly: true,
    useSshConfig: false, hostKeyPolicy: 'strict', connectTimeout: 1500, keepaliveInterval: 0, keepaliveCountMax: 3, maxConnections: 2, idleTimeout: 0,
    jumpHosts: [{ host: 'j1', proxyCommand: 'nc %h %p', password: 'p', authMethod: 'password' }, { host: 'j3', authMethod: 'password', passwordSource: 'ask' }, { host: 'j4', authMethod: 'privateKey', privateKeyPath: '~/k', passphraseSource: { command: ['pass', 'show', 'k'] } }, { host: 'j2', authMethod: 'agent', identityAgent: '/x' }]
  },
  llm: {
    apiEndpoint: 'https://h:1/v1', apiKey: 'k', headers: { A: 'b: c', 'X-Conversation': '{conversationId}' }, secretHeaders: { 'X-K': 'v' }, hostHeader: 'h', affinityHeader: 'X-S',
    defaultModel: 'm', modelAliases: { f: 'm' }, models: [{ id: 'm', contextWindow: 5, tools: false }, { id: 'org/n:7b', name: 'N', maxOutputTokens: 9, vision: true }], timeouts: { connectMs: 1500, firstTokenMs: 2, idleMs: 3000, totalMs: 4000, discoveryMs: 5 },
    requestTimeout: 30_000, maxRetries: 0, retryAmbiguous: false, tls: { caPath: '~/ca', serverName: 's' }, ollama: { numCtx: 1024, keepAlive: -1, think: 'low' }
  }
}

test('saving what the form shows changes nothing of a profile', { skip: why ? `SKIPPED real peer sshd: ${why}` : false, timeout: 60_000 }, async t => {
  const handlers = new Map()
  const own = { ...plugin }
  await own.activate({
    pluginDir: fileURLToPath(new URL('../..', import.meta.url)), projectPath: folder(t), storageDir: folder(t),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    registerIpcHandler: (name, handler) => handlers.set(name, handler),
    getService: () => null
  })
  t.after(() => own.deactivate())
  const configured = async params => {
    const answer = await handlers.get('remote-llm:configure')(params)
    assert.equal(answer.ok, true, JSON.stringify(answer.error))
    const { status, warnings, ...profile } = answer.config
    return profile
  }
  const saved = await configured(everything)
  assert.equal(saved.ssh.jumpHosts[0].hasPassword, true)
  assert.deepEqual(await configured(paramsOf(draftOf(saved))), saved)
})
