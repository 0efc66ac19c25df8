'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { createTools, definitions } = require('../../lib/tools')
const { room } = require('./support/room')

const change = { file_path: 'a.txt', content: 'x' }

test('reading is free, changing is asked, and a denial is told to the model', async t => {
  const { call, write, questions, project, decisions } = room(t)
  write('a.txt', 'old\n')
  assert.equal((await call('Read', { file_path: 'a.txt' })).isError, false)
  assert.equal(questions.length, 0)
  const denied = await call('Write', change)
  assert.deepEqual({ isError: denied.isError, denied: denied.denied }, { isError: true, denied: true })
  assert.match(denied.content, /The user was asked and did not allow this/)
  assert.equal(fs.readFileSync(path.join(project, 'a.txt'), 'utf8'), 'old\n')
  assert.deepEqual(questions, [{
    callId: 'call-2', tool: 'Write', summary: 'Replace the content of a.txt', detail: '4 bytes become 1 bytes. Changes are asked about.',
    pattern: 'a.txt', diff: '--- a/a.txt\n+++ b/a.txt\n@@ -1,1 +1,1 @@\n-old\n+x\n\\ No newline at end of file\n'
  }])
  assert.deepEqual(decisions().map(({ tool, decision, outcome, subject }) => [tool, decision, outcome, subject]),
    [['Read', 'allow', 'ok', 'a.txt'], ['Write', 'deny', 'error', 'a.txt']])
})

test('whatever is not clearly a yes is a no', async t => {
  const answers = [undefined, null, true, 'yes', 'Allow-Once', {}, () => { throw new Error('no window') }, () => Promise.reject(new Error('closed'))]
  for (const answer of answers) {
    const { call, project } = room(t, { answer: typeof answer === 'function' ? answer : () => answer })
    const { denied, isError } = await call('Write', change)
    assert.ok(denied && isError)
    assert.deepEqual(fs.readdirSync(project), [])
  }
})

test('a person can end the whole prompt', async t => {
  const { call } = room(t, { answer: 'abort' })
  const { denied, abort } = await call('Write', change)
  assert.deepEqual({ denied, abort }, { denied: true, abort: true })
})

test('without an answer in time nothing happens, and the question is taken back', async t => {
  let taken
  const answer = (question, signal) => new Promise(() => signal.addEventListener('abort', () => { taken = true }))
  const { call, project } = room(t, { answer, limits: { askTimeoutMs: 50 } })
  const { content, isError } = await call('Write', change)
  assert.match(content, /Nobody answered/)
  assert.ok(isError && taken)
  assert.deepEqual(fs.readdirSync(project), [])
})

test('a call that is cancelled while the person is asked is answered at once, and a late yes does nothing', async t => {
  let sayYes
  const cancel = new AbortController()
  const { call, project } = room(t, { answer: () => new Promise(resolve => { sayYes = resolve; cancel.abort() }) })
  const { content, isError } = await call('Write', change, { signal: cancel.signal })
  assert.ok(isError && /cancelled/.test(content))
  sayYes('allow-once')
  await new Promise(setImmediate)
  assert.deepEqual(fs.readdirSync(project), [])
  assert.match((await call('Read', { file_path: 'a.txt' }, { signal: cancel.signal })).content, /cancelled/)
})

test('"always" is for this file in this project, kept for this user only', async t => {
  const { call, questions, dataDir, base } = room(t, { answer: 'allow-always' })
  await call('Write', change)
  await call('Write', { ...change, content: 'y' })
  assert.equal(questions.length, 1)
  await call('Write', { ...change, file_path: 'b.txt' })
  await call('Edit', { file_path: 'a.txt', old_string: 'y', new_string: 'z' })
  assert.deepEqual(questions.map(({ tool, pattern }) => [tool, pattern]), [['Write', 'a.txt'], ['Write', 'b.txt'], ['Edit', 'a.txt']])

  const folder = path.join(dataDir, 'tools')
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700)
  for (const name of fs.readdirSync(folder)) assert.equal(fs.statSync(path.join(folder, name)).mode & 0o777, 0o600, name)
  assert.deepEqual(fs.readdirSync(folder).filter(name => name.endsWith('.tmp')), [])

  const asked = []
  const ask = async question => { asked.push(question.pattern); return 'deny' }
  const again = createTools({ projectPath: path.join(base, 'project'), dataDir, ask })
  assert.equal((await again.execute({ callId: '1', name: 'Write', input: change })).isError, false)
  const elsewhere = createTools({ projectPath: path.join(base, 'outside'), dataDir, ask })
  assert.equal((await elsewhere.execute({ callId: '1', name: 'Write', input: change })).denied, true)
  assert.deepEqual(asked, ['a.txt'])
})

test('rules that others could have written, or that are not understood, make more be asked, not less', async t => {
  const { call, rules, dataDir, questions, warnings } = room(t)
  rules([{ action: 'allow', tool: 'Write' }])
  assert.equal((await call('Write', change)).isError, false)
  const file = path.join(dataDir, 'tools', 'rules.json')
  fs.chmodSync(file, 0o666)
  assert.equal((await call('Write', change)).denied, true)
  assert.equal((await call('Read', { file_path: 'a.txt' })).denied, true)
  fs.chmodSync(file, 0o600)
  for (const content of ['{', '[]', '{"version":2,"rules":[]}']) {
    fs.writeFileSync(file, content)
    assert.equal((await call('Write', change)).denied, true, content)
  }
  rules([{ action: 'allow', tool: 'Bash', pattern: '* x' }, { action: 'perhaps', tool: 'Write' }, { action: 'allow', tool: 'Write', pattern: 7 }])
  assert.equal((await call('Write', change)).denied, true)
  assert.equal(questions.length, 6)
  assert.ok(warnings.length >= 7, warnings.join('\n'))
})

