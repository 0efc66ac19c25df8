/**
 * Git: status, diff and log, and only looked at. A repository can tell git to run programs (pagers, hooks,
 * filters, external diffs, monitors) and to look elsewhere; all of that is switched off, and only options
 * that are known to do neither are passed on.
 */
'use strict'

const { Fault } = require('./fault')
const { isOwn } = require('./git-repository')
const { findProgram } = require('./program')
const { gitExclusions, isSecret } = require('./sensitive')
const { visible } = require('./output')
const { within } = require('./jail')

const TIMEOUT_MS = 30_000
const MAX_ARGS = 200

const NUMBER = '\\d{1,6}'
const DATE = '[\\w .:+/-]{1,40}'
const DIFF_OPTIONS = ['--cached', '--staged', '--stat', '--shortstat', '--numstat', '--name-only', '--name-status', '--summary',
  `-U${NUMBER}`, `--unified=${NUMBER}`, '-w', '-b', '--ignore-all-space', '--ignore-space-change', '--ignore-blank-lines',
  '--word-diff', '--minimal', '--patience', '--histogram', '-M', '-C', '--find-renames', '--no-renames', '--diff-filter=[A-Za-z]{1,10}', '--check', '-R']
const OPTIONS = {
  status: ['--short', '-s', '--branch', '-b', '--porcelain', '--porcelain=v[12]', '--long', '--show-stash', '--ahead-behind',
    '--untracked-files', '--untracked-files=(no|normal|all)', '-uno', '-unormal', '-uall', '--ignored'],
  diff: [...DIFF_OPTIONS, '--merge-base', '-p', '--patch'],
  log: [...DIFF_OPTIONS, '-p', '--patch', '--oneline', `-${NUMBER}`, `-n ?${NUMBER}`, `--max-count=${NUMBER}`, `--skip=${NUMBER}`,
    `--since=${DATE}`, `--after=${DATE}`, `--until=${DATE}`, `--before=${DATE}`, '--author=[^\\n]{1,100}', '--committer=[^\\n]{1,100}',
    '--grep=[^\\n]{1,200}', '-i', '--regexp-ignore-case', '--all-match', '--invert-grep', '-F', '--fixed-strings', '-S[^\\n]{1,200}', '-G[^\\n]{1,200}',
    '--graph', '--decorate', '--no-decorate', '--merges', '--no-merges', '--first-parent', '--all', '--branches', '--tags', '--remotes',
    '--reverse', '--abbrev-commit', '--follow', '--date=(iso|iso-strict|relative|short|rfc|raw|unix|human|local|default)', '--topo-order',
    '--pretty=(oneline|short|medium|full|fuller|reference|raw)', '--format=(oneline|short|medium|full|fuller|reference|raw)',
    // Placeholders: not %G (runs a program to check signatures).
    '(--pretty=|--format=)(t?format:)?([^%\\n]|%[HhTtPpabBcCdDenNsSrRfx%<>|+-](?!G)){1,300}']
}
const matchers = Object.fromEntries(Object.entries(OPTIONS).map(([name, list]) => [name, new RegExp(`^(${list.join('|')})$`)]))
// Without ":": what follows it is a path, which would not be checked.
const REVISION = /^[A-Za-z0-9_@^][\w@{}~^./+-]{0,200}$/
const SHOWS_CONTENT = /^(-p|--patch|-U\d+|--unified|--word-diff|--check|-S|-G)/

const definition = {
  name: 'Git',
  description: 'Looks at the project\'s git repository: status, diff or log. Changes nothing.',
  readOnly: true,
  input_schema: {
    type: 'object',
    properties: {
      subcommand: { type: 'string', enum: ['status', 'diff', 'log'], description: 'What to look at' },
      args: {
        type: 'array',
        items: { type: 'string' },
        description: 'Options, revisions, then "--" and paths: ["--stat", "HEAD~3", "--", "src"]'
      }
    },
    required: ['subcommand']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail, runner }) {
  const { subcommand, args = [] } = input
  const asked = await understand(subcommand, args, jail)
  const shown = visible(['git', subcommand, ...args].join(' '))
  return {
    access: 'read',
    subject: shown,
    summary: shown,
    timeoutMs: TIMEOUT_MS + 10_000,
    run: signal => look(subcommand, asked, { jail, runner, signal })
  }
}

/** Options, revisions and paths, each of which is known to be harmless. */
async function understand(subcommand, args, jail) {
  if (args.length > MAX_ARGS) throw new Fault('TOOL_INVALID_INPUT', `More than ${MAX_ARGS} arguments: name a folder.`)
  const split = args.indexOf('--')
  const [front, paths] = split === -1 ? [args, []] : [args.slice(0, split), args.slice(split + 1)]
  const options = []
  const revisions = []
  for (let index = 0; index < front.length; index++) {
    const word = front[index] === '-n' ? `-n ${front[++index] ?? ''}` : front[index]
    if (matchers[subcommand].test(word)) options.push(word.replace(/^-n /, '-n'))
    else if (word.startsWith('-')) throw new Fault('TOOL_INVALID_INPUT', `The option ${visible(word).slice(0, 80)} of git ${subcommand} can't be used with this tool.`)
    else if (subcommand !== 'status' && REVISION.test(word)) revisions.push(word)
    else throw new Fault('TOOL_INVALID_INPUT', `${visible(word).slice(0, 80)} is no revision. Paths come after "--".`)
  }
  const places = []
  for (const path of paths) {
    const place = await jail.resolve(path)
    if (isSecret(place.segments)) throw new Fault('TOOL_INVALID_INPUT', `${place.display} may hold secrets; this tool does not show it.`)
    places.push(place)
  }
  return { options, revisions, places }
}

