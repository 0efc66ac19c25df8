'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { listIdentities } = require('../../lib/identities')

const keygen = spawnSync('ssh-keygen', ['-?']).error ? 'there is no ssh-keygen' : false

function home(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'rllm-home-'))
  t.after(() => fs.rmSync(made, { recursive: true }))
  fs.mkdirSync(path.join(made, '.ssh'), { mode: 0o700 })
  return made
}

test('private keys are found by what they are, and not by their name', { skip: keygen }, async t => {
  const place = home(t)
  const make = (name, ...more) => execFileSync('ssh-keygen', ['-q', '-C', 'c', '-f', path.join(place, '.ssh', name), ...more])
  make('work', '-t', 'ed25519', '-N', '')
  make('locked', '-t', 'ecdsa', '-N', 'secret')
  make('old', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', 'secret')
  fs.rmSync(path.join(place, '.ssh/old.pub'))
  fs.writeFileSync(path.join(place, '.ssh/id_rsa'), 'not a key')
  fs.writeFileSync(path.join(place, '.ssh/known_hosts'), '')
  fs.symlinkSync('work', path.join(place, '.ssh/a-link'))
  fs.mkdirSync(path.join(place, '.ssh/folder'))
  const { agent, keyFiles } = await listIdentities({ home: place, env: {} })
  assert.equal(agent, null)
  assert.deepEqual(keyFiles, [
    { path: '~/.ssh/locked', type: 'ECDSA', encrypted: true },
    { path: '~/.ssh/old', type: null, encrypted: true },
    { path: '~/.ssh/work', type: 'ED25519', encrypted: false }
  ])
})

test('a computer without a folder for keys has none', async t => {
  const place = home(t)
  fs.rmdirSync(path.join(place, '.ssh'))
  assert.deepEqual(await listIdentities({ home: place, env: {} }), { agent: null, keyFiles: [] })
})

test('an agent that is there, is empty, or is not there', { skip: process.platform === 'win32' }, async t => {
  const place = home(t)
  const ask = (error, stdout) => listIdentities({ home: place, env: { SSH_AUTH_SOCK: '/x' }, run: (program, args, options, done) => done(error, stdout) })
  const lines = '256 SHA256:abc me at work (ED25519)\n3072 SHA256:def  (RSA)\nnonsense\n'
  assert.deepEqual((await ask(null, lines)).agent.keys, [{ fingerprint: 'SHA256:abc', comment: 'me at work', type: 'ED25519' }, { fingerprint: 'SHA256:def', comment: '', type: 'RSA' }])
  assert.deepEqual((await ask({ code: 1 }, 'The agent has no identities.\n')).agent, { keys: [] })
  assert.equal((await ask({ code: 2 }, '')).agent, null)
})