test('where code must not be modified, nothing that changes is offered or done, whatever the rules say', async t => {
  const { call, rules, project } = room(t, { codeModificationAllowed: false, answer: 'allow-once' })
  rules([{ action: 'allow', tool: '*' }])
  assert.deepEqual(definitions({ codeModificationAllowed: false }).filter(({ readOnly }) => !readOnly), [])
  for (const [name, input] of [['Write', change], ['Edit', { file_path: 'a.txt', old_string: '', new_string: 'x' }], ['Bash', { command: 'touch a' }]]) {
    const { isError, content } = await call(name, input)
    assert.ok(isError && /switched off/.test(content), content)
  }
  assert.deepEqual(fs.readdirSync(project), [])
})

test('what a host forbids for a prompt is not offered and not done', async t => {
  const disallowedTools = ['Write', 'Bash(git push:*)', 'Read(private/**)', 'Nope', '', 7, 'Bash(*']
  const { call, questions, write } = room(t, { disallowedTools, answer: 'allow-once' })
  assert.deepEqual(definitions({ disallowedTools }).map(({ name }) => name), ['Read', 'Edit', 'Glob', 'Grep', 'Bash', 'Git'])
  write('private/a', 'x')
  for (const [name, input] of [['Write', change], ['Bash', { command: 'true; git push' }], ['Read', { file_path: 'private/a' }]]) {
    assert.match((await call(name, input)).content, /A rule of the user forbids/, name)
  }
  assert.equal(questions.length, 0)
})

test('a file that may hold secrets is asked about before it is read, and a wildcard does not allow it', async t => {
  const { call, rules, write, questions } = room(t)
  rules([{ action: 'allow', tool: 'Read', pattern: '**' }])
  write('.env', 'KEY=canary')
  const { denied, content } = await call('Read', { file_path: '.env' })
  assert.ok(denied && !content.includes('canary'))
  assert.match(questions[0].detail, /sent to the remote model/)
})

test('whether a passage is in a file with secrets is not told without asking', async t => {
  const { call, write, questions } = room(t)
  write('.env', 'KEY=canary')
  const tell = async old_string => (await call('Edit', { file_path: '.env', old_string, new_string: 'x' })).content
  assert.equal(await tell('KEY=c'), await tell('KEY=d'))
  assert.match(questions[1].detail, /It would fail: old_string is not in \.env/)
})

test('where a rule says to ask, an "always" is not offered and not kept', async t => {
  const { call, rules, questions } = room(t, { answer: 'allow-always' })
  rules([{ action: 'ask', tool: 'Write', pattern: '*.txt' }, { action: 'allow', tool: 'Write' }])
  await call('Write', change)
  await call('Write', { ...change, content: 'y' })
  await call('Write', { ...change, file_path: 'b.md' })
  assert.deepEqual(questions.map(({ pattern }) => pattern), [undefined, undefined])
})

test('what the person sees can hide nothing', async t => {
  const { call, questions } = room(t)
  await call('Write', { file_path: 'a\u202etxt.js', content: 'safe()\u2028evil()\u001b[2K\rx \u200b' })
  assert.match(questions[0].summary, /a\\u\{202e\}txt\.js/)
  await call('Write', { file_path: 'a\nReplace the content of b', content: 'x' })
  assert.equal(questions[1].summary, 'Make the file a\\nReplace the content of b')
  assert.match(questions[0].diff, /\+safe\(\)\\u\{2028\}evil\(\)\\u\{1b\}\[2K\\u\{d\}x \\u\{200b\}/)
})

test('every call is answered, whatever comes in', async t => {
  const { tools, call } = room(t, { answer: 'allow-once' })
  assert.match((await call('Nope', {})).content, /There is no tool of the name Nope\. There are Read/)
  for (const input of [undefined, null, [], 'x', {}, { file_path: 7 }, { file_path: ['a'] }, { file_path: 'a', content: {} }, { __proto__: { file_path: 'a' } }]) {
    for (const name of ['Read', 'Write', 'Edit', '__proto__', 'constructor', '', undefined]) {
      const { content, isError } = await call(name, input)
      assert.ok(isError && typeof content === 'string' && content.length > 0)
    }
  }
  assert.equal((await tools.execute(undefined)).isError, true)
  const { call: lost, project } = room(t)
  fs.rmdirSync(project)
  assert.match((await lost('Read', { file_path: 'a' })).content, /project folder does not exist/)
  fs.mkdirSync(project)
  assert.match((await lost('Read', { file_path: 'a' })).content, /a: it does not exist/)
})

test('a data folder that can\'t be written stops no tool and is told', async t => {
  const { call, dataDir, warnings, write } = room(t, { answer: 'allow-always' })
  fs.writeFileSync(dataDir, 'a file in its place')
  write('a.txt', 'x')
  assert.equal((await call('Read', { file_path: 'a.txt' })).denied, undefined)
  assert.ok(warnings.some(message => /could not be logged/.test(message)), warnings.join('\n'))
})