async function look(subcommand, { options, revisions, places }, { jail, runner, signal }) {
  const cwd = jail.project.real
  const program = await findProgram('git', jail)
  if (!program) throw new Fault('TOOL_EXECUTION_FAILED', 'git is not installed on this machine.')
  const git = (args, { limit = 256 * 1024, env } = {}) =>
    runner.run(program, [...NEUTRAL, ...args], { cwd, timeoutMs: TIMEOUT_MS, signal, env: { ...ENVIRONMENT, ...env }, limit })
  const top = await findTop(git, cwd)
  const specs = places.map(place => pathspec(top, place.path))
  const content = subcommand === 'diff' || options.some(option => SHOWS_CONTENT.test(option))
  if (specs.length === 0 && (content || top !== cwd)) specs.push(pathspec(top, cwd))
  const args = [subcommand, ...ALWAYS[subcommand], ...options, ...revisions, '--', ...specs, ...(content ? gitExclusions() : [])]
  return report(await git(args, { limit: 250 * 1024, env: await withoutFilters(git) }), subcommand)
}

/** The top of the working tree, if it and the repository are the project's. */
async function findTop(git, cwd) {
  const ran = await git(['rev-parse', '--path-format=absolute', '--show-toplevel', '--git-dir', '--git-common-dir'])
  if (ran.ended !== 'exit' || ran.exitCode !== 0) {
    throw new Fault('TOOL_EXECUTION_FAILED', `The project is not in a git repository that can be used: ${visible(ran.text).slice(0, 300).trim()}`)
  }
  const [top, gitDir, commonDir] = ran.text.trim().split('\n')
  if (!within(top, cwd)) throw new Fault('TOOL_OUTSIDE_PROJECT', 'This repository\'s working tree is somewhere else than the project: its settings say so (core.worktree).')
  if (!await isOwn({ top, gitDir, commonDir })) throw new Fault('TOOL_OUTSIDE_PROJECT', 'The project\'s .git leads to another repository, which does not name this folder as its working tree. It is not shown.')
  return top
}

/** Exactly this path, whatever characters are in it. */
function pathspec(top, path) {
  const way = path.slice(top.length).replace(/\\/g, '/').replace(/^\//, '')
  return way === '' ? ':(top)' : `:(top,literal)${way}`
}

function report(ran, subcommand) {
  if (ran.ended === 'cancelled') throw new Fault('TOOL_CANCELLED', 'The call was cancelled.')
  if (ran.ended !== 'exit') throw new Fault('TOOL_TIMEOUT', `git ${subcommand} was ended (${ran.ended}). Ask for less.`)
  const text = ran.text.replace(/\s+$/, '')
  // diff --check says with 2 that it found something.
  if (ran.exitCode !== 0 && !(subcommand === 'diff' && ran.exitCode === 2)) {
    throw new Fault('TOOL_EXECUTION_FAILED', `git ${subcommand} failed: ${text.slice(0, 2000)}`)
  }
  return text || (subcommand === 'log' ? 'No commits.' : 'No changes.')
}

/**
 * Filters of the repository's own run programs on files that git compares; the user's own (LFS) may.
 *
 * @returns {Promise<object>} as environment: there a filter's name may hold any character
 */
async function withoutFilters(git) {
  const listed = await git(['config', '--null', '--show-scope', '--name-only', '--get-regexp', '^filter\\.'])
  if (listed.leftOut || listed.ended !== 'exit') throw new Fault('TOOL_EXECUTION_FAILED', 'The repository has too many settings to be looked at safely.')
  const words = listed.text.split('\0')
  const names = new Set()
  for (let index = 0; index + 1 < words.length; index += 2) {
    const [scope, key] = [words[index], words[index + 1]]
    if (scope !== 'global' && scope !== 'system') names.add(key.slice('filter.'.length, key.lastIndexOf('.')))
  }
  const settings = [...names].flatMap(name => [['clean', ''], ['smudge', ''], ['process', ''], ['required', 'false']]
    .map(([key, value]) => [`filter.${name}.${key}`, value]))
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(settings.length)],
    ...settings.flatMap(([key, value], index) => [[`GIT_CONFIG_KEY_${index}`, key], [`GIT_CONFIG_VALUE_${index}`, value]])
  ])
}

/** Whatever the repository's configuration says, these are in force. */
const NEUTRAL = ['--no-pager', '--no-optional-locks', ...[
  'core.fsmonitor=false', 'core.hooksPath=/dev/null', 'core.pager=cat', 'core.untrackedCache=false', 'core.alternateRefsCommand=',
  'core.sshCommand=', 'core.gitProxy=', 'credential.helper=', 'diff.external=', 'log.showSignature=false', 'gpg.program=', 'gpg.ssh.program=', 'gpg.x509.program=',
  'log.mailmap=false', 'protocol.allow=never', 'safe.bareRepository=explicit', 'submodule.recurse=false', 'status.submoduleSummary=false',
  'diff.submodule=short', 'color.ui=false', 'column.ui=never', 'core.attributesFile=', 'diff.noprefix=false', 'core.quotePath=false'
].flatMap(setting => ['-c', setting])]

const ENVIRONMENT = {
  GIT_OPTIONAL_LOCKS: '0', GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: '', GIT_PROTOCOL_FROM_USER: '0', GIT_ASKPASS: '', SSH_ASKPASS: ''
}

const ALWAYS = {
  status: ['--ignore-submodules=dirty', '--no-renames'],
  diff: ['--no-ext-diff', '--no-textconv', '--no-color', '--ignore-submodules=dirty'],
  log: ['--no-ext-diff', '--no-textconv', '--no-color', '--no-show-signature', '--no-mailmap', '--ignore-submodules=dirty']
}

module.exports = { definition, plan }
