import assert from 'node:assert/strict'
import { test } from 'node:test'
import { draftOf } from '../../renderer/state/draft.js'
import { redact, reportOf } from '../../renderer/state/report.js'

test('a report names no machine, account, address, path or key', () => {
  const draft = draftOf({
    configId: 'x', name: 'Lab box', ssh: { host: 'gpu1.lab.example', username: 'alice', jumpHosts: [{ host: 'bastion' }] },
    llm: { apiEndpoint: 'http://llm-7:8000' }
  })
  const test = {
    stages: [
      { name: 'resolve', hop: 1, status: 'passed', durationMs: 3, detail: 'bastion is 203.0.113.9 and 2001:db8::17' },
      { name: 'auth', hop: 2, status: 'failed', durationMs: 1200, detail: '', error: { code: 1001, message: 'gpu1.lab.example did not accept user alice with: /home/alice/.ssh/id_ed25519.', data: { code: 'SSH_AUTH_FAILED' } } }
    ],
    result: { warnings: ['Authorization: Bearer sk-abcdefghijklmnop was refused by llm-7'], authMethod: null },
    error: { message: 'gpu1.lab.example did not accept user alice.', data: { code: 'SSH_AUTH_FAILED', hint: 'ssh alice@gpu1.lab.example' } }
  }
  const report = reportOf(test, draft, { plugin: '1', daemon: '2' })
  for (const secret of ['gpu1', 'bastion', 'alice', '203.0.113.9', '2001:db8', 'abcdefghij', 'llm-7', 'Lab box']) assert.ok(!report.includes(secret), `${secret} stands in\n${report}`)
  assert.match(report, /failed {3}auth \(hop 2\), 1\.2 s/)
  assert.match(report, /SSH_AUTH_FAILED: <host 2> did not accept user <user> with: ~\/\.ssh\/id_ed25519/)
})

test('loopback and times are no addresses', () => {
  assert.equal(redact('127.0.0.1:11434 at 14:03:05 within 10 s'), '127.0.0.1:11434 at 14:03:05 within 10 s')
})

test('what a key in an agent is called stays here', () => {
  const said = "publickey (agent: alice's laptop); publickey (agent: work, certificate); publickey (agent: SHA256:abc/DEF)"
  assert.equal(redact(said), 'publickey (agent: <key>); publickey (agent: <key>, certificate); publickey (agent: SHA256:abc/DEF)')
})
