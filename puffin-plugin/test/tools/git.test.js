'use strict'

const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { room } = require('./support/room')

const posix = { skip: process.platform === 'win32' && 'needs a POSIX system', timeout: 60_000 }
const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', HOME: '/nonexistent', GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org' }
const git = (cwd, ...args) => execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

function repository(t, options) {
  const place = room(t, options)
  git(place.project, 'init', '-q', '-b', 'main')
  place.write('a.txt', 'one\n')
  place.write('.env', 'KEY=canary-1\n')
  git(place.project, 'add', '-Af')
  git(place.project, 'commit', '-qm', 'first')
  place.write('a.txt', 'two\n')
  place.write('.env', 'KEY=canary-2\n')
  return place
}

test('status, diff and log show what there is, without files that may hold secrets', posix, async t => {
  const { call, questions, project } = repository(t)
  const show = async (subcommand, ...args) => (await call('Git', { subcommand, args })).content
  assert.equal(await show('status', '--short'), ' M .env\n M a.txt')
  assert.match(await show('diff'), /^diff --git a\/a\.txt b\/a\.txt\n[^]*\n-one\n\+two$/)
  assert.match(await show('log', '-p', '-n', '1'), /first\n[^]*\+one$/)
  assert.match(await show('log', '--format=%h %s', '-1'), /^[0-9a-f]{7,} first$/)
  assert.equal(await show('diff', '--stat', 'HEAD', '--', 'a.txt'), ' a.txt | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)')
  assert.match(await show('diff', '--', '.env'), /may hold secrets/)
  for (const args of [['diff'], ['diff', 'HEAD'], ['log', '-p'], ['log', '-U3', '--all'], ['diff', '--word-diff']]) assert.doesNotMatch(await show(...args), /canary/, args.join(' '))
  assert.equal(await show('diff', '--cached'), 'No changes.')
  assert.equal(questions.length, 0)
  assert.deepEqual(fs.readdirSync(path.join(project, '.git')).filter(name => name.endsWith('.lock')), [])
})

test('options that run something, write, or lead out are refused', posix, async t => {
  const { call, outside } = repository(t)
  fs.writeFileSync(path.join(outside, 'x'), 'canary')
  const refused = [
    ['diff', '--no-index', '/etc/passwd', '/dev/null'], ['diff', '--ext-diff'], ['diff', '--textconv'], ['log', '--output=x'], ['diff', '-o', 'x'], ['log', '--format=%G?'],
    ['log', '--format=format:%h%GK'], ['log', '--show-signature'], ['log', '--alternate-refs'], ['diff', '-O../x'], ['diff', '--output-indicator-new=x'], ['log', '--exec=x'],
    ['diff', 'HEAD:.env', 'HEAD:a.txt'], ['diff', '--', '../outside/x'], ['diff', '--', '/etc/passwd', '/etc/group'], ['diff', '/etc/passwd', '/etc/group'], ['log', '-c', 'core.pager=x'],
    ['status', '--', '..'], ['log', '--', ':(top)'], ['diff', '--', ':/../x'], ['log', '--pretty=%h\n%G?'], ['status', '--porcelain=v3'], ['log', '-n', '--all --output=x'],
    ['diff', '--staged --output=x'], ['log', '--since=a\n--output=x'], ['diff', '--submodule=diff'], ['log', '--stdin'], ['log', ...Array(300).fill('HEAD')], ['log', '--', 'a\0b']
  ]
  for (const [subcommand, ...args] of refused) {
    const { content, isError } = await call('Git', { subcommand, args })
    assert.ok(isError || content === 'No commits.' || content === 'No changes.', `${args.join(' ')}: ${content}`)
    assert.doesNotMatch(content, /canary|root:/, args.join(' '))
  }
  for (const input of [{ subcommand: 'push' }, { subcommand: 'config' }, {}, { subcommand: 'log', args: [7] }]) assert.ok((await call('Git', input)).isError)
})

