'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { decide } = require('../../lib/tools/policy')
const { parse } = require('../../lib/tools/shell')
const { room } = require('./support/room')

const bash = (rules, subject) => decide(rules, { tool: 'Bash', access: 'run', subject }).action
const allow = (...patterns) => patterns.map(pattern => ({ action: 'allow', tool: 'Bash', pattern }))

test('a pattern allows what it says', () => {
  const rules = allow('npm test', 'npm run *', 'git status *', 'ls *')
  const allowed = [
    'npm test', '  npm   test ', 'npm run build', 'npm run build -- --watch', 'git status', 'git status -s', 'npm run "a b"', '\'npm\' run x',
    'npm test && npm run build', 'npm test; ls -l', 'ls | ls', 'npm test &', 'ls\nls', 'ls || npm test', 'ls a\\ b', 'ls "$"'.replace('$', 'x')
  ]
  for (const command of allowed) assert.equal(bash(rules, command), 'allow', command)
  for (const command of ['npm tests', 'npm', 'npm test x', 'xnpm test', 'npm install', '/tmp/npm test', './npm test', 'NPM test']) {
    assert.equal(bash(rules, command), 'ask', command)
  }
})

test('no pattern is fooled by what a shell makes of a command', () => {
  const rules = allow('ls *', 'echo *', 'npm test', 'cat *')
  const tricks = [
    'ls; rm -rf x', 'ls && rm x', 'ls || rm x', 'ls | sh', 'ls & rm x', 'ls\nrm x', 'ls\r\nrm x', 'ls $(rm x)', 'ls `rm x`', 'ls "$(rm x)"', 'ls "`rm x`"',
    'ls > x', 'ls >> ~/.bashrc', 'ls >x', 'ls 2>x', 'ls &>x', 'ls < x', 'cat <<EOF\nEOF\nrm x', 'ls <(rm x)', 'ls >(rm x)', 'ls ${x:=$(rm x)}', 'echo $HOME',
    'echo $\'\\x72m\'', 'ls {a,b}', 'ls *', 'ls ?', 'ls [a]', 'ls ~', '(ls)', '{ ls; }', 'ls; (rm x)', 'x=1 ls', 'PATH=/tmp ls', 'LD_PRELOAD=x ls', 'eval ls', 'command ls',
    'exec ls', '. ls', 'source ls', 'if ls; then rm x; fi', 'for x in ls; do rm x; done', 'while ls; do rm x; done', '! ls', 'time ls', 'function ls { rm x; }', 'ls() { rm x; }',
    'alias ls=rm', 'ls \\\nrm', 'ls # x\nrm x', 'ls "a', 'ls \'a', 'ls \\', 'ls "a\\"; rm x"', 'ls ""; rm x', 'ls \'\'\nrm x', 'npm test -- x', 'npm test\u0000rm', 'ls\u2028rm',
    'ls \u202e', 'ls \u001b[A', '', ' ', ';', 'ls;;rm x', 'ls |& rm x', 'coproc rm x', '[[ ls ]] && rm x', 'trap "rm x" EXIT', 'ls !x', '!!', 'ls \\$(rm x) $(rm y)', 'l\\s; r\\m x',
    '"ls" "$(rm x)"', 'echo a"b`rm x`c"', 'echo \'a\'"$(rm x)"', 'ls x;rm y', 'ls x&&rm y', 'ls x|rm', 'ls x\n\n\nrm y'
  ]
  for (const command of tricks) assert.equal(bash(rules, command), 'ask', JSON.stringify(command))
})

test('a command is taken apart as bash does it', posixOnly(), t => {
  const { execFileSync } = require('node:child_process')
  const { project } = room(t)
  const pieces = ['a', '\'b c\'', '"d e"', '\\ ', '\\\'', '""', '\'"\'', '"\'"', 'f=g', '-x', ' ', ' ', '  ', 'é', '\\"', '%', ',', ':', '@', '^', '/', '\\\\']
  let seed = 11
  const random = limit => (seed = (seed * 48271) % 2147483647) % limit
  const commands = Array.from({ length: 300 }, () => `w ${Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join('')}`)
    .filter(command => !parse(command).opaque)
  assert.ok(commands.length > 200)
  const script = `w() { [ $# -eq 0 ] || printf '%s\\0' "$@"; printf '\\1\\0'; }\n${commands.join('\n')}`
  const words = execFileSync('bash', ['--norc', '-c', script], { cwd: project, encoding: 'utf8' }).split('\x01\0').slice(0, -1).map(one => one.split('\0').slice(0, -1))
  assert.deepEqual(commands.map(command => parse(command).commands[0].slice(1)), words)
})

