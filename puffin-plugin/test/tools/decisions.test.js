'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Decisions, redacted } = require('../../lib/tools/decisions')
const { room } = require('./support/room')

test('the log is for this user only, is turned over by size, and keeps a bounded number of older files', async t => {
  const { dataDir } = room(t)
  const log = new Decisions(dataDir, message => assert.fail(message), { maxBytes: 1000, keep: 2 })
  const records = Array.from({ length: 50 }, (_, index) => log.append({ callId: String(index), tool: 'Read', subject: 'a.txt', decision: 'allow', projectPath: '/p' }))
  await Promise.all(records)
  const folder = path.join(dataDir, 'tools')
  const names = fs.readdirSync(folder).sort()
  assert.deepEqual(names, ['decisions.jsonl', 'decisions.jsonl.1', 'decisions.jsonl.2'])
  const ids = ['decisions.jsonl.2', 'decisions.jsonl.1', 'decisions.jsonl'].flatMap(name => {
    const file = path.join(folder, name)
    assert.equal(fs.statSync(file).mode & 0o777, 0o600)
    assert.ok(fs.statSync(file).size <= 1000)
    return fs.readFileSync(file, 'utf8').trim().split('\n').map(line => Number(JSON.parse(line).callId))
  })
  assert.deepEqual(ids, Array.from({ length: ids.length }, (_, index) => 50 - ids.length + index), 'in order, up to the last')
})

test('a link in the place of the log is not followed', async t => {
  const { dataDir, outside } = room(t)
  fs.mkdirSync(path.join(dataDir, 'tools'), { recursive: true })
  fs.symlinkSync(path.join(outside, 'target'), path.join(dataDir, 'tools', 'decisions.jsonl'))
  const told = []
  await new Decisions(dataDir, message => told.push(message)).append({ callId: '1', tool: 'Read', decision: 'allow', projectPath: '/p' })
  assert.equal(told.length, 1)
  assert.deepEqual(fs.readdirSync(outside), [])
})

test('secrets in a command do not get into the log', () => {
  const commands = [
    'curl -H "Authorization: Bearer CANARY" https://x', 'GITHUB_TOKEN=CANARY gh pr list', 'login --password CANARY', 'curl https://me:CANARY@host/',
    'export API_KEY="CANARY"', 'echo sk-CANARYCANARY', 'echo "-----BEGIN PRIVATE KEY-----\nCANARY"'
  ]
  for (const command of commands) assert.doesNotMatch(redacted(command), /CANARY/, command)
  assert.equal(redacted('npm test'), 'npm test')
  assert.ok(redacted('x'.repeat(100_000)).length <= 401)
})
