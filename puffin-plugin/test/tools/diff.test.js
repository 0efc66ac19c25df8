'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { unifiedDiff } = require('../../lib/tools/diff')
const { room } = require('./support/room')

test('a diff shows the changed lines with three around them', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n'
  assert.equal(unifiedDiff('x', before, before.replace('e\n', 'E\n')), '--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n')
  assert.equal(unifiedDiff('x', before, before), '')
  assert.equal(unifiedDiff('x', 'a', 'a\n'), '--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n')
})

test('500 random changes applied by patch give the new text, and are as short as they can be', t => {
  const { project } = room(t)
  let seed = 7
  const random = limit => (seed = (seed * 48271) % 2147483647) % limit
  for (let round = 0; round < 500; round++) {
    const before = Array.from({ length: random(30) }, () => `line ${random(6)}`)
    const after = before.flatMap(line => random(4) === 0 ? Array.from({ length: random(3) }, () => `line ${random(6)}`) : [line])
    const [from, to] = [before, after].map(lines => lines.map(line => `${line}\n`).join(''))
    const diff = unifiedDiff('f', from, to)
    assert.equal(apply(from, diff), to)
    if (round % 50 || from === to || from === '') continue
    fs.writeFileSync(path.join(project, 'f'), from)
    execFileSync('patch', ['-s', '-p1'], { cwd: project, input: diff })
    assert.equal(fs.existsSync(path.join(project, 'f')) ? fs.readFileSync(path.join(project, 'f'), 'utf8') : '', to)
  }
})

test('a change too large to show says so, and is made quickly', () => {
  const before = Array.from({ length: 20_000 }, (_, index) => `old ${index}\n`).join('')
  const diff = unifiedDiff('x', before, before.replaceAll('old', 'new'))
  assert.match(diff, /\n@@ -1,20000 \+1,20000 @@\n-old 0\n[^]*\+new 0\n[^]*\[this is not all: from here 20000 lines become 20000\]\n$/)
  assert.ok(diff.length < 100_000)
  assert.match(unifiedDiff('x', '', 'y'.repeat(5000)), /\[… 4500 more characters\]/)
})

test('a small change of a huge file costs little', { timeout: 20_000 }, () => {
  const before = `${'\n'.repeat(8_000_000)}a\n${'\n'.repeat(8_000_000)}`
  const memory = process.memoryUsage().heapUsed
  assert.equal(unifiedDiff('x', before, before.replace('a', 'b')), '--- a/x\n+++ b/x\n@@ -7999998,7 +7999998,7 @@\n \n \n \n-a\n+b\n \n \n \n')
  assert.match(unifiedDiff('x', before, ''), /this is not all: from here 16000001 lines become 0/)
  assert.ok(process.memoryUsage().heapUsed - memory < 200e6)
})

function apply(from, diff) {
  const old = from.split(/(?<=\n)/).filter(Boolean)
  const result = []
  let at = 0
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+)/.exec(line)
    if (hunk) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1)
      while (at < start) result.push(old[at++])
    } else if (line[0] === '+') result.push(`${line.slice(1)}\n`)
    else {
      assert.equal(old[at], `${line.slice(1)}\n`)
      if (line[0] === ' ') result.push(old[at])
      at++
    }
  }
  return [...result, ...old.slice(at)].join('')
}
