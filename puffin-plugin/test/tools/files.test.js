'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { room } = require('./support/room')

test('Read numbers the lines, goes on from an offset, and says when there is more', async t => {
  const { call, write } = room(t)
  write('a.txt', Array.from({ length: 5000 }, (_, index) => `line ${index + 1}`).join('\n'))
  assert.match((await call('Read', { file_path: 'a.txt' })).content, /^ {5}1\tline 1\n[^]*\n {2}2000\tline 2000\n\[up to line 2000; read on with offset 2001\]$/)
  assert.equal((await call('Read', { file_path: 'a.txt', offset: '4999', limit: 5 })).content, '  4999\tline 4999\n  5000\tline 5000')
  assert.equal((await call('Read', { file_path: 'a.txt', offset: 6000 })).content, 'a.txt has 5000 lines; there is none from 6000 on.')
})

test('Read copes with empty, CRLF, binary, one-line and huge files', async t => {
  const { call, write } = room(t)
  const read = async (name, content, input) => {
    write(name, content)
    return (await call('Read', { file_path: name, ...input })).content
  }
  assert.equal(await read('empty', ''), 'empty is empty.')
  assert.equal(await read('crlf', 'a\r\nb\r\n'), '     1\ta\n     2\tb\n[lines end in CRLF; Write and Edit keep that]')
  assert.match(await read('image', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0])), /is a PNG image \(6 bytes\); it is not shown/)
  assert.match(await read('data', Buffer.from('a\0b')), /is binary data/)
  assert.equal(await read('long', `${'ö'.repeat(100_000)}\nend`), `     1\t${'ö'.repeat(2000)}… [line cut]\n     2\tend`)
  const wide = await read('wide', `${'x'.repeat(1900)}\n`.repeat(2000))
  assert.ok(wide.length < 256 * 1024 && /read on with offset/.test(wide))
  assert.match(await read('huge', 'x\n'.repeat(20_000_000), { offset: 19_999_999 }), /^19999999\tx\n20000000\tx$/)
})

test('Write makes folders, keeps permissions and CRLF, and replaces in one step', async t => {
  const { project, call, write, read, questions } = room(t, { answer: 'allow-once' })
  assert.equal((await call('Write', { file_path: 'new/deep/a.txt', content: 'a\n' })).content, 'Made new/deep/a.txt: 2 bytes.')
  assert.equal(read('new/deep/a.txt'), 'a\n')
  fs.chmodSync(write('run.sh', 'a\r\nb\r\n'), 0o750)
  const hard = path.join(project, 'other-name')
  fs.linkSync(path.join(project, 'run.sh'), hard)
  await call('Write', { file_path: 'run.sh', content: 'a\nc\n' })
  assert.equal(read('run.sh'), 'a\r\nc\r\n')
  assert.equal(fs.statSync(path.join(project, 'run.sh')).mode & 0o777, 0o750)
  assert.equal(fs.readFileSync(hard, 'utf8'), 'a\r\nb\r\n', 'another name of the file, perhaps outside, is not written through')
  assert.match(questions.at(-1).diff, /-b\\u\{d\}\n\+c\\u\{d\}\n/)
  assert.deepEqual(fs.readdirSync(project).sort(), ['new', 'other-name', 'run.sh'], 'no temporary file is left')
})

test('Edit wants one exact passage, and says what is wrong', async t => {
  const { call, write, read } = room(t, { answer: 'allow-once' })
  write('a.txt', 'one\n  two\nthree\none\n')
  const edit = async (old_string, new_string, more) => (await call('Edit', { file_path: 'a.txt', old_string, new_string, ...more })).content
  assert.match(await edit('one', 'x'), /occurs 2 times in a\.txt \(lines 1, 4\)/)
  assert.match(await edit('one\ntwo', 'x'), /only with other white space/)
  assert.match(await edit('     1\tone', 'x'), /leave out the line numbers/)
  assert.match(await edit('four', 'x'), /is not in a\.txt/)
  assert.match(await edit('one', 'one'), /are the same/)
  assert.match(await edit('', 'x'), /exists and is not empty/)
  assert.equal(read('a.txt'), 'one\n  two\nthree\none\n')
  assert.equal(await edit('one', '$& $1', { replace_all: true }), 'Edited a.txt: 2 places changed.')
  assert.equal(read('a.txt'), '$& $1\n  two\nthree\n$& $1\n')
  assert.match((await call('Edit', { file_path: 'b.txt', old_string: 'a', new_string: 'b' })).content, /b\.txt does not exist/)
  assert.equal((await call('Edit', { file_path: 'b.txt', old_string: '', new_string: 'b' })).content, 'Made b.txt.')
})

test('Edit leaves every other byte as it was: CRLF, byte order mark, missing last line end', async t => {
  const { call, write, read } = room(t, { answer: 'allow-once' })
  write('crlf.txt', '\ufeffa\r\nb\r\nc')
  await call('Edit', { file_path: 'crlf.txt', old_string: 'a\nb', new_string: 'a\nx\ny' })
  assert.equal(read('crlf.txt'), '\ufeffa\r\nx\r\ny\r\nc')
  write('latin1.txt', Buffer.from([0x61, 0xe4, 0x62]))
  assert.match((await call('Edit', { file_path: 'latin1.txt', old_string: 'a', new_string: 'b' })).content, /is not in UTF-8/)
})

test('what is written is what was shown: a file that changed while the person was asked stays', async t => {
  const { call, write, read } = room(t, { answer: () => { write('a.txt', 'theirs'); return 'allow-once' } })
  write('a.txt', 'mine')
  for (const [name, input] of [['Edit', { old_string: 'mine', new_string: 'ours' }], ['Write', { content: 'ours' }]]) {
    write('a.txt', 'mine')
    const { content, isError } = await call(name, { file_path: 'a.txt', ...input })
    assert.ok(isError && /was changed meanwhile, and nothing was written/.test(content), content)
    assert.equal(read('a.txt'), 'theirs')
  }
  const { content } = await call('Write', { file_path: 'a.txt', content: 'x'.repeat(9 * 1024 * 1024) })
  assert.match(content, /larger than/)
})

test('no edit makes the host run out of memory', async t => {
  const { call, write } = room(t)
  write('a.txt', 'a'.repeat(10_000_000))
  const { content } = await call('Edit', { file_path: 'a.txt', old_string: 'a', new_string: 'b'.repeat(1_000_000), replace_all: true })
  assert.match(content, /would become larger than/)
  assert.match((await call('Edit', { file_path: 'a.txt', old_string: 'a', new_string: 'b' })).content, /occurs 10000000 times in a\.txt \(lines 1, 1,/)
})
