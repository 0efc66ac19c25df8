/**
 * The tools that a remote model may call on this machine. Each call is checked, decided upon (allowed,
 * asked, denied), run within its limits, answered exactly once and noted.
 */
'use strict'

const { checkInput } = require('./input')
const { Decisions } = require('./decisions')
const { Fault, fromSystem } = require('./fault')
const { Jail } = require('./jail')
const { OUTPUT_LIMIT, shorten, visible } = require('./output')
const { decide, forbidden } = require('./policy')
const { Rules } = require('./rules')
const { Runner } = require('./run')

const TOOLS = [
  require('./read'), require('./write'), require('./edit'), require('./glob'), require('./grep'), require('./bash'), require('./git')
]
const ASK_TIMEOUT_MS = 10 * 60_000
const GRACE_MS = 3000
const PLAN_MS = 20_000
const LOG_MS = 2000
const MAX_NAME = 128
const ANSWERS = ['allow-once', 'allow-always', 'deny', 'abort']

/**
 * What a tool would do, found out before anybody agrees to it.
 *
 * @callback Plan
 * @param {object} input  checked against the definition
 * @param {{jail: Jail, runner: object}} context
 * @returns {Promise<{access: 'read' | 'write' | 'run', subject: string, place?: object, summary: string,
 *   detail?: string, diff?: string, command?: string, timeoutMs: number,
 *   run: (signal: AbortSignal) => Promise<string | {content: string, isError: boolean}>}>}
 *   `subject`: the path or command that rules are about; `timeoutMs`: for `run`
 *
 * @typedef {object} Result
 * @property {string} content  for the model; at most 256 KiB
 * @property {boolean} isError
 * @property {boolean} [denied]  nothing was run, because a person did not allow it
 * @property {boolean} [abort]  the person wants the whole prompt to end
 *
 * @typedef {object} Settings
 * @property {string} projectPath  absolute
 * @property {Array<{path: string, label?: string, readOnly?: boolean}>} [additionalDirs]
 * @property {boolean} [codeModificationAllowed]  false: no Write, Edit or Bash
 * @property {string[]} [disallowedTools]  tools that are not there (`Bash`), or what they may not do (`Bash(rm:*)`)
 */

/**
 * @param {Settings} settings
 * @returns {Array<{name: string, description: string, input_schema: object, readOnly: boolean}>}
 *   the tools to declare for a prompt
 */
function definitions({ codeModificationAllowed, disallowedTools } = {}) {
  const gone = forbidden(disallowedTools).filter(({ pattern }) => pattern === undefined).map(({ tool }) => tool)
  return TOOLS
    .map(({ definition }) => definition)
    .filter(({ name, readOnly }) => !gone.includes(name) && (readOnly || codeModificationAllowed !== false))
    .map(definition => structuredClone(definition))
}

/**
 * @param {Settings & {
 *   ask: (question: {callId: string, tool: string, summary: string, detail: string, diff?: string, command?: string,
 *     pattern?: string, afterUntrustedRead?: boolean}, signal: AbortSignal) => Promise<'allow-once' | 'allow-always' | 'deny' | 'abort'>,
 *   log?: {info?: Function, warn?: Function},
 *   dataDir: string,
 *   limits?: {askTimeoutMs?: number, decisionBytes?: number, grepTimeoutMs?: number}
 * }} options  `ask`: `pattern` is what "always" would stand for, absent when it can't be remembered; the
 *   signal aborts when the answer is of no use any more; any other answer, or a throw, counts as `deny`.
 *   `dataDir`: the plugin's own
 * @returns {{execute: (call: {callId: string, name: string, input: object, signal?: AbortSignal,
 *   afterUntrustedRead?: boolean}) => Promise<Result>, dispose: () => Promise<void>}}
 *   `execute` never rejects. `dispose` ends every running call
 */
function createTools(options) {
  return new Tools(options)
}

class Tools {
  #options
  #ending = new AbortController()
  #running = new Set()
  #jail
  #rules
  #runner = new Runner()
  #decisions

  constructor(options) {
    this.#options = options
    this.#decisions = new Decisions(options.dataDir, message => this.#warn(message), { maxBytes: options.limits?.decisionBytes })
  }

