'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { globMatcher } = require('../../lib/tools/glob-pattern')
const { room } = require('./support/room')

test('glob patterns fit as in other tools', () => {
  const table = [
    ['*.js', ['a.js', '.js'], ['a/b.js', 'a.jsx', 'js']],
    ['**/*.js', ['a.js', 'a/b.js', 'a/b/c.js'], ['a.ts']],
    ['src/**', ['src/a', 'src/a/b', 'src'], ['asrc/a', 'a/src/b']],
    ['src/**/x/*.{ts,tsx}', ['src/x/a.ts', 'src/a/b/x/c.tsx'], ['src/x/y/a.ts', 'src/x/a.js']],
    ['{a,b{c,d}}/?', ['a/x', 'bc/x', 'bd/y'], ['b/x', 'a/xy']],
    ['[a-c]x[!0-9]', ['axz', 'cxa'], ['dxz', 'ax1']],
    ['./a.b', ['a.b'], ['axb']],
    ['a**b', ['ab', 'axxb'], ['a/b']],
    ['{a}', ['{a}'], ['a']],
    ['\\*', ['*'], ['a']],
    ['**', ['a', 'a/b'], []],
    ['ä?', ['äö', 'ä😀'], ['ä']]
  ]
  for (const [pattern, yes, no] of table) {
    const fits = globMatcher(pattern)
    for (const name of yes) assert.ok(fits(name), `${pattern} ${name}`)
    for (const name of no) assert.ok(!fits(name), `${pattern} ${name}`)
  }
})

test('no glob pattern takes for ever', { timeout: 20_000 }, () => {
  globMatcher('*a'.repeat(200) + 'b')('a'.repeat(4000))
  globMatcher('**/a/'.repeat(150) + 'b')('a/'.repeat(1500))
  assert.throws(() => globMatcher('{a,b}'.repeat(10)), { code: 'TOOL_INVALID_INPUT' })
  assert.throws(() => globMatcher('x'.repeat(2000)), { code: 'TOOL_INVALID_INPUT' })
})

test('Glob shows the last changed first, and looks neither into node_modules nor through links', async t => {
  const { call, write, project, outside } = room(t)
  const day = 86_400
  for (const [index, name] of ['old.js', 'src/new.js', 'src/middle.js', 'node_modules/x/a.js', '.git/x.js'].entries()) {
    fs.utimesSync(write(name, ''), day, day * (10 + (index % 2 === 1 ? 10 : index)))
  }
  fs.writeFileSync(path.join(outside, 'out.js'), '')
  fs.symlinkSync(outside, path.join(project, 'link'))
  fs.symlinkSync('.', path.join(project, 'loop'))
  fs.symlinkSync(path.join(outside, 'out.js'), path.join(project, 'file-link.js'))
  assert.equal((await call('Glob', { pattern: '**/*.js' })).content, 'src/new.js\nsrc/middle.js\nold.js')
  assert.equal((await call('Glob', { pattern: '*.js', path: 'node_modules/x' })).content, 'node_modules/x/a.js')
  assert.equal((await call('Glob', { pattern: '*.rs' })).content, 'No file fits.')
  for (const where of ['link', '../outside', '/', '..']) assert.ok((await call('Glob', { pattern: '**', path: where })).isError, where)
  assert.ok((await call('Glob', { pattern: '*', path: 'old.js' })).isError)
})