test('nothing that the repository\'s settings name is run', posix, async t => {
  const { call, project, base, write } = repository(t)
  const ran = path.join(base, 'ran')
  fs.mkdirSync(ran)
  const touch = name => `touch ${ran}/${name};`
  const filters = ['evil', 'a=b', 'x.y', 'with "quotes"']
  write('.gitattributes', `*.txt diff=evil\n${filters.map((name, index) => `f${index} filter=${name.includes(' ') ? 'evil' : name}`).join('\n')}\na.txt filter=evil\n`)
  filters.forEach((name, index) => write(`f${index}`, 'x\n'))
  git(project, 'add', '-A')
  git(project, 'commit', '-qm', 'second')
  const settings = [
    ['core.fsmonitor', touch('fsmonitor')], ['core.pager', touch('pager')], ['pager.log', touch('pager-log')], ['pager.diff', touch('pager-diff')], ['diff.external', touch('external')],
    ['diff.evil.command', touch('driver')], ['diff.evil.textconv', touch('textconv')], ['core.hooksPath', path.join(base, 'hooks')], ['gpg.program', path.join(base, 'hooks', 'gpg')],
    ['log.showSignature', 'true'], ['core.alternateRefsCommand', touch('alternate')], ['core.sshCommand', touch('ssh')], ['credential.helper', `!${touch('credential')}`],
    ['alias.status', `!${touch('alias')}`], ['interactive.diffFilter', touch('diff-filter')], ['core.editor', touch('editor')],
    ...filters.flatMap(name => ['clean', 'smudge', 'process'].map(kind => [`filter.${name}.${kind}`, `${touch(`filter-${kind}`)} cat`]))
  ]
  for (const [key, value] of settings) git(project, 'config', key, value)
  write('../included', `[filter "included"]\n\tclean = "${touch('included')} cat"\n`)
  git(project, 'config', 'include.path', path.join(base, 'included'))
  fs.appendFileSync(path.join(project, '.gitattributes'), 'f3 filter=included\n')
  for (const hook of ['post-index-change', 'gpg', 'pre-commit']) {
    write(`../hooks/${hook}`, `#!/bin/sh\n${touch(hook)}\n`)
    fs.chmodSync(path.join(base, 'hooks', hook), 0o755)
  }
  const stale = () => ['a.txt', 'f0', 'f1', 'f2', 'f3'].forEach(name => write(name, `changed ${Math.random()}\n`))
  stale()
  for (const input of [['status'], ['diff'], ['diff', 'HEAD~1'], ['diff', '--cached'], ['log', '-p'], ['log', '--all'], ['log', '--stat']]) {
    const [subcommand, ...args] = input
    const { content, isError } = await call('Git', { subcommand, args })
    assert.ok(!isError, content)
  }
  assert.deepEqual(fs.readdirSync(ran), [], 'nothing ran')
  // That the traps are set is seen with plain git.
  stale()
  spawnSync('git', ['status'], { cwd: project, env })
  spawnSync('git', ['diff'], { cwd: project, env })
  const set = fs.readdirSync(ran)
  for (const name of ['fsmonitor', 'external', 'post-index-change']) assert.ok(set.includes(name), `${name} of ${set}`)
  assert.ok(set.some(name => name.startsWith('filter-')), `a filter of ${set}`)
})

test('a .git that leads to another repository is not followed', posix, async t => {
  const { call, project, outside, base } = room(t)
  git(outside, 'init', '-q', '-b', 'main')
  fs.writeFileSync(path.join(outside, 'a'), 'canary')
  git(outside, 'add', '-A')
  git(outside, 'commit', '-qm', 'canary')
  const dotGit = path.join(project, '.git')
  const tries = {
    file: () => fs.writeFileSync(dotGit, `gitdir: ${outside}/.git\n`),
    link: () => fs.symlinkSync(path.join(outside, '.git'), dotGit),
    objects: () => {
      git(project, 'init', '-q')
      for (const name of ['objects', 'refs']) {
        fs.rmSync(path.join(dotGit, name), { recursive: true })
        fs.symlinkSync(path.join(outside, '.git', name), path.join(dotGit, name))
      }
    },
    commondir: () => {
      git(project, 'init', '-q')
      fs.writeFileSync(path.join(dotGit, 'commondir'), `${outside}/.git\n`)
      fs.writeFileSync(path.join(dotGit, 'HEAD'), 'ref: refs/heads/main\n')
    },
    worktree: () => {
      git(project, 'init', '-q')
      git(project, 'config', 'core.worktree', outside)
    }
  }
  for (const [name, prepare] of Object.entries(tries)) {
    prepare()
    for (const subcommand of ['log', 'status', 'diff']) {
      const { content, isError } = await call('Git', { subcommand })
      assert.ok(isError && !content.includes('canary'), `${name} ${subcommand}: ${content}`)
    }
    fs.rmSync(dotGit, { recursive: true })
  }
  assert.match((await call('Git', { subcommand: 'log' })).content, /not in a git repository/)
  git(outside, 'worktree', 'add', '-q', '-b', 'linked', path.join(base, 'tree'))
  const { createTools } = require('../../lib/tools')
  const linked = createTools({ projectPath: path.join(base, 'tree'), dataDir: path.join(base, 'data'), ask: async () => 'deny' })
  assert.match((await linked.execute({ callId: '1', name: 'Git', input: { subcommand: 'log', args: ['--oneline'] } })).content, /canary$/, 'a worktree that its repository knows is shown')
})

test('in a folder of a larger repository only that folder is shown', posix, async t => {
  const { base, project } = repository(t)
  fs.mkdirSync(path.join(project, 'sub'))
  fs.writeFileSync(path.join(project, 'sub', 'b.txt'), 'b\n')
  git(project, 'add', 'sub')
  const { createTools } = require('../../lib/tools')
  const tools = createTools({ projectPath: path.join(project, 'sub'), dataDir: path.join(base, 'data'), ask: async () => 'deny' })
  const show = async (subcommand, ...args) => (await tools.execute({ callId: '1', name: 'Git', input: { subcommand, args } })).content
  assert.equal(await show('status', '--short'), 'A  sub/b.txt'.replace('sub/', ''))
  const diff = await show('diff', 'HEAD')
  assert.ok(diff.includes('+b') && !diff.includes('one'), diff)
  assert.match(await show('diff', '--', '../a.txt'), /not inside the project/)
  assert.equal(await show('log'), 'No commits.')
})