  execute = call => {
    const running = this.#execute(call ?? {})
    this.#running.add(running)
    return running.finally(() => this.#running.delete(running))
  }

  dispose = async () => {
    this.#ending.abort()
    await Promise.allSettled([...this.#running])
  }

  async #execute(call) {
    const began = performance.now()
    const [callId, tool] = [call.callId, call.name].map(name => String(name).slice(0, MAX_NAME))
    const record = { callId, tool, decision: 'none', projectPath: this.#options.projectPath }
    const signal = call.signal instanceof AbortSignal ? AbortSignal.any([this.#ending.signal, call.signal]) : this.#ending.signal
    let result
    try {
      result = await this.#carryOut(call, signal, record)
    } catch (error) {
      result = this.#explain(error, signal, record)
    }
    const content = shorten(result.content)
    const noted = this.#decisions.append({
      ...record,
      outcome: record.outcome ?? (result.isError ? 'error' : 'ok'),
      durationMs: Math.round(performance.now() - began),
      outputBytes: Buffer.byteLength(content)
    })
    await within(LOG_MS, new AbortController().signal, () => noted, 0).catch(() => this.#warn('tools: the log of decisions is slow to be written'))
    return { ...result, content }
  }

  async #carryOut(call, signal, record) {
    const { codeModificationAllowed, disallowedTools } = this.#options
    const tool = TOOLS.find(({ definition }) => definition.name === call.name)
    if (!tool) {
      const names = definitions({ codeModificationAllowed, disallowedTools }).map(({ name }) => name).join(', ')
      throw new Fault('TOOL_NOT_FOUND', `There is no tool of the name ${visible(record.tool)}. There are ${names}.`)
    }
    if (signal.aborted) throw cancelled()
    const input = checkInput(tool.definition.input_schema, call.input)
    const jail = await this.#openJail()
    this.#rules ??= new Rules(this.#options.dataDir, jail.project.real, message => this.#warn(message))
    const context = { jail, runner: this.#runner, folders: this.#folders(), grepTimeoutMs: this.#options.limits?.grepTimeoutMs }
    const plan = await within(PLAN_MS, signal, () => tool.plan(input, context), 0)
    record.subject = plan.subject
    const rules = [...forbidden(disallowedTools), ...await this.#rules.all()]
    const verdict = decide(rules, { tool: call.name, ...plan }, { codeModificationAllowed })
    record.decision = verdict.action
    record.reason = verdict.reason
    // Not `denied`: that stands for a person's no, and the model would not hear the reason.
    if (verdict.action === 'deny') return { content: `Not allowed: ${verdict.reason}`, isError: true }
    if (verdict.action === 'ask') {
      const answer = await this.#question(call, plan, verdict, signal)
      record.decision = answer
      if (answer === 'deny') return { content: DENIED, isError: true, denied: true }
      if (answer === 'abort') return { content: DENIED, isError: true, denied: true, abort: true }
      if (answer === 'allow-always' && !verdict.final) await this.#rules.allow(call.name, plan.subject)
    }
    const answer = await within(plan.timeoutMs, signal, plan.run)
    return typeof answer === 'string' ? { content: answer, isError: false } : answer
  }

  #folders() {
    const { projectPath, additionalDirs } = this.#options
    return { projectPath, additionalDirs: additionalDirs?.map(entry => typeof entry === 'string' ? entry : { path: entry?.path, readOnly: entry?.readOnly }) }
  }

  /** Opened once; a project folder that was not there yet is looked for again. */
  #openJail() {
    this.#jail ??= Jail.open(this.#folders()).catch(error => {
      this.#jail = undefined
      throw error
    })
    return this.#jail
  }

  /** A person's answer. Whatever is not clearly a yes is a no. */
  async #question(call, plan, verdict, signal) {
    const { summary, detail = '', diff, command, subject } = plan
    const over = new AbortController()
    const question = {
      callId: call.callId,
      tool: call.name,
      summary: oneLine(summary),
      detail: visible([detail, verdict.reason].filter(Boolean).join(' ')),
      ...(!verdict.final && { pattern: oneLine(subject) }),
      ...(diff !== undefined && { diff }),
      ...(command !== undefined && { command: visible(command) }),
      ...(call.afterUntrustedRead !== undefined && { afterUntrustedRead: call.afterUntrustedRead })
    }
    const asking = async () => this.#options.ask(question, AbortSignal.any([signal, over.signal]))
    try {
      const answer = await within(this.#options.limits?.askTimeoutMs ?? ASK_TIMEOUT_MS, signal, asking, 0)
      return ANSWERS.includes(answer) ? answer : 'deny'
    } catch (error) {
      if (signal.aborted) throw cancelled()
      if (error instanceof Fault && error.code === 'TOOL_TIMEOUT') throw new Fault('TOOL_TIMEOUT', 'Nobody answered when the user was asked to allow this, so it was not done.')
      this.#warn(`tools: asking the user failed (${error.message})`)
      return 'deny'
    } finally {
      over.abort()
    }
  }

  #explain(error, signal, record) {
    if (signal.aborted) error = cancelled()
    if (error?.name === 'AbortError') error = new Fault('TOOL_TIMEOUT', 'It took too long and was ended.')
    const known = error instanceof Fault || typeof error?.code === 'string'
    if (!known) this.#warn(`tools: ${record.tool} failed (${error?.stack ?? error})`)
    const fault = known ? fromSystem(error, record.subject ?? record.tool)
      : new Fault('TOOL_EXECUTION_FAILED', `${record.tool} failed because of a defect in it; the log of Puffin says more.`)
    record.outcome = fault.code
    return { content: fault.message, isError: true }
  }

  #warn(message) {
    this.#options.log?.warn?.(message)
  }
}

const DENIED = 'The user was asked and did not allow this. Nothing was done. Do not try the same again; go on without it, or ask what they want instead.'

function oneLine(text) {
  return visible(text).replace(/\n/g, '\\n')
}

function cancelled() {
  return new Fault('TOOL_CANCELLED', 'The call was cancelled.')
}

/**
 * Settles with the work. When the time is over or the signal aborts, the work's signal aborts, and the work
 * has `graceMs` to end by itself (what it then says is true, a plain "cancelled" may not be).
 */
async function within(milliseconds, signal, work, graceMs = GRACE_MS) {
  const over = new AbortController()
  const settled = new AbortController()
  const timers = []
  const ends = new Promise((resolve, reject) => {
    const stop = fault => {
      over.abort(fault)
      timers.push(setTimeout(reject, graceMs, fault))
    }
    timers.push(setTimeout(() => stop(new Fault('TOOL_TIMEOUT', `It was not done after ${Math.round(milliseconds / 1000)} s and was ended.`)), milliseconds))
    signal.addEventListener('abort', () => stop(cancelled()), { once: true, signal: settled.signal })
    if (signal.aborted) stop(cancelled())
  })
  try {
    return await Promise.race([work(over.signal), ends])
  } finally {
    timers.forEach(clearTimeout)
    settled.abort()
    over.abort()
  }
}

module.exports = { createTools, definitions }