test('Glob and Grep are bounded in files and depth', async t => {
  const { call, write, project } = room(t)
  for (let index = 0; index < 450; index++) write(`many/${index}.txt`, 'needle\n')
  const glob = (await call('Glob', { pattern: '**/*.txt' })).content.split('\n')
  assert.equal(glob.length, 201)
  assert.equal(glob.at(-1), '[250 more fit; use a narrower pattern]')
  const grep = (await call('Grep', { pattern: 'needle', head_limit: 10 })).content.split('\n')
  assert.equal(grep.length, 11)
  assert.match(grep.at(-1), /there may be more/)
  let deep = project
  for (let level = 0; level < 80; level++) fs.mkdirSync(deep = path.join(deep, 'd'))
  fs.writeFileSync(path.join(deep, 'deepest'), 'needle2')
  assert.match((await call('Glob', { pattern: '**/deepest' })).content, /^No file fits\.\n\[not all:/)
})

test('Grep shows files, lines or counts', async t => {
  const { call, write } = room(t)
  write('a.js', 'one\ntwo\nthree two\r\nfour\nfive\nsix two\n')
  write('b/c.py', 'TWO\n')
  write('image.png', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0x74, 0x77, 0x6f]))
  const grep = async input => (await call('Grep', { pattern: 'two', ...input })).content
  assert.equal(await grep(), 'a.js')
  assert.equal(await grep({ '-i': true }), 'a.js\nb/c.py')
  assert.equal(await grep({ pattern: '(?i)two', output_mode: 'count' }), 'a.js:3\nb/c.py:1')
  assert.equal(await grep({ output_mode: 'content' }), 'a.js:2:two\na.js:3:three two\na.js:6:six two')
  assert.equal(await grep({ output_mode: 'content', '-n': 'false', path: 'a.js' }), 'a.js:two\na.js:three two\na.js:six two')
  assert.equal(await grep({ output_mode: 'content', '-A': 1, pattern: '^two|six' }), 'a.js:2:two\na.js-3-three two\n--\na.js:6:six two')
  assert.equal(await grep({ output_mode: 'content', pattern: 'one.two', multiline: true }), 'a.js:1:one\na.js:2:two')
  assert.equal(await grep({ pattern: 'one.two' }), 'No match.')
  assert.equal(await grep({ glob: '*.py', '-i': true }), 'b/c.py')
  assert.equal(await grep({ type: 'py', '-i': true }), 'b/c.py')
  assert.equal(await grep({ path: 'b', '-i': true }), 'b/c.py')
  assert.match(await grep({ type: 'constructor' }), /is not known/)
  assert.match(await grep({ pattern: '(' }), /is not a regular expression/)
  assert.match(await grep({ path: '../outside' }), /is not inside the project/)
})

test('Grep keeps what may be secret to itself', async t => {
  const { call, write, questions, outside, project } = room(t)
  write('.env', 'KEY=canary')
  write('.git/config', 'canary')
  write('.puffin/config.json', 'canary')
  fs.writeFileSync(path.join(outside, 'a'), 'canary')
  fs.symlinkSync(path.join(outside, 'a'), path.join(project, 'a'))
  for (const input of [{}, { path: '.git' }, { output_mode: 'content' }]) {
    const { content } = await call('Grep', { pattern: 'canary', ...input })
    assert.match(content, /^No match\.\n\[1 files that may hold secrets were left out\]$/)
  }
  for (const where of ['.env', '.puffin']) assert.equal((await call('Grep', { pattern: 'canary', path: where, output_mode: 'content' })).denied, true)
  assert.equal(questions.length, 2)
})

test('an expression that takes for ever is ended, and others go on meanwhile', { timeout: 20_000 }, async t => {
  const { call, write } = room(t, { limits: { grepTimeoutMs: 1000 } })
  write('a.txt', `${'a'.repeat(40)}!\n`)
  let ended = false
  const bomb = call('Grep', { pattern: '(a+)+$' }).finally(() => { ended = true })
  for (let round = 0; round < 5; round++) assert.equal((await call('Read', { file_path: 'a.txt' })).isError, false)
  assert.equal(ended, false, 'reading does not wait for it')
  const { content, isError } = await bomb
  assert.ok(isError)
  assert.match(content, /The search was ended after 1 s, in a\.txt\. The expression may be one that takes for ever/)
})

test('a search that is cancelled ends', { timeout: 20_000 }, async t => {
  const { call, write } = room(t)
  write('a.txt', `${'a'.repeat(40)}!\n`)
  const cancel = new AbortController()
  const bomb = call('Grep', { pattern: '(a+)+$' }, { signal: cancel.signal })
  setTimeout(() => cancel.abort(), 300)
  assert.match((await bomb).content, /cancelled/)
})

test('a search of a file of many lines stays within its memory', { timeout: 30_000 }, async t => {
  const { call, write } = room(t)
  write('a.txt', '\n'.repeat(4_000_000))
  for (const input of [{ pattern: '^', output_mode: 'content' }, { pattern: '[^]*', multiline: true, output_mode: 'content', '-C': 50 }, { pattern: '', output_mode: 'count' }]) {
    const { content, isError } = await call('Grep', input)
    assert.ok(!isError, content)
  }
})
