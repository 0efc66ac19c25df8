/**
 * Bash: a command in the project's folder. It is not confined: it can do what the user can. So it is asked
 * about, unless this very command, or all of its parts, were allowed before.
 */
'use strict'

const { Fault } = require('./fault')
const { findProgram } = require('./program')

const DEFAULT_TIMEOUT_MS = 120_000
const MAX_TIMEOUT_MS = 600_000
const MAX_COMMAND = 64 * 1024
const GIT_BASH = ['C:\\Program Files\\Git\\bin\\bash.exe', 'C:\\Program Files (x86)\\Git\\bin\\bash.exe']

const definition = {
  name: 'Bash',
  description: 'Runs a command in the project folder with bash and returns what it printed. Each call is a new shell; ' +
    'there is no input, and what it leaves running in the background is ended with it. ' +
    'For files use Read, Edit, Write, Glob and Grep. The user is asked first.',
  readOnly: false,
  input_schema: {
    type: 'object',
    properties: {
      command: { type: 'string', description: 'The command' },
      timeout: { type: 'integer', minimum: 1, maximum: MAX_TIMEOUT_MS, description: 'Milliseconds; 120000 if not given, 600000 at most' },
      description: { type: 'string', description: 'What it does, in a few words, for the user' }
    },
    required: ['command']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail, runner }) {
  const { command } = input
  if (command.includes('\0')) throw new Fault('TOOL_INVALID_INPUT', 'The command holds a NUL byte.')
  if (command.trim() === '') throw new Fault('TOOL_INVALID_INPUT', 'The command is empty.')
  if (Buffer.byteLength(command) > MAX_COMMAND) throw new Fault('TOOL_INVALID_INPUT', `The command is longer than ${MAX_COMMAND} bytes: write a script with Write and run that.`)
  const timeoutMs = input.timeout ?? DEFAULT_TIMEOUT_MS
  return {
    access: 'run',
    subject: command,
    command,
    summary: 'Run a command',
    detail: [
      input.description && `The model says: "${input.description.slice(0, 200)}".`,
      'It runs as you, in the project folder, and is not confined to it.'
    ].filter(Boolean).join(' '),
    // The runner keeps the time itself, and what was printed until then is told.
    timeoutMs: timeoutMs + 10_000,
    async run(signal) {
      const shell = await findShell(jail)
      // One pipe for both keeps the order of what is printed.
      const ran = await runner.run(shell, ['--noprofile', '--norc', '-c', `exec 2>&1; ${command}`], { cwd: jail.project.real, timeoutMs, signal, limit: 250 * 1024 })
      return report(ran, timeoutMs)
    }
  }
}

async function findShell(jail) {
  const shell = await findProgram('bash', jail, { first: process.platform === 'win32' ? GIT_BASH : ['/bin/bash'] })
  if (!shell) throw new Fault('TOOL_EXECUTION_FAILED', 'There is no bash on this machine. On Windows, Git for Windows brings one.')
  return shell
}

/** What the model hears. A command that fails is an answer, told as an error. */
function report(ran, timeoutMs) {
  if (ran.ended === 'not-started') {
    throw new Fault('TOOL_EXECUTION_FAILED', `The shell could not be started (${ran.error}).`)
  }
  const printed = ran.binary ? `[${ran.bytes} bytes of binary output, not shown]` : ran.text.replace(/\s+$/, '')
  const state = {
    exit: ran.killedBy ? `[ended by ${ran.killedBy}]` : ran.exitCode ? `[exit code ${ran.exitCode}]` : '',
    timeout: `[not done after ${timeoutMs / 1000} s: ended, with all that it started]`,
    cancelled: '[cancelled: ended, with all that it started]',
    flood: `[ended, because it had printed ${ran.bytes} bytes: let it print less]`
  }[ran.ended]
  const left = ran.leftBehind > 0 ? '[what it left running in the background was ended]' : ''
  return {
    content: [printed, state, left].filter(Boolean).join('\n') || '(no output)',
    isError: ran.ended !== 'exit' || ran.exitCode !== 0
  }
}

module.exports = { definition, plan }
