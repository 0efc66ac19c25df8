import assert from 'node:assert/strict'
import { test } from 'node:test'
import { draftOf, filled, paramsOf, problemsOf, withHop } from '../../renderer/state/draft.js'
import { normaliseEndpoint } from '../../renderer/state/fields.js'

const saved = {
  configId: 'gpu1',
  name: 'GPU',
  ssh: {
    host: 'gpu1', port: 2222, username: 'ai', authMethod: 'privateKey', privateKeyPath: '~/.ssh/id', useSshConfig: true, maxConnections: 2,
    keepaliveInterval: 15_000, hasPassword: false, hasPassphrase: true,
    jumpHosts: [{ host: 'bastion', authMethod: 'password', hasPassword: true, hasPassphrase: false, jumpHosts: [] }]
  },
  llm: { apiEndpoint: 'http://127.0.0.1:8000/v1', apiType: 'auto', modelAliases: { fast: 'qwen3:4b' }, headers: { 'X-Team': 'a' }, timeouts: { firstTokenMs: 900_000 }, hasApiKey: true, secretHeaderNames: [] }
}

test('a profile goes through the form unchanged, with what the form does not show', () => {
  assert.deepEqual(paramsOf(draftOf(saved)), {
    configId: 'gpu1',
    name: 'GPU',
    ssh: {
      host: 'gpu1', port: 2222, username: 'ai', authMethod: 'privateKey', privateKeyPath: '~/.ssh/id', maxConnections: 2, keepaliveInterval: 15_000,
      jumpHosts: [{ host: 'bastion', authMethod: 'password' }]
    },
    llm: { apiEndpoint: 'http://127.0.0.1:8000/v1', modelAliases: { fast: 'qwen3:4b' }, headers: { 'X-Team': 'a' }, timeouts: { firstTokenMs: 900_000 } }
  })
})

test('secrets are kept unless a person replaces or forgets them, and are never in the draft', () => {
  const draft = draftOf(saved)
  assert.deepEqual(draft.secrets, {
    'ssh.passphrase': 'saved', 'ssh.password': 'none', 'llm.apiKey': 'saved', 'llm.secretHeaders': 'none', 'hop0.passphrase': 'none', 'hop0.password': 'saved'
  })
  draft.secrets['ssh.passphrase'] = 'forget'
  draft.secrets['hop0.password'] = 'replace'
  const typed = { 'hop0.password': 'correct horse' }
  const params = paramsOf(draft, path => typed[path])
  assert.equal(params.ssh.passphrase, null)
  assert.equal(params.ssh.jumpHosts[0].password, 'correct horse')
  assert.equal('apiKey' in params.llm, false)
  assert.equal(JSON.stringify(draft).includes('correct horse'), false)
})

test('what only another way to sign in would use is not sent', () => {
  const draft = draftOf(saved)
  draft.ssh = { ...draft.ssh, authMethod: 'agent' }
  const { ssh } = paramsOf(draft)
  assert.equal(ssh.privateKeyPath, undefined)
  assert.equal(ssh.authMethod, 'agent')
})

test('the smallest draft is a host', () => {
  const draft = draftOf(null)
  draft.ssh.host = ' gpu1 '
  assert.deepEqual(paramsOf(draft), { name: 'gpu1', ssh: { host: 'gpu1' }, llm: { apiEndpoint: 'http://127.0.0.1:11434' } })
})

test('a pasted command replaces the way to the machine', () => {
  const draft = filled(draftOf(null), { ssh: { host: 'gpu1', username: 'ai', port: 22, jumpHosts: [{ host: 'a' }, { host: 'b' }], forwardAgent: true }, llm: { apiEndpoint: 'http://localhost:1234' }, warnings: ['-A has no effect.'] })
  assert.deepEqual(paramsOf(draft).ssh, { host: 'gpu1', username: 'ai', port: 22, forwardAgent: true, jumpHosts: [{ host: 'a' }, { host: 'b' }] })
  assert.deepEqual(draft.warnings, ['-A has no effect.'])
  assert.equal(draft.dirty, true)
})

test('a jump host that was removed does not give its id to the next', () => {
  const two = withHop(withHop(draftOf(null)))
  const one = { ...two, hops: two.hops.slice(0, 1) }
  assert.deepEqual(withHop(one).hops.map(hop => hop.id), ['hop0', 'hop2'])
})

test('what is wrong is said beside its field', () => {
  const draft = withHop(draftOf(null))
  Object.assign(draft.ssh, { host: 'ssh gpu1', port: '70000', connectTimeout: 'soon' })
  Object.assign(draft.llm, { apiEndpoint: 'ftp://x', headers: 'X-Team a', maxRetries: '1.5' })
  assert.deepEqual(problemsOf(draft), {
    'ssh.host': 'A host has no spaces. An ssh command goes into the top line.',
    'ssh.port': 'Port is from 1 to 65535.',
    'ssh.connectTimeout': 'Time to connect is a number.',
    'llm.apiEndpoint': 'Write http://host:port, https://host:port or unix:/path.',
    'llm.headers': '“X-Team a” is not of the form Name: value.',
    'llm.maxRetries': 'Attempts after a failure is a whole number.',
    'hop0.host': 'Host is missing.'
  })
})

test('an address may be written for short', () => {
  const cases = { 11434: 'http://127.0.0.1:11434', 'gpu2:8000': 'http://gpu2:8000', '/run/llm.sock': 'unix:/run/llm.sock', 'https://x/v1': 'https://x/v1', 'unix:/a': 'unix:/a', '': '' }
  for (const [written, meant] of Object.entries(cases)) assert.equal(normaliseEndpoint(written), meant)
})

test('secret headers are added by name and forgotten by name', () => {
  const config = structuredClone(saved)
  config.llm.secretHeaderNames = ['X-Old', 'X-Other']
  const draft = draftOf(config)
  assert.equal(draft.secrets['llm.secretHeaders'], 'saved')
  assert.equal(paramsOf(draft).llm.secretHeaders, undefined)
  draft.secrets['llm.secretHeaders'] = 'forget'
  assert.deepEqual(paramsOf(draft).llm.secretHeaders, { 'X-Old': null, 'X-Other': null })
  draft.secrets['llm.secretHeaders'] = 'replace'
  assert.deepEqual(paramsOf(draft, path => ({ 'llm.secretHeaders': 'X-New: v' })[path]).llm.secretHeaders, { 'X-New': 'v' })
})