test('no allowed command of 10 000 random ones does anything but what the pattern says', { ...posixOnly(), timeout: 120_000 }, t => {
  const { execFileSync } = require('node:child_process')
  const fs = require('node:fs')
  const { base, project } = room(t)
  // The only programs there are: one that is allowed, and one that is not and leaves a trace.
  fs.mkdirSync(`${base}/bin`)
  fs.writeFileSync(`${base}/bin/safe`, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  fs.writeFileSync(`${base}/bin/evil`, `#!/bin/sh\n: > ${base}/bin/ran\n`, { mode: 0o755 })
  const pieces = ['safe', 'safe ', 'evil', ' evil ', ' ', ';', '&', '|', '\n', '\t', '\r', '$', '(', ')', '`', '{', '}', '<', '>', '"', '\'', '\\', '#', '!', '=', '*', '?', '~', 'x', '0', '-', '\u00a0', '\u2003', '\f', '\v', '%', '^', ',', ':', 'é', '\\\n', '&&', '||', '2>&1', ' 1', '@', '+', '.']
  let seed = 5
  const random = limit => (seed = (seed * 48271) % 2147483647) % limit
  const rules = allow('safe *')
  const chosen = Array.from({ length: 10_000 }, () => `${random(2) ? 'safe ' : ''}${Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join('')}`)
    .filter(command => bash(rules, command) === 'allow')
  t.diagnostic(`${chosen.length} were allowed and run`)
  assert.ok(chosen.length > 500)
  for (let index = 0; index < chosen.length; index += 40) {
    const some = chosen.slice(index, index + 40)
    const script = some.map((command, number) => `cd ${project}; bash --noprofile --norc -c ${quoted(`exec 2>&1; ${command}`)} >/dev/null 2>&1 </dev/null; [ -e ${base}/bin/ran ] && echo ${number}; [ -z "$(ls -A ${project})" ] || echo ${number}`)
    const out = execFileSync('/bin/bash', ['--noprofile', '--norc', '-c', `ls() { command -p ls "$@"; }; bash() { /bin/bash "$@"; }\n${script.join('\n')}\n:`], { env: { PATH: `${base}/bin` }, encoding: 'utf8' })
    assert.equal(out, '', JSON.stringify(some[Number(out.split('\n')[0])]))
  }
})

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}

test('what is denied is denied in every part of a command, and where it can only be guessed at', () => {
  const rules = [...allow('git *', 'ls *'), { action: 'deny', tool: 'Bash', pattern: 'git push *' }, { action: 'deny', tool: 'Bash', pattern: 'curl *' }]
  for (const command of ['git push', 'git push origin', 'ls; git push', 'ls && "git" \'push\'', '/usr/bin/git push', 'curl x', 'ls | curl x', 'echo $(curl x)', 'if true; then curl x; fi', 'x=1 curl y', 'ls > x; /usr/bin/curl y']) {
    assert.equal(bash(rules, command), 'deny', command)
  }
  for (const command of ['git status', 'ls curl', 'git log push']) assert.equal(bash(rules, command), 'allow', command)
})

test('the strictest rule counts', () => {
  const rules = [{ action: 'allow', tool: 'Bash' }, { action: 'ask', tool: 'Bash', pattern: 'rm *' }, { action: 'deny', tool: 'Write', pattern: 'dist/**' }, { action: 'allow', tool: '*', pattern: 'src/**' }]
  assert.equal(bash(rules, 'ls'), 'allow')
  assert.equal(bash(rules, 'ls; rm x'), 'ask')
  const write = file => decide(rules, { tool: 'Write', access: 'write', subject: file, place: { segments: file.split('/'), path: `/p/${file}` } }).action
  assert.deepEqual(['src/a/b.js', 'a.js', 'dist/a', 'DIST/a', 'src/.git/x', 'src/.env', 'src2/a'].map(write), ['allow', 'ask', 'deny', 'deny', 'deny', 'ask', 'ask'])
})

test('a command that was allowed for good is that command only', posixOnly(), async t => {
  const { call, questions } = room(t, { answer: 'allow-always' })
  for (const command of ['echo * && true', 'echo * && true', 'echo x && true', 'echo * && true ']) await call('Bash', { command })
  assert.deepEqual(questions.map(({ pattern }) => pattern), ['echo * && true', 'echo x && true', 'echo * && true '])
})

function posixOnly() {
  return { skip: process.platform === 'win32' && 'needs bash' }
}
