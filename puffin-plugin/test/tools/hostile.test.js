'use strict'

/** Calls as a model could make them that wants out: each is answered once, and nothing outside changes. */

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { room } = require('./support/room')

const FIELDS = {
  Read: ['file_path', 'offset', 'limit'], Write: ['file_path', 'content'], Edit: ['file_path', 'old_string', 'new_string', 'replace_all'],
  Glob: ['pattern', 'path'], Grep: ['pattern', 'path', 'glob', 'output_mode', 'head_limit', '-A'], Git: ['subcommand', 'args']
}
const pick = (random, list) => list[random(list.length)]

test('2000 random calls are answered once each, leave nothing open, and change nothing outside', { timeout: 120_000 }, async t => {
  const { project, outside, write, call } = room(t, { answer: 'allow-once' })
  const canary = 'canary-7f3a'
  fs.writeFileSync(path.join(outside, 'secret'), canary)
  write('src/a.js', 'one\ntwo\n')
  fs.symlinkSync(outside, path.join(project, 'out'))
  fs.symlinkSync(path.join(outside, 'secret'), path.join(project, 'leak'))
  fs.symlinkSync('..', path.join(project, 'up'))
  spawnSync('mkfifo', [path.join(project, 'pipe')])
  const parts = ['src', 'a.js', 'out', 'secret', 'leak', 'up', 'pipe', '..', '.', '', 'new', '~', '.git', 'project', 'outside', 'x'.repeat(300), 'é', '\0', '\n', '*', '**', '\\', ':', '%2e%2e', '﹒﹒']
  let seed = 3
  const random = limit => (seed = (seed * 48271) % 2147483647) % limit
  const somePath = () => pick(random, ['', '', '', '/', `${outside}/`, `${project}/`, '/proc/self/', '/dev/fd/']) + Array.from({ length: 1 + random(4) }, () => pick(random, parts)).join('/')
  const values = {
    file_path: somePath, path: somePath, glob: somePath,
    pattern: () => pick(random, ['o', '.', '(a|b)*', '[', '**', somePath(), '(?i)x', '^$', '\\']),
    content: () => pick(random, ['', 'x', canary.slice(0, 3), 'y\r\nz', '\ud800']), old_string: () => pick(random, ['', 'one', 'o', '\n']), new_string: () => pick(random, ['', 'ONE', '$&']),
    subcommand: () => pick(random, ['status', 'diff', 'log']), args: () => Array.from({ length: random(4) }, () => pick(random, ['--', '-p', 'HEAD', '--stat', somePath()])),
    output_mode: () => pick(random, ['content', 'count', 'files_with_matches', 'x']), replace_all: () => true, offset: () => random(5) - 1, limit: () => random(5), head_limit: () => random(9), '-A': () => random(3)
  }
  const odd = [null, 7, [], {}, '', true, 'x']
  const descriptors = () => process.platform === 'linux' ? fs.readdirSync('/proc/self/fd').length : 0
  await call('Read', { file_path: 'src/a.js' })
  const before = descriptors()
  const outcome = { ok: 0, error: 0 }
  for (let round = 0; round < 2000; round++) {
    // Starting a thread or a program for each would take most of the time.
    const name = pick(random, random(20) ? ['Read', 'Write', 'Edit', 'Glob'] : ['Grep', 'Git'])
    const input = Object.fromEntries(FIELDS[name].filter(() => random(12)).map(field => [field, random(15) ? values[field]() : pick(random, odd)]))
    const result = await call(name, input)
    assert.equal(typeof result.content, 'string')
    assert.ok(!result.content.includes(canary), `${name} ${JSON.stringify(input)}`)
    assert.ok(!/defect/.test(result.content), `${name} ${JSON.stringify(input)}: ${result.content}`)
    outcome[result.isError ? 'error' : 'ok']++
  }
  t.diagnostic(JSON.stringify(outcome))
  assert.ok(outcome.ok > 100 && outcome.error > 100)
  assert.deepEqual(fs.readdirSync(outside), ['secret'])
  assert.equal(fs.readFileSync(path.join(outside, 'secret'), 'utf8'), canary)
  assert.deepEqual(fs.readdirSync(path.dirname(project)).sort(), ['data', 'outside', 'project'])
  assert.ok(!fs.existsSync(path.join(project, '.git')))
  assert.ok(descriptors() <= before + 2)
})
